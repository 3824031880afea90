// The C interface: status codes and lines of text, nothing else crosses it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "schedule/encoder.h"
#include "scores/scores.h"

using leanbert::Encoder;
using leanbert::Error;
using leanbert::Kernels;

struct lb_encoder : Encoder {};  // no object has this type: it is what C calls an Encoder

namespace {
Encoder* from(lb_encoder* handle) { return reinterpret_cast<Encoder*>(handle); }
const Encoder* from(const lb_encoder* handle) { return reinterpret_cast<const Encoder*>(handle); }
}  // namespace

extern "C" {

int lb_open(const lb_model_desc* desc, lb_encoder** encoder, char* err, size_t err_len) {
  Error error(err, err_len);
  if (!encoder) return error.fail(LB_INVALID_ARGUMENT, "encoder is NULL");
  *encoder = nullptr;
  if (!desc) return error.fail(LB_INVALID_ARGUMENT, "desc is NULL");
  if (desc->struct_size != sizeof(lb_model_desc) || desc->layer_size != sizeof(lb_layer))
    return error.fail(LB_INVALID_ARGUMENT,
                      "lb_model_desc has %u bytes and lb_layer %u, this library's have %zu and %zu", desc->struct_size,
                      desc->layer_size, sizeof(lb_model_desc), sizeof(lb_layer));
  const char* why_not;
  const Kernels* kernels = leanbert::choose_kernels(std::getenv("LEANBERT_ISA"), &why_not);
  if (!kernels) return error.fail(LB_NO_ISA, "%s", why_not);
  int status;
  *encoder = reinterpret_cast<lb_encoder*>(Encoder::create(*desc, *kernels, error, &status));
  return status;
}

void lb_close(lb_encoder* encoder) { Encoder::destroy(from(encoder)); }

int lb_run(lb_encoder* encoder, uint64_t n_sequences, const int32_t* lengths, uint64_t n_tokens,
           const int32_t* input_ids, const int32_t* token_type_ids, float* out, uint64_t out_floats, char* err,
           size_t err_len) {
  Error error(err, err_len);
  if (!encoder) return error.fail(LB_INVALID_ARGUMENT, "encoder is NULL");
  return from(encoder)->run({n_sequences, lengths, n_tokens, input_ids, token_type_ids, out, out_floats}, error);
}

uint64_t lb_output_size(const lb_encoder* encoder, uint64_t n_sequences, uint64_t n_tokens) {
  if (!encoder) return 0;
  const leanbert::Model& model = from(encoder)->model();
  return model.output_rows(n_sequences, n_tokens) * model.output_width();
}

const char* lb_encoder_isa(const lb_encoder* encoder) {
  return encoder ? from(encoder)->model().kernels->name : "none";
}

const char* lb_isa(void) {
  const char* why_not;
  const Kernels* kernels = leanbert::choose_kernels(std::getenv("LEANBERT_ISA"), &why_not);
  return kernels ? kernels->name : "none";
}

double lb_roof(double seconds) {
  const char* why_not;
  const Kernels* kernels = leanbert::choose_kernels(std::getenv("LEANBERT_ISA"), &why_not);
  return kernels ? kernels->roof(seconds) : 0;
}

int lb_scores(uint32_t function, uint64_t n_rows, uint64_t n_labels, const float* logits, float* scores,
              uint64_t* unsound, char* err, size_t err_len) {
  Error error(err, err_len);
  if (function != LB_SOFTMAX && function != LB_SIGMOID)
    return error.fail(LB_INVALID_ARGUMENT, "no function has the number %u", function);
  if (n_labels > uint64_t{1} << 20) return error.fail(LB_INVALID_ARGUMENT, "more than 2^20 labels");
  if (!unsound || (n_rows && n_labels && !(logits && scores)))
    return error.fail(LB_INVALID_ARGUMENT, "a pointer is NULL");
  *unsound = 0;
  if (!n_labels) return LB_OK;
  const leanbert::PlainFloats mode;
  for (; n_rows; n_rows--, logits += n_labels, scores += n_labels) {
    if (!leanbert::all_finite(logits, n_labels)) {
      std::fill_n(scores, n_labels, std::numeric_limits<float>::quiet_NaN());
      ++*unsound;
      continue;
    }
    std::copy_n(logits, n_labels, scores);
    (function == LB_SOFTMAX ? leanbert::softmax : leanbert::sigmoid)(scores, n_labels);
  }
  return LB_OK;
}

uint32_t lb_abi_version(void) { return LB_ABI_VERSION; }

const char* lb_version(void) { return LEANBERT_NATIVE_VERSION; }

}  // extern "C"
