// Opening a model: check everything, then pack. No number of the description is used before it was compared with a
// bound, no record is read before it was shown to lie inside the data.
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "packing.h"

namespace leanbert {
namespace {

constexpr uint32_t max_hidden = 4096, max_intermediate = 16384, max_layers = 256, max_threads = 64, max_labels = 65536;
constexpr uint32_t max_vocabulary = 1u << 22, max_positions = 1u << 16;

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

bool same(const lb_tensor& a, const lb_tensor& b) {
  return a.offset == b.offset && a.bytes == b.bytes && a.dtype == b.dtype && a.rows == b.rows && a.cols == b.cols;
}
bool same(const lb_product& a, const lb_product& b) {
  return same(a.weight, b.weight) && same(a.scale, b.scale) && same(a.bias, b.bias) && same(a.smoothing, b.smoothing);
}

struct LayerProduct {
  const lb_product lb_layer::*record;
  Product Layer::*product;
  const char* name;
};
constexpr LayerProduct layer_products[] = {{&lb_layer::query, &Layer::query, "query"},
                                           {&lb_layer::qkv, &Layer::qkv, "qkv"},
                                           {&lb_layer::attention_output, &Layer::attention_output, "attention_output"},
                                           {&lb_layer::ffn_up, &Layer::ffn_up, "ffn_up"},
                                           {&lb_layer::ffn_down, &Layer::ffn_down, "ffn_down"}};

bool present(const lb_product& p) { return p.weight.dtype != LB_ABSENT; }

// The first layer with the same records of a product, at most `i` itself. Layers with a query of their own read their
// qkv in another shape, so they match among themselves only.
size_t twin_of(const lb_layer* layers, size_t i, const LayerProduct& part) {
  size_t twin = 0;
  while (twin < i && !(present(layers[twin].query) == present(layers[i].query) &&
                       same(layers[twin].*part.record, layers[i].*part.record)))
    twin++;
  return twin;
}

}  // namespace

class ModelBuilder {
 public:
  ModelBuilder(Model& model, const lb_model_desc& desc, Error& error) : model_(model), desc_(desc), error_(error) {}
  ~ModelBuilder() { std::free(pending_); }

  int build() {
    if (int status = check_numbers()) return status;
    if (int status = map()) return status;
    if (int status = check_records()) return status;
    return pack();
  }

 private:
  int check_numbers() {
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
    if (d.activation != LB_GELU && d.activation != LB_GELU_TANH && d.activation != LB_RELU)
      return outside("activation", d.activation, "gelu, gelu_tanh and relu");
    if (!(d.layer_norm_eps >= 0.f && d.layer_norm_eps <= 1.f))
      return error_.fail(LB_INVALID_MODEL, "layer_norm_eps must be 0 to 1");
    if (d.num_layers < 1 || d.num_layers > max_layers) return bad("num_layers", d.num_layers, "must be 1 to 256");
    if (!d.layers) return error_.fail(LB_INVALID_MODEL, "layers is NULL");
    if (d.head > LB_HEAD_EVERY_TOKEN) return outside("head", d.head, "none, first token, every token");
    if (d.head_activation > LB_TANH)
      return outside("head_activation", d.head_activation, "identity, gelu, gelu_tanh, relu, tanh");

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
    m.eps = d.layer_norm_eps;
    return LB_OK;
  }

  int map() {
    if (!desc_.path) {
      if (!desc_.data) return error_.fail(LB_INVALID_ARGUMENT, "neither path nor data is given");
      data_ = static_cast<const char*>(desc_.data);
      size_ = desc_.data_bytes;
      if (reinterpret_cast<uintptr_t>(data_) % sizeof(float))
        return error_.fail(LB_INVALID_ARGUMENT, "data must be aligned to 4 bytes");
      return LB_OK;
    }
    const int file = ::open(desc_.path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return error_.fail(LB_IO, "cannot open %s: %s", desc_.path, std::strerror(errno));
    struct stat info;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
      close(file);
      return error_.fail(LB_IO, "%s is not a file with content", desc_.path);
    }
    const size_t size = static_cast<size_t>(info.st_size);
    void* mapping = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
    const int why = errno;
    close(file);
    if (mapping == MAP_FAILED) return error_.fail(LB_IO, "cannot map %s: %s", desc_.path, std::strerror(why));
    model_.mapping_ = mapping;
    model_.mapped_ = size;
    data_ = static_cast<const char*>(mapping);
    size_ = size;
    return LB_OK;
  }

