/* The C side of LeanBert.java: bytes in, scores out. Nothing is kept but the model, whose address Java holds. */
#include <stdint.h>
#include <stdlib.h>

#include "LeanBert.h"
#include "leanbert.h"

static const leanbert_model* model_of(jlong handle) { return (const leanbert_model*)(intptr_t)handle; }

static void raise(JNIEnv* env, const char* line) {
  const jclass kind = (*env)->FindClass(env, "java/lang/IllegalArgumentException");
  if (kind) (*env)->ThrowNew(env, kind, line);
}

/* A copy that the caller frees; NULL with an exception where there is no memory. */
static char* copy_of(JNIEnv* env, jbyteArray bytes, size_t* size) {
  const jsize length = (*env)->GetArrayLength(env, bytes);
  char* copy = malloc((size_t)length + 1);
  if (!copy) {
    raise(env, "out of memory");
    return NULL;
  }
  (*env)->GetByteArrayRegion(env, bytes, 0, length, (jbyte*)copy);
  copy[length] = 0;
  *size = (size_t)length;
  return copy;
}

JNIEXPORT jlong JNICALL Java_LeanBert_open(JNIEnv* env, jclass self, jbyteArray bundle) {
  (void)self;
  size_t size;
  char message[LEANBERT_MESSAGE_SIZE];
  leanbert_model* model = NULL;
  char* path = copy_of(env, bundle, &size);
  if (!path) return 0;
  if (leanbert_abi_version() != LEANBERT_ABI_VERSION)
    raise(env, "libleanbert has another interface");
  else if (leanbert_open(path, NULL, &model, message, sizeof message) != LEANBERT_OK)
    raise(env, message);
  free(path);
  return (jlong)(intptr_t)model;
}

JNIEXPORT void JNICALL Java_LeanBert_close(JNIEnv* env, jclass self, jlong model) {
  (void)env, (void)self;
  leanbert_close((leanbert_model*)(intptr_t)model);
}

JNIEXPORT jint JNICALL Java_LeanBert_labelCount(JNIEnv* env, jclass self, jlong model) {
  (void)env, (void)self;
  return (jint)leanbert_label_count(model_of(model));
}

JNIEXPORT jbyteArray JNICALL Java_LeanBert_label(JNIEnv* env, jclass self, jlong model, jint number) {
  (void)self;
  const char* label = leanbert_label(model_of(model), (size_t)number);
  jsize length = 0;
  while (label && label[length]) length++;
  const jbyteArray bytes = (*env)->NewByteArray(env, length);
  if (bytes && length) (*env)->SetByteArrayRegion(env, bytes, 0, length, (const jbyte*)label);
  return bytes;
}

JNIEXPORT void JNICALL Java_LeanBert_classify(JNIEnv* env, jclass self, jlong model, jobjectArray texts,
                                              jfloatArray scores) {
  (void)self;
  const jsize count = (*env)->GetArrayLength(env, texts), size = (*env)->GetArrayLength(env, scores);
  char message[LEANBERT_MESSAGE_SIZE];
  char** copies = calloc((size_t)count + 1, sizeof *copies);
  size_t* sizes = calloc((size_t)count + 1, sizeof *sizes);
  float* found = calloc((size_t)size + 1, sizeof *found);
  int failed = !copies || !sizes || !found;
  if (failed) raise(env, "out of memory");
  for (jsize i = 0; i < count && !failed; i++) {
    const jbyteArray bytes = (*env)->GetObjectArrayElement(env, texts, i);
    failed = !bytes || !(copies[i] = copy_of(env, bytes, &sizes[i]));
    (*env)->DeleteLocalRef(env, bytes);
  }
  if (!failed && leanbert_classify(model_of(model), NULL, (size_t)count, (const char* const*)copies, sizes, found,
                                   (size_t)size, NULL, message, sizeof message) != LEANBERT_OK) {
    raise(env, message);
    failed = 1;
  }
  if (!failed) (*env)->SetFloatArrayRegion(env, scores, 0, size, found);
  for (jsize i = 0; copies && i < count; i++) free(copies[i]);
  free(copies);
  free(sizes);
  free(found);
}
