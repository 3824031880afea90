// From the manifest's layout of tensors to the description that the engine takes; `Layout` in engines/native/layout.py.
//
// JSON becomes numbers and nothing more; the engine alone decides whether they make sense, and says why where they do not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "leanbert_native.h"
#include "library/values.h"

namespace leanbert::library {

class Description {
 public:
  // `layout` is the manifest's value of `native`. Throws Wrong.
  explicit Description(Json layout);

  // The record that the engine takes, as long as this object and `path` live.
  lb_model_desc record(const char* path, std::uint32_t threads) const;

  std::string file;             // that holds the weights
  bool token_type_ids = false;  // whether the graph takes them
  std::uint32_t head() const { return desc_.head; }
  std::size_t width() const { return desc_.hidden_size; }
  std::size_t labels() const { return desc_.classifier.weight.cols; }
  std::size_t longest() const;  // tokens of a text that has room in the positions

 private:
  lb_tensor tensor(const std::string& name);
  lb_matmul matmul(const std::string& name);
  lb_norm norm(const std::string& name);
  std::vector<std::uint32_t> numbers(Json architecture, std::string_view key, std::size_t length) const;

  std::map<std::string, Json> tensors_;  // that no record has taken yet; none once the object is made
  lb_model_desc desc_{};
  std::vector<lb_layer> layers_;
  std::vector<std::uint32_t> buckets_;
};

}  // namespace leanbert::library
