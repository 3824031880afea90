// Memory for weights and activations: whole mappings, aligned to huge pages and offered to the kernel as such.
//
// BERT-base's packed weights are 85 MB: 21,000 pages of 4 KB against 41 of 2 MB. Huge pages made one text of 32 tokens
// 7% faster (Zen 4, two threads); where they are switched off everything works with small ones.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leanbert {

class Region {
 public:
  Region() = default;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { release(); }

  // Replaces what was there by `bytes` zero bytes; false when the system has none.
  bool allocate(size_t bytes);
  void release();
  // Forgets the memory without giving it back. A forked child needs this where a thread that it has no copy of was
  // changing the region.
  void abandon();
  size_t bytes() const { return bytes_; }

  // Hands out pieces from the front, each aligned to 64 bytes. The caller has counted with `piece`.
  void rewind() { used_ = 0; }
  template <class T>
  T* take(size_t count) {
    char* p = start_ + used_;
    used_ += piece<T>(count);
    return reinterpret_cast<T*>(p);
  }
  template <class T>
  static size_t piece(size_t count) {
    return (count * sizeof(T) + 63) / 64 * 64;
  }

 private:
  char* start_ = nullptr;  // aligned
  size_t bytes_ = 0;
  size_t used_ = 0;
  void* mapping_ = nullptr;
  size_t mapped_ = 0;
};

}  // namespace leanbert
