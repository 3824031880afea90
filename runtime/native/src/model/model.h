// A checked and packed model: what lb_open makes of a description.
#pragma once

#include <cstdlib>

#include "error.h"
#include "kernels/kernels.h"
#include "platform/memory.h"
#include "platform/platform.h"

namespace leanbert {

struct Norm {
  const float* gamma = nullptr;
  const float* beta = nullptr;
  bool present() const { return gamma != nullptr; }
};

struct Layer {
  Matmul query, qkv;  // where there is a query apart, qkv is K | V
  Matmul attention_output, ffn_up, ffn_down;
  Norm attention_norm, ffn_norm;
  size_t window;                               // 0: a token attends to all of its text
  size_t rotary;                               // 0: none, else the tables [rotary - 1]
  const float *position_key, *position_query;  // f32 [rows, hidden] of disentangled attention, where they were read
  RelativeHead* relative;                      // one for each head, or null

  const Matmul& first() const { return query.present() ? query : qkv; }                       // where Q's columns are
  const float* smoothing() const { return qkv.is_int8() ? qkv.smoothing : query.smoothing; }  // of attention's input
};

// The rows of an embedding, int8 with one scale per row, or f32. They stay where they were read.
struct EmbeddingTable {
  const void* data = nullptr;
  const float* scale = nullptr;  // null: f32
  size_t rows = 0, width = 0;

  bool is_int8() const { return scale != nullptr; }
  const void* row(size_t i) const {
    return static_cast<const char*>(data) + i * width * (is_int8() ? 1 : sizeof(float));
  }
  float row_scale(size_t i) const { return scale ? scale[i] : 1.f; }
};

// Relative positions: what the description says, and what attention reads (relative.h makes it).
struct Relative {
  const float* bias_rows = nullptr;  // f32 [rows, heads]
  bool disentangled = false;
  const uint32_t* buckets = nullptr;  // the row of each distance key - query, the middle one of distance 0
  size_t bucket_count = 0, rows = 0;

  float* bias = nullptr;  // of distance 0 and head 0, in powers of two
  size_t bias_stride = 0;
  RowOfDistance after, before;
};

// What is asked of the weights file before any of its numbers is used.
struct FileCheck {
  uint64_t most;                                                                // bytes; a larger file is not read
  int (*check)(void* context, const char* data, uint64_t bytes, Error& error);  // LB_OK, or why not
  void* context;
};

class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model() { std::free(layers); }

  // Checks every number and record of `desc`, reads the file, packs for `kernels`.
  int open(const lb_model_desc& desc, const Kernels& kernels, const FileCheck* check, Error& error);

  const Kernels* kernels = nullptr;
  size_t threads = 1;
  size_t hidden = 0, heads = 0, head_width = 0, intermediate = 0, embedding = 0;
  size_t vocabulary = 0, longest = 0, position_offset = 0, types = 0, labels = 0;
  float eps = 0;
  Activation activation = Activation::gelu, head_activation = Activation::identity;
  uint32_t head = LB_HEAD_NONE;
  EmbeddingTable words, positions;
  const float* token_types = nullptr;
  size_t head_size = 0;  // inputs of the classifier
  Norm embedding_norm, head_norm, final_norm;
  bool pre_norm = false, gated = false;
  const float* cosines[2] = {};  // f32 [longest, head_width / 2], or null
  const float* sines[2] = {};
  Relative relative;
  Matmul projection, head_dense, classifier;
  Layer* layers = nullptr;
  size_t layer_count = 0;

  size_t output_width() const { return head == LB_HEAD_NONE ? hidden : labels; }
  bool one_per_text() const { return head == LB_HEAD_FIRST_TOKEN || head == LB_HEAD_MEAN; }
  size_t output_rows(size_t sequences, size_t tokens) const { return one_per_text() ? sequences : tokens; }

 private:
  friend class ModelBuilder;
  Region weights_;
  platform::FileCopy file_;
};

}  // namespace leanbert
