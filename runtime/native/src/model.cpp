// Opening a model: the file is mapped, its description checked (records.h), its products packed for the CPU at hand.
//
//   file      | word (int8) | position | layer.0.qkv.weight | ... |      mapped; embeddings are read where they lie,
//                  |                          | pack_int8                 everything else leaves the resident set
//   weights_  | norms | qkv panels | column sums | scales | bias | ... | one region of huge pages
//
// Measured (BERT-base's 85 MB, warm page cache, two threads): 25 ms, most of it page faults on both sides.
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

#include "packing.h"
#include "records.h"

namespace leanbert {

class ModelBuilder {
 public:
  ModelBuilder(Model& model, const lb_model_desc& desc, Error& error)
      : model_(model), desc_(desc), error_(error), records_(model, desc, error) {}

  int build() {
    if (int status = records_.check_numbers()) return status;
    if (int status = map()) return status;
    if (int status = records_.check_records(data_, size_)) return status;
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
    if (!m.weights_.allocate(records_.packed_bytes() + norms))
      return error_.fail(LB_NO_MEMORY, "out of memory for %zu bytes of packed weights",
                         records_.packed_bytes() + norms);
    for (size_t i = 0; i < records_.count(); i++) {
      Pending& p = records_.products()[i];
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
    keep(m.head_norm, m.head_size);
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
      if (i >= builder.records_.count()) return nullptr;
      builder.pack_one(builder.records_.products()[i]);
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

  Model& model_;
  const lb_model_desc& desc_;
  Error& error_;
  Records records_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  std::atomic<size_t> next_{0};
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
