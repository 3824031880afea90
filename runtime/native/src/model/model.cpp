// Opening a model: the file is read, its layout checked (layout.h), the matmuls' weights packed for the CPU at hand.
//
//   file_     | word (int8) | position | layer.0.qkv.weight | ... |      a copy of the file; embeddings stay where they
//                  |                          | pack_int8                lie in it, all other pages are given back
//   weights_  | norms | qkv panels | column sums | scales | bias | ... | one region of huge pages
//
// The pages of a weight are given back as soon as it is packed, so that the peak is hardly above what stays: it is the
// larger of the file and of the packed weights with the embeddings.
#include "model/model.h"

#include <atomic>
#include <cstring>
#include <initializer_list>

#include "model/packing.h"
#include "model/layout.h"
#include "model/relative.h"

namespace leanbert {

class ModelBuilder {
 public:
  ModelBuilder(Model& model, const lb_model_desc& desc, const FileCheck* check, Error& error)
      : model_(model), desc_(desc), check_(check), error_(error), layout_(model, desc, error) {}

  int build() {
    if (int status = layout_.check_numbers()) return status;
    if (int status = read()) return status;
    if (int status = layout_.check_records(data_, size_)) return status;
    return pack();
  }

 private:
  int read() {
    if (!desc_.path) {
      if (!desc_.data) return error_.fail(LB_INVALID_ARGUMENT, "neither path nor data is given");
      data_ = static_cast<const char*>(desc_.data);
      size_ = desc_.data_bytes;
      if (reinterpret_cast<uintptr_t>(data_) % sizeof(float))
        return error_.fail(LB_INVALID_ARGUMENT, "data must be aligned to 4 bytes");
      return LB_OK;
    }
    if (const char* why_not = model_.file_.open(desc_.path, check_ ? check_->most : UINT64_MAX))
      return error_.fail(LB_IO, "cannot read %s: %s", desc_.path, why_not);
    data_ = model_.file_.data();
    size_ = model_.file_.bytes();
    return check_ ? check_->check(check_->context, data_, size_, error_) : LB_OK;
  }

  // The norms are copied, too: left where they were read, they would keep pages there.
  void keep(Norm& norm, size_t n) {
    if (!norm.present()) return;
    float* gamma = model_.weights_.take<float>(n);
    float* beta = model_.weights_.take<float>(n);
    std::memcpy(gamma, norm.gamma, n * sizeof(float));
    if (norm.beta) std::memcpy(beta, norm.beta, n * sizeof(float));
    norm = {gamma, beta};
  }

  int pack() {
    Model& m = model_;
    const size_t norms =
        2 * (2 * m.layer_count + 3) * Region::piece<float>(m.hidden > m.embedding ? m.hidden : m.embedding);
    const size_t bytes = layout_.packed_bytes() + norms + relative_bytes(m);
    if (!m.weights_.allocate(bytes))
      return error_.fail(LB_NO_MEMORY, "out of memory for %zu bytes of packed weights", bytes);
    for (size_t i = 0; i < layout_.count(); i++) {
      Pending& p = layout_.matmuls()[i];
      const size_t columns = p.matmul->columns;
      if (p.scale) {
        p.packed = m.weights_.take<int8_t>(size_t{p.matmul->k} * columns);
        p.column_sum = m.weights_.take<int32_t>(columns);
        p.padded_scale = m.weights_.take<float>(columns);
      } else {
        p.packed_f32 = m.weights_.take<float>(size_t{p.matmul->k} * columns);
      }
      p.padded_bias = m.weights_.take<float>(columns);
      if (p.smoothing) p.kept_smoothing = m.weights_.take<float>(p.matmul->k);
    }
    keep(m.embedding_norm, m.embedding);
    keep(m.head_norm, m.head_size);
    keep(m.final_norm, m.hidden);
    for (size_t i = 0; i < m.layer_count; i++) {
      keep(m.layers[i].attention_norm, m.hidden);
      keep(m.layers[i].ffn_norm, m.hidden);
    }
    make_distances(m, m.weights_);

    apart_ = desc_.path && weights_are_apart();
    // Much of the time goes into page faults, and threads take these side by side.
    platform::Thread helpers[3];
    size_t started = 0;
    while (started < 3 && started + 1 < m.threads && helpers[started].start(pack_some, this)) started++;
    pack_some(this);
    for (size_t i = 0; i < started; i++) helpers[i].join();
    if (starved_.load(std::memory_order_relaxed))
      return error_.fail(LB_NO_MEMORY, "out of memory for tables of %zu relative positions", m.relative.rows);
    for (size_t i = 0; i < m.layer_count; i++) {
      for (const LayerMatmul& part : layer_matmuls)
        m.layers[i].*part.matmul = m.layers[twin_of(desc_.layers, i, part)].*part.matmul;
    }
    if (desc_.path) release_rest();
    return LB_OK;
  }

