// Opening a model: the file is mapped, its layout checked (layout.h), the matmuls' weights packed for the CPU at hand.
//
//   file      | word (int8) | position | layer.0.qkv.weight | ... |      mapped; embeddings are read where they lie,
//                  |                          | pack_int8                 everything else leaves the resident set
//   weights_  | norms | qkv panels | column sums | scales | bias | ... | one region of huge pages
//
// Measured (BERT-base's 85 MB, warm page cache, two threads): 25 ms, most of it page faults on both sides.
#include "model/model.h"

#include <atomic>
#include <cstring>

#include "model/packing.h"
#include "model/layout.h"

namespace leanbert {

class ModelBuilder {
 public:
  ModelBuilder(Model& model, const lb_model_desc& desc, Error& error)
      : model_(model), desc_(desc), error_(error), layout_(model, desc, error) {}

  int build() {
    if (int status = layout_.check_numbers()) return status;
    if (int status = map()) return status;
    if (int status = layout_.check_records(data_, size_)) return status;
    return pack();
  }

 private:
  int map() {
    if (!desc_.path) {
      if (!desc_.data) return error_.fail(LB_INVALID_ARGUMENT, "neither path nor data is given");
      data_ = static_cast<const char*>(desc_.data);
      size_ = desc_.data_bytes;
      if (reinterpret_cast<uintptr_t>(data_) % sizeof(float))
        return error_.fail(LB_INVALID_ARGUMENT, "data must be aligned to 4 bytes");
      return LB_OK;
    }
    if (const char* why_not = model_.file_.open(desc_.path))
      return error_.fail(LB_IO, "cannot read %s: %s", desc_.path, why_not);
    data_ = model_.file_.data();
    size_ = model_.file_.bytes();
    return LB_OK;
  }

  // The norms are copied, too: read from the file, they would keep pages of it resident.
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
    if (!m.weights_.allocate(layout_.packed_bytes() + norms))
      return error_.fail(LB_NO_MEMORY, "out of memory for %zu bytes of packed weights", layout_.packed_bytes() + norms);
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
    for (size_t i = 0; i < m.layer_count; i++) {
      keep(m.layers[i].attention_norm, m.hidden);
      keep(m.layers[i].ffn_norm, m.hidden);
    }

    // Most of the time goes into page faults of both the file and the copy, and threads take these side by side.
    platform::Thread helpers[3];
    size_t started = 0;
    while (started < 3 && started + 1 < m.threads && helpers[started].start(pack_some, this)) started++;
    pack_some(this);
    for (size_t i = 0; i < started; i++) helpers[i].join();

    for (size_t i = 0; i < m.layer_count; i++) {
      for (const LayerMatmul& part : layer_matmuls)
        m.layers[i].*part.matmul = m.layers[twin_of(desc_.layers, i, part)].*part.matmul;
    }
    if (desc_.path) m.file_.forget(m.file_.data(), m.file_.data() + m.file_.bytes());
    return LB_OK;
  }

  static void pack_some(void* self) {
    ModelBuilder& builder = *static_cast<ModelBuilder*>(self);
    for (;;) {
      const size_t i = builder.next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= builder.layout_.count()) return;
      builder.pack_one(builder.layout_.matmuls()[i]);
    }
  }

  void pack_one(const Pending& p) {
    const Kernels& kernels = *model_.kernels;
    Matmul& out = *p.matmul;
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
    // The packed source leaves the resident set at once: the peak stays low.
    if (desc_.path) model_.file_.forget(p.weight, static_cast<const char*>(p.weight) + bytes);
  }

  Model& model_;
  const lb_model_desc& desc_;
  Error& error_;
  Layout layout_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  std::atomic<size_t> next_{0};
};

int Model::open(const lb_model_desc& desc, const Kernels& chosen, Error& error) {
  kernels = &chosen;
  return ModelBuilder(*this, desc, error).build();
}

}  // namespace leanbert
