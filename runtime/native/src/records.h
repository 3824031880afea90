// What a description says, checked: no number is used before it was compared with a bound, no record is read before it
// was shown to lie inside the data.
//
//   lb_model_desc, lb_layer[]  ->  Model with shapes, tables and norms that point into the data,
//                                  and a list of products still to be packed (model.cpp)
#pragma once

#include <cstdlib>

#include "error.h"
#include "memory.h"
#include "model.h"

namespace leanbert {

// A product still to be packed.
struct Pending {
  Product* product;
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

// The products of a layer, in the description and in the model.
struct LayerProduct {
  const lb_product lb_layer::* record;
  Product Layer::* product;
  const char* name;
};
constexpr LayerProduct layer_products[] = {{&lb_layer::query, &Layer::query, "query"},
                                           {&lb_layer::qkv, &Layer::qkv, "qkv"},
                                           {&lb_layer::attention_output, &Layer::attention_output, "attention_output"},
                                           {&lb_layer::ffn_up, &Layer::ffn_up, "ffn_up"},
                                           {&lb_layer::ffn_down, &Layer::ffn_down, "ffn_down"}};

// The first layer with the same records of a product, at most `i` itself. Layers with a query of their own read their
// qkv in another shape, so they match among themselves only.
size_t twin_of(const lb_layer* layers, size_t i, const LayerProduct& part);

class Records {
 public:
  Records(Model& model, const lb_model_desc& desc, Error& error) : model_(model), desc_(desc), error_(error) {}
  ~Records() { std::free(pending_); }
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // The numbers alone: sizes, counts, codes. Fills the model's.
  int check_numbers();
  // Every record against the data, `size` bytes at `data`, aligned to 4. Fills the model's tables, norms and layers, and
  // the list of products.
  int check_records(const char* data, uint64_t size);

  Pending* products() const { return pending_; }
  size_t count() const { return pending_count_; }
  size_t packed_bytes() const { return bytes_; }  // of all products

 private:
  int view(const lb_tensor& t, uint32_t dtype, uint64_t rows, uint64_t cols, const char* name, const void** out);
  int vector(const lb_tensor& t, uint64_t n, const char* name, const float** out);
  int norm(const lb_norm& record, uint64_t n, const char* name, Norm* out);
  int table(const lb_tensor& data, const lb_tensor& scale, uint64_t rows, uint64_t cols, const char* name, Table* out);
  int product(const lb_product& record, uint64_t k, uint64_t n, const char* name, Product* out);
  bool equal(const lb_tensor& a, const lb_tensor& b) const;
  int check_embeddings();
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