  // Shows that a record has this shape and lies inside the data; gives its address.
  int view(const lb_tensor& t, uint32_t dtype, uint64_t rows, uint64_t cols, const char* name, const void** out) {
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

  int vector(const lb_tensor& t, uint64_t n, const char* name, const float** out) {
    const void* p = nullptr;
    const int status = view(t, LB_FLOAT32, 1, n, name, &p);
    *out = static_cast<const float*>(p);
    return status;
  }

  int norm(const lb_norm& record, uint64_t n, const char* name, Norm* out) {
    name_(name, ".gamma");
    if (int status = vector(record.gamma, n, part_, &out->gamma)) return status;
    name_(name, ".beta");
    return vector(record.beta, n, part_, &out->beta);
  }

  int table(const lb_tensor& data, const lb_tensor& scale, uint64_t rows, uint64_t cols, const char* name, Table* out) {
    const bool int8 = data.dtype == LB_INT8;
    if (int status = view(data, int8 ? LB_INT8 : LB_FLOAT32, rows, cols, name, &out->data)) return status;
    name_(name, ".scale");
    if (int8) {
      if (int status = vector(scale, rows, part_, &out->scale)) return status;
    } else if (scale.dtype != LB_ABSENT) {
      return error_.fail(LB_INVALID_MODEL, "%s belongs to a float32 table", part_);
    }
    out->rows = rows;
    out->width = cols;
    return LB_OK;
  }

  int product(const lb_product& record, uint64_t k, uint64_t n, const char* name, Product* out) {
    Pending p{};
    p.product = out;
    out->k = static_cast<uint32_t>(k);
    out->n = static_cast<uint32_t>(n);
    const size_t panel = model_.kernels->panel;
    out->columns = static_cast<uint32_t>((n + panel - 1) / panel * panel);
    const bool int8 = record.weight.dtype == LB_INT8;
    name_(name, ".weight");
    if (int status = view(record.weight, int8 ? LB_INT8 : LB_FLOAT32, k, n, part_, &p.weight)) return status;
    name_(name, ".scale");
    if (int8) {
      if (n % 32)
        return error_.fail(LB_UNSUPPORTED, "%s%s has %llu columns: int8 weights need multiples of 32", where_, name,
                           static_cast<unsigned long long>(n));
      if (int status = vector(record.scale, n, part_, &p.scale)) return status;
    } else if (record.scale.dtype != LB_ABSENT) {
      return error_.fail(LB_INVALID_MODEL, "%s%s belongs to a float32 weight", where_, part_);
    }
    name_(name, ".bias");
    if (record.bias.dtype != LB_ABSENT) {
      p.bias_count = record.bias.cols >= 1 && record.bias.cols <= n ? record.bias.cols : n;
      if (int status = vector(record.bias, p.bias_count, part_, &p.bias)) return status;
    }
    name_(name, ".smoothing");
    if (record.smoothing.dtype != LB_ABSENT) {
      if (!int8) return error_.fail(LB_INVALID_MODEL, "%s%s belongs to a float32 weight", where_, part_);
      if (int status = vector(record.smoothing, k, part_, &p.smoothing)) return status;
      bytes_ += Region::piece<float>(k);
    }
    pending_[pending_count_++] = p;
    const size_t columns = out->columns;
    bytes_ += int8
                  ? Region::piece<int8_t>(k * columns) + Region::piece<int32_t>(columns) + Region::piece<float>(columns)
                  : Region::piece<float>(k * columns);
    bytes_ += Region::piece<float>(columns);
    return LB_OK;
  }

  // Two vectors, both checked before: absent, or the same numbers.
  bool equal(const lb_tensor& a, const lb_tensor& b) const {
    if (a.dtype == LB_ABSENT || b.dtype == LB_ABSENT) return a.dtype == b.dtype;
    return a.bytes == b.bytes && std::memcmp(data_ + a.offset, data_ + b.offset, a.bytes) == 0;
  }

  int check_records() {
    const lb_model_desc& d = desc_;
    Model& m = model_;
    const uint64_t h = m.hidden, e = m.embedding, f = m.intermediate;
    pending_ = static_cast<Pending*>(std::calloc(5 * size_t{d.num_layers} + 3, sizeof(Pending)));
    m.layers = static_cast<Layer*>(std::calloc(d.num_layers, sizeof(Layer)));
    if (!pending_ || !m.layers) return error_.fail(LB_NO_MEMORY, "out of memory");
    m.layer_count = d.num_layers;

    if (int status = table(d.word, d.word_scale, m.vocabulary, e, "word embedding", &m.words)) return status;
    if (int status = table(d.position, d.position_scale, d.max_positions, e, "position embedding", &m.positions))
      return status;
    if (m.types) {
      const void* p = nullptr;
      if (int status = view(d.token_type, LB_FLOAT32, m.types, e, "token type embedding", &p)) return status;
      m.token_types = static_cast<const float*>(p);
    } else if (d.token_type.dtype != LB_ABSENT) {
      return error_.fail(LB_INVALID_MODEL, "token type embedding is given, type_vocab_size is 0");
    }
    if (int status = norm(d.embedding_norm, e, "embedding norm", &m.embedding_norm)) return status;
    if (d.projection.weight.dtype != LB_ABSENT) {
      if (int status = product(d.projection, e, h, "projection", &m.projection)) return status;
    } else if (e != h) {
      return error_.fail(LB_INVALID_MODEL, "embedding_size differs from hidden_size and there is no projection");
    }

    for (size_t i = 0; i < m.layer_count; i++) {
      const lb_layer& record = d.layers[i];
      Layer& layer = m.layers[i];
      std::snprintf(where_, sizeof where_, "layer %zu: ", i);
      const bool split = present(record.query);
      const uint64_t inputs[] = {h, h, h, h, f}, outputs[] = {h, (split ? 2 : 3) * h, h, f, h};
      if (record.ffn_down.smoothing.dtype != LB_ABSENT)
        return error_.fail(LB_UNSUPPORTED, "%sffn_down has a smoothing", where_);
      for (size_t p = 0; p < sizeof layer_products / sizeof *layer_products; p++) {
        const LayerProduct& part = layer_products[p];
        // A layer that repeats another's records shares its packed weights; they are copied after packing.
        if ((p == 0 && !split) || twin_of(d.layers, i, part) < i) continue;
        if (int status = product(record.*part.record, inputs[p], outputs[p], part.name, &(layer.*part.product)))
          return status;
      }
      if (split && record.query.weight.dtype == LB_INT8 && record.qkv.weight.dtype == LB_INT8 &&
          !equal(record.query.smoothing, record.qkv.smoothing))
        return error_.fail(LB_UNSUPPORTED, "%squery.smoothing differs from qkv.smoothing", where_);
      if (int status = norm(record.attention_norm, h, "attention_norm", &layer.attention_norm)) return status;
      if (int status = norm(record.ffn_norm, h, "ffn_norm", &layer.ffn_norm)) return status;
    }
    where_[0] = 0;

    if (m.head != LB_HEAD_NONE) {
      if (d.head_dense.weight.dtype != LB_ABSENT)
        if (int status = product(d.head_dense, h, h, "head dense", &m.head_dense)) return status;
      if (d.head_norm.gamma.dtype != LB_ABSENT) {
        if (m.head != LB_HEAD_EVERY_TOKEN) return error_.fail(LB_UNSUPPORTED, "a norm in a first-token head");
        if (int status = norm(d.head_norm, h, "head norm", &m.head_norm)) return status;
      }
      m.labels = d.classifier.weight.cols;
      if (m.labels < 1 || m.labels > max_labels)
        return error_.fail(LB_INVALID_MODEL, "classifier has %zu labels, must be 1 to 65536", m.labels);
      if (d.classifier.weight.dtype == LB_INT8) return error_.fail(LB_UNSUPPORTED, "classifier must be float32");
      if (int status = product(d.classifier, h, m.labels, "classifier", &m.classifier)) return status;
    }
    return LB_OK;
  }

  // Norms move to our own memory too: their pages would keep pieces of the file resident.
  void keep(Norm& norm, size_t n) {
    if (!norm.present()) return;
    float* gamma = model_.weights_.take<float>(n);
    float* beta = model_.weights_.take<float>(n);
    std::memcpy(gamma, norm.gamma, n * sizeof(float));
    std::memcpy(beta, norm.beta, n * sizeof(float));
    norm = {gamma, beta};
  }

  int pack() {
    Model& m = model_;
    const size_t norms =
        2 * (2 * m.layer_count + 2) * Region::piece<float>(m.hidden > m.embedding ? m.hidden : m.embedding);
    if (!m.weights_.allocate(bytes_ + norms))
      return error_.fail(LB_NO_MEMORY, "out of memory for %zu bytes of packed weights", bytes_ + norms);
    for (size_t i = 0; i < pending_count_; i++) {
      Pending& p = pending_[i];
      const size_t columns = p.product->columns;
      if (p.scale) {
        p.packed = m.weights_.take<int8_t>(size_t{p.product->k} * columns);
        p.column_sum = m.weights_.take<int32_t>(columns);
        p.padded_scale = m.weights_.take<float>(columns);
      } else {
        p.packed_f32 = m.weights_.take<float>(size_t{p.product->k} * columns);
      }
      p.padded_bias = m.weights_.take<float>(columns);
      if (p.smoothing) p.kept_smoothing = m.weights_.take<float>(p.product->k);
    }
    keep(m.embedding_norm, m.embedding);
    keep(m.head_norm, m.hidden);
    for (size_t i = 0; i < m.layer_count; i++) {
      keep(m.layers[i].attention_norm, m.hidden);
      keep(m.layers[i].ffn_norm, m.hidden);
    }

    // Page faults on both sides dominate, and they scale with threads.
    pthread_t helpers[3];
    size_t started = 0;
    while (started < 3 && started + 1 < m.threads && pthread_create(&helpers[started], nullptr, pack_some, this) == 0)
      started++;
    pack_some(this);
    for (size_t i = 0; i < started; i++) pthread_join(helpers[i], nullptr);

    for (size_t i = 0; i < m.layer_count; i++) {
      for (const LayerProduct& part : layer_products)
        m.layers[i].*part.product = m.layers[twin_of(desc_.layers, i, part)].*part.product;
    }
    if (m.mapping_) madvise(m.mapping_, m.mapped_, MADV_DONTNEED);  // the pages stay in the page cache
    return LB_OK;
  }

  static void* pack_some(void* self) {
    ModelBuilder& builder = *static_cast<ModelBuilder*>(self);
    for (;;) {
      const size_t i = builder.next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= builder.pending_count_) return nullptr;
      builder.pack_one(builder.pending_[i]);
    }
  }

