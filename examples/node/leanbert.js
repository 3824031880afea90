// LeanBERT in Node and Electron by koffi (npm install koffi): answers are computed off the event loop's thread.
'use strict';
const koffi = require('koffi');

const ABI_VERSION = 1;
const MESSAGE_SIZE = 512;

/** An open classifier. `library` is the path of libleanbert.so (.dylib, .dll), `bundle` that of a bundle. */
class Model {
  constructor(library, bundle) {
    const lib = koffi.load(library);
    if (lib.func('uint32_t leanbert_abi_version()')() !== ABI_VERSION)
      throw new Error('libleanbert has another interface');
    const open = lib.func(
        'int leanbert_open(const char *directory, const void *options, _Out_ void **model, void *message, size_t size)');
    const labelCount = lib.func('size_t leanbert_label_count(const void *model)');
    const label = lib.func('const char *leanbert_label(const void *model, size_t label)');
    this.closing = lib.func('void leanbert_close(void *model)');
    this.classifying = lib.func(
        'int leanbert_classify(const void *model, const void *options, size_t count, const char **texts, ' +
        'const size_t *sizes, _Out_ float *scores, size_t scores_size, uint8_t *cut, void *message, size_t size)');
    const handle = [null];
    const message = Buffer.alloc(MESSAGE_SIZE);
    check(open(bundle, null, handle, message, MESSAGE_SIZE), message);
    this.handle = handle[0];
    this.labels = Array.from({length: Number(labelCount(this.handle))}, (_, i) => label(this.handle, i));
    this.underWay = 0;
  }

  /** The scores of each text by label: a promise of [{positive: 0.98, …}, …]. */
  classify(texts) {
    if (!this.handle) return Promise.reject(new Error('the model is closed'));
    // A text may hold NUL, and its bytes are no UTF-16: sizes are given.
    const data = texts.map((text) => Buffer.from(text, 'utf8'));
    const scores = new Float32Array(texts.length * this.labels.length);
    const message = Buffer.alloc(MESSAGE_SIZE);
    this.underWay++;
    return new Promise((resolve, reject) => {
      this.classifying.async(
          this.handle, null, texts.length, data, data.map((text) => text.length), scores, scores.length, null, message,
          MESSAGE_SIZE, (error, status) => {
            this.underWay--;
            try {
              if (error) throw error;
              check(status, message);
              const width = this.labels.length;
              resolve(texts.map(
                  (_, i) => Object.fromEntries(this.labels.map((name, j) => [name, scores[i * width + j]]))));
            } catch (reason) {
              reject(reason);
            }
          });
    });
  }

  /** Frees the model. No call may be under way. */
  close() {
    if (this.underWay) throw new Error('a call is under way');
    if (this.handle) this.closing(this.handle);
    this.handle = null;
  }
}

function check(status, message) {
  if (status !== 0) throw new Error(message.toString('utf8', 0, message.indexOf(0)));
}

module.exports = {Model};
