// The layout that the caller describes (where each tensor lies in the weights), checked: no number is used before it was
// compared with a bound, no record is read before it was shown to lie inside the data.
//
//   lb_model_desc, lb_layer[]  ->  Model with shapes, embeddings and norms that point into the data,
//                                  and a list of matmuls still to be packed (model.cpp)
#pragma once

#include <cstdlib>

#include "error.h"
#include "platform/memory.h"
#include "model/model.h"

namespace leanbert {

// A matmul still to be packed.
struct Pending {
  Matmul* matmul;
  const void* weight;
  const float* scale;
  const float* bias;
  const float* smoothing;
  size_t bias_count;
  int8_t* packed;
  float* packed_f32;
  int32_t* column_sum;
  float* padded_scale;
  float* padded_bias;
  float* kept_smoothing;
};

// Where the matmuls of a layer stand in the description and in the model.
struct LayerMatmul {
  const lb_matmul lb_layer::* record;
  Matmul Layer::* matmul;
  const char* name;
};
constexpr LayerMatmul layer_matmuls[] = {{&lb_layer::query, &Layer::query, "query"},
                                         {&lb_layer::qkv, &Layer::qkv, "qkv"},
                                         {&lb_layer::attention_output, &Layer::attention_output, "attention_output"},
                                         {&lb_layer::ffn_up, &Layer::ffn_up, "ffn_up"},
                                         {&lb_layer::ffn_down, &Layer::ffn_down, "ffn_down"}};

// The first layer with the same records of a matmul, at most `i` itself. Layers with a query of their own read their
// qkv in another shape, so they match among themselves only.
size_t twin_of(const lb_layer* layers, size_t i, const LayerMatmul& part);

class Layout {
 public:
  Layout(Model& model, const lb_model_desc& desc, Error& error) : model_(model), desc_(desc), error_(error) {}
  ~Layout() { std::free(pending_); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  // Checks the numbers alone (sizes, counts, codes) and fills the model's.
  int check_numbers();
  // Checks every record against the data, `size` bytes at `data`, aligned to 4. Fills the model's embeddings, norms and layers, and
  // the list of matmuls.
  int check_records(const char* data, uint64_t size);

  Pending* matmuls() const { return pending_; }
  size_t count() const { return pending_count_; }
  size_t packed_bytes() const { return bytes_; }  // of all matmuls

 private:
  int view(const lb_tensor& t, uint32_t dtype, uint64_t rows, uint64_t cols, const char* name, const void** out);
  int vector(const lb_tensor& t, uint64_t n, const char* name, const float** out);
  int matrix(const lb_tensor& t, uint64_t rows, uint64_t cols, const char* name, const float** out);
  int norm(const lb_norm& record, uint64_t n, const char* name, Norm* out);
  int embedding(const lb_tensor& data, const lb_tensor& scale, uint64_t rows, uint64_t cols, const char* name,
                EmbeddingTable* out);
  int matmul(const lb_matmul& record, uint64_t k, uint64_t n, const char* name, Matmul* out);
  bool equal(const lb_tensor& a, const lb_tensor& b) const;
  int check_embeddings();
  int check_positions();
  int check_layer(size_t i);
  int check_head();
  void name_part(const char* name, const char* suffix);

  Model& model_;
  const lb_model_desc& desc_;
  Error& error_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  Pending* pending_ = nullptr;
  size_t pending_count_ = 0;
  size_t bytes_ = 0;
  char where_[32] = "";  // "layer 3: "
  char part_[64] = "";   // "ffn_up.scale"
};

}  // namespace leanbert