  void pack_one(const Pending& p) {
    const Kernels& kernels = *model_.kernels;
    Product& out = *p.product;
    size_t bytes = size_t{out.k} * out.n;
    if (p.scale) {
      pack_int8(static_cast<const int8_t*>(p.weight), out.k, out.n, kernels.panel, kernels.group, p.packed,
                p.column_sum);
      std::memcpy(p.padded_scale, p.scale, out.n * sizeof(float));
      out.weight = p.packed;
      out.column_sum = p.column_sum;
      out.scale = p.padded_scale;
    } else {
      pack_f32(static_cast<const float*>(p.weight), out.k, out.n, kernels.panel, p.packed_f32);
      out.weight_f32 = p.packed_f32;
      bytes *= sizeof(float);
    }
    if (p.bias) std::memcpy(p.padded_bias, p.bias, p.bias_count * sizeof(float));
    out.bias = p.padded_bias;
    if (p.smoothing) std::memcpy(p.kept_smoothing, p.smoothing, out.k * sizeof(float));
    out.smoothing = p.kept_smoothing;
    if (model_.mapping_) {  // whole pages of the packed source leave the resident set at once: the peak stays low
      const uintptr_t page = 4096, from = (reinterpret_cast<uintptr_t>(p.weight) + page - 1) / page * page,
                      to = (reinterpret_cast<uintptr_t>(p.weight) + bytes) / page * page;
      if (to > from) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }
  }

  void name_(const char* name, const char* suffix) { std::snprintf(part_, sizeof part_, "%s%s", name, suffix); }

  Model& model_;
  const lb_model_desc& desc_;
  Error& error_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  Pending* pending_ = nullptr;
  size_t pending_count_ = 0;
  size_t bytes_ = 0;
  std::atomic<size_t> next_{0};
  char where_[32] = "";
  char part_[64] = "";
};

int Model::open(const lb_model_desc& desc, const Kernels& chosen, Error& error) {
  kernels = &chosen;
  return ModelBuilder(*this, desc, error).build();
}

Model::~Model() {
  if (mapping_) munmap(mapping_, mapped_);
  std::free(layers);
}

}  // namespace leanbert