  // A part of the file that is read once more after another was packed.
  struct Range {
    const char *from, *to;
    bool touches(const Range& other) const { return from < other.to && other.from < to; }
  };
  static Range range(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    return {from, from + bytes};
  }
  Range weight_of(const Pending& p) const {
    return range(p.weight, size_t{p.matmul->k} * p.matmul->n * (p.scale ? 1 : sizeof(float)));
  }

  // What stays in the file's copy: at most nine tensors, in any order.
  static constexpr size_t most_kept = 9;
  size_t kept(Range* ranges) const {
    const Model& m = model_;
    size_t count = 0;
    for (const EmbeddingTable* table : {&m.words, &m.positions}) {
      if (!table->data) continue;
      ranges[count++] = range(table->data, table->rows * table->width * (table->is_int8() ? 1 : sizeof(float)));
      if (table->is_int8()) ranges[count++] = range(table->scale, table->rows * sizeof(float));
    }
    if (m.token_types) ranges[count++] = range(m.token_types, m.types * m.embedding * sizeof(float));
    for (const float* table : {m.cosines[0], m.cosines[1], m.sines[0], m.sines[1]})
      if (table) ranges[count++] = range(table, desc_.max_positions * (m.head_width / 2) * sizeof(float));
    return count;
  }

  // Whether each weight has bytes of its own, as every export's layout has. Otherwise none is given back before the end.
  bool weights_are_apart() const {
    Range embeddings[most_kept];
    const size_t count = kept(embeddings);
    for (size_t i = 0; i < layout_.count(); i++) {
      const Range weight = weight_of(layout_.matmuls()[i]);
      for (size_t j = 0; j < count; j++)
        if (weight.touches(embeddings[j])) return false;
      for (size_t j = 0; j < model_.layer_count; j++)
        for (const float* table : {model_.layers[j].position_key, model_.layers[j].position_query})
          if (table && weight.touches(range(table, model_.relative.rows * model_.hidden * sizeof(float)))) return false;
      for (size_t j = 0; j < i; j++)
        if (weight.touches(weight_of(layout_.matmuls()[j]))) return false;
    }
    return true;
  }

  // All but the embeddings was copied.
  void release_rest() {
    Range embeddings[most_kept];
    const size_t count = kept(embeddings);
    const platform::FileCopy& file = model_.file_;
    const char *at = file.data(), *const end = at + file.bytes();
    while (at < end) {  // from each gap to the next
      const char *next = end, *after = end;
      for (size_t i = 0; i < count; i++) {
        const Range& range = embeddings[i];
        if (range.to <= at) continue;
        const char* from = range.from > at ? range.from : at;
        if (from < next) {
          next = from;
          after = range.to;
        }
      }
      file.release(at, next);
      at = after;
    }
  }

  static void pack_some(void* self) {
    const platform::FloatMode mode;
    ModelBuilder& builder = *static_cast<ModelBuilder*>(self);
    const Model& m = builder.model_;
    for (;;) {
      const size_t i = builder.next_.fetch_add(1, std::memory_order_relaxed);
      const size_t matmuls = builder.layout_.count(), tables = m.relative.disentangled ? m.layer_count : 0;
      if (i >= matmuls + tables) return;
      if (i < matmuls)
        builder.pack_one(builder.layout_.matmuls()[i]);
      else if (!pack_tables(m, m.layers[i - matmuls]))
        builder.starved_.store(true, std::memory_order_relaxed);
    }
  }

  void pack_one(const Pending& p) {
    const Kernels& kernels = *model_.kernels;
    Matmul& out = *p.matmul;
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
    }
    if (p.bias) std::memcpy(p.padded_bias, p.bias, p.bias_count * sizeof(float));
    out.bias = p.padded_bias;
    if (p.smoothing) std::memcpy(p.kept_smoothing, p.smoothing, out.k * sizeof(float));
    out.smoothing = p.kept_smoothing;
    if (apart_) model_.file_.release(weight_of(p).from, weight_of(p).to);
  }

  Model& model_;
  const lb_model_desc& desc_;
  const FileCheck* check_;
  Error& error_;
  Layout layout_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<bool> starved_{false};
  bool apart_ = false;
};

int Model::open(const lb_model_desc& desc, const Kernels& chosen, const FileCheck* check, Error& error) {
  kernels = &chosen;
  return ModelBuilder(*this, desc, check, error).build();
}

}  // namespace leanbert
