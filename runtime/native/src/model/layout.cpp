// Checking a layout; layout.h says what comes out. 14 us for BERT-base (Zen 4).
#include "model/layout.h"

#include <cstdlib>
#include <cstring>

namespace leanbert {
namespace {

constexpr uint32_t max_hidden = 4096, max_intermediate = 16384, max_layers = 256, max_threads = 64,
                   max_labels = 1u << 20;
constexpr uint32_t max_vocabulary = 1u << 22, max_positions = 1u << 16;
constexpr uint32_t max_buckets = 1u << 17, max_bias_rows = 1u << 16, max_table_rows = 4096;

bool same(const lb_tensor& a, const lb_tensor& b) {
  return a.offset == b.offset && a.bytes == b.bytes && a.dtype == b.dtype && a.rows == b.rows && a.cols == b.cols;
}
bool same(const lb_matmul& a, const lb_matmul& b) {
  return same(a.weight, b.weight) && same(a.scale, b.scale) && same(a.bias, b.bias) && same(a.smoothing, b.smoothing);
}

bool present(const lb_matmul& p) { return p.weight.dtype != LB_ABSENT; }
bool absent(const lb_tensor& t) { return t.dtype == LB_ABSENT && !t.bytes && !t.rows && !t.cols; }

}  // namespace

size_t twin_of(const lb_layer* layers, size_t i, const LayerMatmul& part) {
  size_t twin = 0;
  while (twin < i && !(present(layers[twin].query) == present(layers[i].query) &&
                       same(layers[twin].*part.record, layers[i].*part.record)))
    twin++;
  return twin;
}

int Layout::check_numbers() {
  const lb_model_desc& d = desc_;
  const auto bad = [&](const char* what, unsigned long long value, const char* rule) {
    return error_.fail(LB_INVALID_MODEL, "%s is %llu: %s", what, value, rule);
  };
  const auto outside = [&](const char* what, unsigned long long value, const char* rule) {
    return error_.fail(LB_UNSUPPORTED, "%s is %llu: the native engine covers %s", what, value, rule);
  };
  if (d.threads < 1 || d.threads > max_threads) return bad("threads", d.threads, "must be 1 to 64");
  if (d.hidden_size == 0) return bad("hidden_size", d.hidden_size, "must be positive");
  if (d.hidden_size % 32 || d.hidden_size > max_hidden)
    return outside("hidden_size", d.hidden_size, "multiples of 32 up to 4096");
  if (d.num_attention_heads == 0 || d.hidden_size % d.num_attention_heads)
    return bad("num_attention_heads", d.num_attention_heads, "must divide hidden_size");
  const uint32_t width = d.hidden_size / d.num_attention_heads;
  if (width < 16 || width > 128 || width % 8)
    return outside("the size of a head", width, "multiples of 8 from 16 to 128");
  if (d.intermediate_size == 0 || d.intermediate_size % 32 || d.intermediate_size > max_intermediate)
    return outside("intermediate_size", d.intermediate_size, "multiples of 32 up to 16384");
  if (d.embedding_size == 0 || d.embedding_size % 32 || d.embedding_size > max_hidden)
    return outside("embedding_size", d.embedding_size, "multiples of 32 up to 4096");
  if (d.vocab_size == 0 || d.vocab_size > max_vocabulary)
    return bad("vocab_size", d.vocab_size, "must be 1 to 4194304");
  if (d.max_positions == 0 || d.max_positions > max_positions)
    return bad("max_positions", d.max_positions, "must be 1 to 65536");
  if (d.position_offset >= d.max_positions)
    return bad("position_offset", d.position_offset, "must be below max_positions");
  if (d.type_vocab_size > 65536) return bad("type_vocab_size", d.type_vocab_size, "must be at most 65536");
  if (d.activation != LB_GELU && d.activation != LB_GELU_TANH && d.activation != LB_RELU && d.activation != LB_SILU)
    return outside("activation", d.activation, "gelu, gelu_tanh, relu and silu");
  if (!(d.layer_norm_eps >= 0.f && d.layer_norm_eps <= 1.f))
    return error_.fail(LB_INVALID_MODEL, "layer_norm_eps must be 0 to 1");
  if (d.num_layers < 1 || d.num_layers > max_layers) return bad("num_layers", d.num_layers, "must be 1 to 256");
  if (!d.layers) return error_.fail(LB_INVALID_MODEL, "layers is NULL");
  if (d.head > LB_HEAD_MEAN) return outside("head", d.head, "none, first token, every token, mean");
  if (d.head_activation > LB_SILU)
    return outside("head_activation", d.head_activation, "identity, gelu, gelu_tanh, relu, tanh, silu");
  if (d.pre_norm > 1) return outside("pre_norm", d.pre_norm, "0 and 1");
  if (d.gated > 1) return outside("gated", d.gated, "0 and 1");
  if (d.num_relative_buckets && (d.num_relative_buckets % 2 == 0 || d.num_relative_buckets > max_buckets))
    return bad("num_relative_buckets", d.num_relative_buckets, "must be odd and below 131072");
  if (d.num_relative_buckets && !d.relative_buckets) return error_.fail(LB_INVALID_MODEL, "relative_buckets is NULL");

  Model& m = model_;
  m.threads = d.threads;
  m.hidden = d.hidden_size;
  m.heads = d.num_attention_heads;
  m.head_width = width;
  m.intermediate = d.intermediate_size;
  m.embedding = d.embedding_size;
  m.vocabulary = d.vocab_size;
  m.longest = d.max_positions - d.position_offset;
  m.position_offset = d.position_offset;
  m.types = d.type_vocab_size;
  m.activation = static_cast<Activation>(d.activation);
  m.head_activation = static_cast<Activation>(d.head_activation);
  m.head = d.head;
  m.pre_norm = d.pre_norm;
  m.gated = d.gated;
  m.eps = d.layer_norm_eps;
  return LB_OK;
}

// Checks that a record has this shape and lies inside the data; gives its address.
int Layout::view(const lb_tensor& t, uint32_t dtype, uint64_t rows, uint64_t cols, const char* name, const void** out) {
  static const char* const names[] = {"absent", "int8", "float32"};
  if (t.dtype != dtype)
    return error_.fail(LB_INVALID_MODEL, "%s%s is %s, expected %s", where_, name,
                       t.dtype <= LB_FLOAT32 ? names[t.dtype] : "of an unknown type", names[dtype]);
  if (t.rows != rows || t.cols != cols)
    return error_.fail(LB_INVALID_MODEL, "%s%s is %u x %u, expected %llu x %llu", where_, name, t.rows, t.cols,
                       static_cast<unsigned long long>(rows), static_cast<unsigned long long>(cols));
  const uint64_t bytes =
      rows * cols * (dtype == LB_INT8 ? 1 : sizeof(float));  // both below 2^32, shapes checked: below 2^40
  if (t.bytes != bytes)
    return error_.fail(LB_INVALID_MODEL, "%s%s has %llu bytes, its shape needs %llu", where_, name,
                       static_cast<unsigned long long>(t.bytes), static_cast<unsigned long long>(bytes));
  if (t.offset > size_ || bytes > size_ - t.offset)
    return error_.fail(LB_INVALID_MODEL, "%s%s ends at byte %llu + %llu, beyond the data's %llu", where_, name,
                       static_cast<unsigned long long>(t.offset), static_cast<unsigned long long>(bytes),
                       static_cast<unsigned long long>(size_));
  if (dtype == LB_FLOAT32 && t.offset % sizeof(float))
    return error_.fail(LB_INVALID_MODEL, "%s%s starts at byte %llu, not a multiple of 4", where_, name,
                       static_cast<unsigned long long>(t.offset));
  *out = data_ + t.offset;
  return LB_OK;
}

int Layout::vector(const lb_tensor& t, uint64_t n, const char* name, const float** out) {
  const void* p = nullptr;
  const int status = view(t, LB_FLOAT32, 1, n, name, &p);
  *out = static_cast<const float*>(p);
  return status;
}

int Layout::matrix(const lb_tensor& t, uint64_t rows, uint64_t cols, const char* name, const float** out) {
  const void* p = nullptr;
  const int status = view(t, LB_FLOAT32, rows, cols, name, &p);
  *out = static_cast<const float*>(p);
  return status;
}

int Layout::norm(const lb_norm& record, uint64_t n, const char* name, Norm* out) {
  name_part(name, ".gamma");
  if (int status = vector(record.gamma, n, part_, &out->gamma)) return status;
  if (absent(record.beta)) return LB_OK;  // zeros
  name_part(name, ".beta");
  return vector(record.beta, n, part_, &out->beta);
}

int Layout::embedding(const lb_tensor& data, const lb_tensor& scale, uint64_t rows, uint64_t cols, const char* name,
                      EmbeddingTable* out) {
  const bool int8 = data.dtype == LB_INT8;
  if (int status = view(data, int8 ? LB_INT8 : LB_FLOAT32, rows, cols, name, &out->data)) return status;
  name_part(name, ".scale");
  if (int8) {
    if (int status = vector(scale, rows, part_, &out->scale)) return status;
  } else if (scale.dtype != LB_ABSENT) {
    return error_.fail(LB_INVALID_MODEL, "%s belongs to a float32 table", part_);
  }
  out->rows = rows;
  out->width = cols;
  return LB_OK;
}

int Layout::matmul(const lb_matmul& record, uint64_t k, uint64_t n, const char* name, Matmul* out) {
  Pending p{};
  p.matmul = out;
  out->k = static_cast<uint32_t>(k);
  out->n = static_cast<uint32_t>(n);
  const size_t panel = model_.kernels->panel;
  out->columns = static_cast<uint32_t>((n + panel - 1) / panel * panel);
  const bool int8 = record.weight.dtype == LB_INT8;
  name_part(name, ".weight");
  if (int status = view(record.weight, int8 ? LB_INT8 : LB_FLOAT32, k, n, part_, &p.weight)) return status;
  name_part(name, ".scale");
  if (int8) {
    if (int status = vector(record.scale, n, part_, &p.scale)) return status;
  } else if (record.scale.dtype != LB_ABSENT) {
    return error_.fail(LB_INVALID_MODEL, "%s%s belongs to a float32 weight", where_, part_);
  }
  name_part(name, ".bias");
  if (record.bias.dtype != LB_ABSENT) {
    p.bias_count = record.bias.cols >= 1 && record.bias.cols <= n ? record.bias.cols : n;
    if (int status = vector(record.bias, p.bias_count, part_, &p.bias)) return status;
  }
  name_part(name, ".smoothing");
  if (record.smoothing.dtype != LB_ABSENT) {
    if (!int8) return error_.fail(LB_INVALID_MODEL, "%s%s belongs to a float32 weight", where_, part_);
    if (int status = vector(record.smoothing, k, part_, &p.smoothing)) return status;
    bytes_ += Region::piece<float>(k);
  }
  pending_[pending_count_++] = p;
  const size_t columns = out->columns;
  bytes_ += int8 ? Region::piece<int8_t>(k * columns) + Region::piece<int32_t>(columns) + Region::piece<float>(columns)
                 : Region::piece<float>(k * columns);
  bytes_ += Region::piece<float>(columns);
  return LB_OK;
}

// Whether two vectors, both checked before, are both absent or have the same numbers.
bool Layout::equal(const lb_tensor& a, const lb_tensor& b) const {
  if (a.dtype == LB_ABSENT || b.dtype == LB_ABSENT) return a.dtype == b.dtype;
  return a.bytes == b.bytes && std::memcmp(data_ + a.offset, data_ + b.offset, a.bytes) == 0;
}

int Layout::check_embeddings() {
  const lb_model_desc& d = desc_;
  Model& m = model_;
  const uint64_t h = m.hidden, e = m.embedding;
  if (int status = embedding(d.word, d.word_scale, m.vocabulary, e, "word embedding", &m.words)) return status;
  const bool placed = d.rotary_cos[0].dtype != LB_ABSENT || d.num_relative_buckets;  // positions come in another way
  if (!placed || !absent(d.position)) {
    if (int status = embedding(d.position, d.position_scale, d.max_positions, e, "position embedding", &m.positions))
      return status;
  } else if (d.position_scale.dtype != LB_ABSENT) {
    return error_.fail(LB_INVALID_MODEL, "position embedding.scale is given without a position embedding");
  }
  if (m.types) {
    const void* p = nullptr;
    if (int status = view(d.token_type, LB_FLOAT32, m.types, e, "token type embedding", &p)) return status;
    m.token_types = static_cast<const float*>(p);
  } else if (d.token_type.dtype != LB_ABSENT) {
    return error_.fail(LB_INVALID_MODEL, "token type embedding is given, type_vocab_size is 0");
  }
  if (int status = norm(d.embedding_norm, e, "embedding norm", &m.embedding_norm)) return status;
  if (d.projection.weight.dtype != LB_ABSENT) {
    if (int status = matmul(d.projection, e, h, "projection", &m.projection)) return status;
  } else if (e != h) {
    return error_.fail(LB_INVALID_MODEL, "embedding_size differs from hidden_size and there is no projection");
  }
  return LB_OK;
}

int Layout::check_positions() {
  const lb_model_desc& d = desc_;
  Model& m = model_;
  const uint64_t half = m.head_width / 2;
  for (int i = 0; i < 2; i++) {
    if (absent(d.rotary_cos[i]) && absent(d.rotary_sin[i])) continue;
    if (int status = matrix(d.rotary_cos[i], d.max_positions, half, "rotary cosines", &m.cosines[i])) return status;
    if (int status = matrix(d.rotary_sin[i], d.max_positions, half, "rotary sines", &m.sines[i])) return status;
  }
  Relative& r = m.relative;
  const bool bias = !absent(d.relative_bias), tables = !absent(d.layers[0].position_key);
  if (!d.num_relative_buckets && !bias && !tables) return LB_OK;
  if (!d.num_relative_buckets || bias == tables)
    return error_.fail(LB_INVALID_MODEL, "relative positions need buckets, and either a bias or tables");
  if (m.cosines[0] || m.cosines[1]) return error_.fail(LB_UNSUPPORTED, "rotary tables beside relative positions");
  r.disentangled = tables;
  r.rows = bias ? d.relative_bias.rows : d.layers[0].position_key.rows;
  const uint32_t most = bias ? max_bias_rows : max_table_rows;
  if (r.rows < 1 || r.rows > most)
    return error_.fail(LB_UNSUPPORTED, "%zu relative positions: the native engine covers 1 to %u", r.rows, most);
  if (bias)
    if (int status = matrix(d.relative_bias, r.rows, m.heads, "relative bias", &r.bias_rows)) return status;
  r.buckets = d.relative_buckets;
  r.bucket_count = d.num_relative_buckets;
  for (size_t i = 0; i < r.bucket_count; i++) {
    if (r.buckets[i] >= r.rows)
      return error_.fail(LB_INVALID_MODEL, "relative_buckets[%zu] is %u: must be 0 to %zu", i, r.buckets[i],
                         r.rows - 1);
    if (tables && i && r.buckets[i] > r.buckets[i - 1])
      return error_.fail(LB_UNSUPPORTED, "relative_buckets[%zu] is %u: larger than the one before it", i, r.buckets[i]);
  }
  return LB_OK;
}

int Layout::check_layer(size_t i) {
  const uint64_t h = model_.hidden, f = model_.intermediate;
  const lb_model_desc& d = desc_;
  const lb_layer& record = d.layers[i];
  Layer& layer = model_.layers[i];
  std::snprintf(where_, sizeof where_, "layer %zu: ", i);
  const bool split = present(record.query);
  const uint64_t inputs[] = {h, h, h, h, f}, outputs[] = {h, (split ? 2 : 3) * h, h, (model_.gated ? 2 : 1) * f, h};
  if (record.ffn_down.smoothing.dtype != LB_ABSENT)
    return error_.fail(LB_UNSUPPORTED, "%sffn_down has a smoothing", where_);
  for (size_t p = 0; p < sizeof layer_matmuls / sizeof *layer_matmuls; p++) {
    const LayerMatmul& part = layer_matmuls[p];
    // A layer that repeats another's records shares its packed weights; they are copied after packing.
    if ((p == 0 && !split) || twin_of(d.layers, i, part) < i) continue;
    if (int status = matmul(record.*part.record, inputs[p], outputs[p], part.name, &(layer.*part.matmul)))
      return status;
  }
  if (split && record.query.weight.dtype == LB_INT8 && record.qkv.weight.dtype == LB_INT8 &&
      !equal(record.query.smoothing, record.qkv.smoothing))
    return error_.fail(LB_UNSUPPORTED, "%squery.smoothing differs from qkv.smoothing", where_);
  if (!model_.pre_norm || !absent(record.attention_norm.gamma) || !absent(record.attention_norm.beta))
    if (int status = norm(record.attention_norm, h, "attention_norm", &layer.attention_norm)) return status;
  if (int status = norm(record.ffn_norm, h, "ffn_norm", &layer.ffn_norm)) return status;
  if (model_.relative.disentangled) {
    const uint64_t rows = model_.relative.rows;
    if (int status = matrix(record.position_key, rows, h, "position_key", &layer.position_key)) return status;
    if (!absent(record.position_query))
      if (int status = matrix(record.position_query, rows, h, "position_query", &layer.position_query)) return status;
  } else if (!absent(record.position_key) || !absent(record.position_query)) {
    return error_.fail(LB_INVALID_MODEL, "%sposition_key or position_query is not in every layer", where_);
  }
  layer.window = record.window;
  layer.rotary = record.rotary;
  if (layer.window > max_positions)
    return error_.fail(LB_INVALID_MODEL, "%swindow is %u: must be at most 65536", where_, record.window);
  if (layer.window && model_.relative.bucket_count)
    return error_.fail(LB_UNSUPPORTED, "%sa window beside relative positions", where_);
  if (layer.rotary > 2 || (layer.rotary && !model_.cosines[layer.rotary - 1]))
    return error_.fail(LB_INVALID_MODEL, "%srotary is %u: there are no such tables", where_, record.rotary);
  where_[0] = 0;
  return LB_OK;
}

int Layout::check_head() {
  const lb_model_desc& d = desc_;
  Model& m = model_;
  const uint64_t h = m.hidden;
  if (m.head == LB_HEAD_NONE) return LB_OK;
  m.head_size = m.hidden;
  if (d.head_dense.weight.dtype != LB_ABSENT) {
    // A masked-word head may return to the embeddings' width.
    m.head_size = d.classifier.weight.rows;
    if (m.head_size != m.hidden && m.head_size != m.embedding)
      return error_.fail(LB_UNSUPPORTED, "classifier has %zu inputs, neither hidden_size nor embedding_size",
                         m.head_size);
    if (int status = matmul(d.head_dense, h, m.head_size, "head dense", &m.head_dense)) return status;
  }
  if (d.head_norm.gamma.dtype != LB_ABSENT) {
    if (!m.head_dense.columns) return error_.fail(LB_UNSUPPORTED, "a head's norm without a dense matmul");
    if (int status = norm(d.head_norm, m.head_size, "head norm", &m.head_norm)) return status;
  }
  m.labels = d.classifier.weight.cols;
  if (m.labels < 1 || m.labels > max_labels)
    return error_.fail(LB_INVALID_MODEL, "classifier has %zu labels, must be 1 to 1048576", m.labels);
  return matmul(d.classifier, m.head_size, m.labels, "classifier", &m.classifier);
}

int Layout::check_records(const char* data, uint64_t size) {
  data_ = data;
  size_ = size;
  pending_ = static_cast<Pending*>(std::calloc(5 * size_t{desc_.num_layers} + 3, sizeof(Pending)));
  model_.layers = static_cast<Layer*>(std::calloc(desc_.num_layers, sizeof(Layer)));
  if (!pending_ || !model_.layers) return error_.fail(LB_NO_MEMORY, "out of memory");
  model_.layer_count = desc_.num_layers;
  if (int status = check_embeddings()) return status;
  if (int status = check_positions()) return status;
  if (model_.pre_norm) {
    if (int status = norm(desc_.final_norm, model_.hidden, "final norm", &model_.final_norm)) return status;
  } else if (!absent(desc_.final_norm.gamma)) {
    return error_.fail(LB_INVALID_MODEL, "a final norm without pre_norm");
  }
  for (size_t i = 0; i < model_.layer_count; i++)
    if (int status = check_layer(i)) return status;
  return check_head();
}

void Layout::name_part(const char* name, const char* suffix) {
  std::snprintf(part_, sizeof part_, "%s%s", name, suffix);
}

}  // namespace leanbert
