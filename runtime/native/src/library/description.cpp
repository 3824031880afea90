#include "library/description.h"

#include <algorithm>

namespace leanbert::library {
namespace {

constexpr std::uint64_t most32 = UINT32_MAX, most64 = UINT64_MAX;
constexpr std::uint64_t formats = 2;

// The keys of an object: these, and any of `optional`.
void exactly(const std::string& name, Json value, const std::vector<std::string_view>& keys,
             const std::vector<std::string_view>& optional = {}) {
  for (const std::string_view key : keys)
    if (!value.find(key)) throw Wrong{name + " lacks " + std::string(key)};
  for (const auto [key, unused] : value.members())
    if (std::find(keys.begin(), keys.end(), key) == keys.end() &&
        std::find(optional.begin(), optional.end(), key) == optional.end())
      throw Wrong{name + " has the unknown key " + library::brief(key)};
}

}  // namespace

Description::Description(Json layout) {
  exactly("the layout", object("native", layout), {"format", "file", "architecture", "tensors"});
  const std::uint64_t format = whole("format", member(layout, "format"), 1, formats);
  file = string("file", member(layout, "file"));
  for (const auto [name, entry] : object("tensors", member(layout, "tensors")).members()) tensors_.emplace(name, entry);

  const Json a = object("architecture", member(layout, "architecture"));
  std::vector<std::string_view> optional;
  if (format > 1) optional = {"pre_norm", "gated", "windows", "rotary", "relative_buckets"};
  exactly("architecture", a,
          {"hidden_size", "num_attention_heads", "intermediate_size", "embedding_size", "vocab_size", "max_positions",
           "position_offset", "type_vocab_size", "num_layers", "activation", "layer_norm_eps", "head",
           "head_activation", "token_type_ids"},
          optional);
  const auto size = [&](std::string_view key) {
    return static_cast<std::uint32_t>(whole(key, member(a, key), 0, most32));
  };
  const auto flag = [&](std::string_view key) { return a.find(key) && boolean(key, a.find(key)); };
  const auto activation = [&](std::string_view key) {  // in the order of LB_IDENTITY to LB_SILU
    return static_cast<std::uint32_t>(
        one_of(key, member(a, key), {"identity", "gelu", "gelu_tanh", "relu", "tanh", "silu"}));
  };
  desc_.struct_size = sizeof desc_;
  desc_.layer_size = sizeof(lb_layer);
  desc_.hidden_size = size("hidden_size");
  desc_.num_attention_heads = size("num_attention_heads");
  desc_.intermediate_size = size("intermediate_size");
  desc_.embedding_size = size("embedding_size");
  desc_.vocab_size = size("vocab_size");
  desc_.max_positions = size("max_positions");
  desc_.position_offset = size("position_offset");
  desc_.type_vocab_size = size("type_vocab_size");
  desc_.activation = activation("activation");
  desc_.layer_norm_eps = static_cast<float>(number("layer_norm_eps", member(a, "layer_norm_eps")));
  desc_.head =
      static_cast<std::uint32_t>(one_of("head", member(a, "head"), {"none", "first_token", "every_token", "mean"}));
  desc_.head_activation = activation("head_activation");
  desc_.pre_norm = flag("pre_norm");
  desc_.gated = flag("gated");
  token_type_ids = boolean("token_type_ids", member(a, "token_type_ids"));
  // So that no memory is taken for layers without tensors.
  const std::size_t count = whole("num_layers", member(a, "num_layers"), 0, tensors_.size());

  desc_.word = tensor("embeddings.word");
  desc_.word_scale = tensor("embeddings.word_scale");
  desc_.position = tensor("embeddings.position");
  desc_.position_scale = tensor("embeddings.position_scale");
  desc_.token_type = tensor("embeddings.token_type");
  desc_.embedding_norm = norm("embeddings.norm");
  desc_.projection = matmul("embeddings.projection");
  desc_.head_dense = matmul("head.dense");
  desc_.head_norm = norm("head.norm");
  desc_.classifier = matmul("head.classifier");
  desc_.final_norm = norm("final_norm");
  for (int i = 0; i < 2; i++) {
    desc_.rotary_cos[i] = tensor("rotary." + std::to_string(i + 1) + ".cos");
    desc_.rotary_sin[i] = tensor("rotary." + std::to_string(i + 1) + ".sin");
  }
  desc_.relative_bias = tensor("relative.bias");
  const std::vector<std::uint32_t> windows = numbers(a, "windows", count), rotary = numbers(a, "rotary", count);
  for (std::size_t i = 0; i < count; i++) {
    const std::string name = "layer." + std::to_string(i) + '.';
    lb_layer layer{};
    layer.query = matmul(name + "query");
    layer.qkv = matmul(name + "qkv");
    layer.attention_output = matmul(name + "attention_output");
    layer.attention_norm = norm(name + "attention_norm");
    layer.ffn_up = matmul(name + "ffn_up");
    layer.ffn_down = matmul(name + "ffn_down");
    layer.ffn_norm = norm(name + "ffn_norm");
    layer.position_key = tensor(name + "position_key.weight");
    layer.position_query = tensor(name + "position_query.weight");
    layer.window = windows[i];
    layer.rotary = rotary[i];
    layers_.push_back(layer);
  }
  if (const Json buckets = a.find("relative_buckets")) {
    for (const auto [unused, bucket] : list("relative_buckets", buckets).items())
      buckets_.push_back(static_cast<std::uint32_t>(whole("relative_buckets", bucket, 0, most32)));
  }
  if (!tensors_.empty()) throw Wrong{"the unknown tensor " + library::brief(tensors_.begin()->first)};
}

lb_model_desc Description::record(const char* path, std::uint32_t threads) const {
  lb_model_desc desc = desc_;
  desc.path = path;
  desc.threads = threads;
  desc.num_layers = static_cast<std::uint32_t>(layers_.size());
  desc.layers = layers_.data();
  desc.num_relative_buckets = static_cast<std::uint32_t>(buckets_.size());
  desc.relative_buckets = buckets_.data();
  return desc;
}

std::size_t Description::longest() const {
  return desc_.max_positions > desc_.position_offset ? desc_.max_positions - desc_.position_offset : 0;
}

lb_tensor Description::tensor(const std::string& name) {
  const auto taken = tensors_.extract(name);
  if (!taken) return {};
  const Json entry = object(name, taken.mapped());
  exactly(name, entry, {"dtype", "shape", "offset", "bytes"});
  const Json shape = list(name + ".shape", member(entry, "shape"));
  if (shape.size() != 1 && shape.size() != 2) throw Wrong{name + ".shape has not one or two sizes"};
  lb_tensor record{};
  record.offset = whole(name + ".offset", member(entry, "offset"), 0, most64);
  record.bytes = whole(name + ".bytes", member(entry, "bytes"), 0, most64);
  record.dtype = one_of(name + ".dtype", member(entry, "dtype"), {"int8", "float32"}) ? LB_FLOAT32 : LB_INT8;
  record.rows = shape.size() == 1 ? 1 : static_cast<std::uint32_t>(whole(name + ".shape", shape.at(0), 0, most32));
  record.cols = static_cast<std::uint32_t>(whole(name + ".shape", shape.at(shape.size() - 1), 0, most32));
  return record;
}

lb_matmul Description::matmul(const std::string& name) {
  return {tensor(name + ".weight"), tensor(name + ".scale"), tensor(name + ".bias"), tensor(name + ".smoothing")};
}

lb_norm Description::norm(const std::string& name) { return {tensor(name + ".gamma"), tensor(name + ".beta")}; }

// One for each layer; 0 where the key is absent.
std::vector<std::uint32_t> Description::numbers(Json architecture, std::string_view key, std::size_t length) const {
  std::vector<std::uint32_t> found(length);
  const Json values = architecture.find(key);
  if (!values) return found;
  if (list(key, values).size() != length) throw Wrong{std::string(key) + " is not a list of one number per layer"};
  std::size_t i = 0;
  for (const auto [unused, value] : values.items())
    found[i++] = static_cast<std::uint32_t>(whole(key, value, 0, most32));
  return found;
}

}  // namespace leanbert::library
