// Huge-page mappings; memory.h says why.
#include "memory.h"

#include <sys/mman.h>

namespace leanbert {

bool Region::allocate(size_t bytes) {
  release();
  constexpr size_t huge = size_t{2} << 20;
  // A small region gains nothing from alignment, and 2 MB a handle would be its largest part.
  const size_t unit = bytes >= huge ? huge : 4096;
  if (bytes > SIZE_MAX - 2 * huge) return false;
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  const size_t total = rounded + (unit == huge ? huge : 0);
  void* mapping = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return false;
  mapping_ = mapping;
  mapped_ = total;
  start_ = static_cast<char*>(mapping);
  start_ += (unit - reinterpret_cast<uintptr_t>(mapping) % unit) % unit;
#if defined(LEANBERT_NATIVE_NO_HUGE_PAGES)
  madvise(start_, rounded, MADV_NOHUGEPAGE);
#else
  if (unit == huge) madvise(start_, rounded, MADV_HUGEPAGE);
#endif
  bytes_ = rounded;
  used_ = 0;
  return true;
}

// Forgotten first, unmapped then: a child forked between the two must not unmap what it has put there meanwhile, such as
// the stack of a thread.
void Region::release() {
  void* const mapping = mapping_;
  const size_t mapped = mapped_;
  abandon();
  if (mapping) munmap(mapping, mapped);
}

void Region::abandon() {
  mapping_ = nullptr;
  start_ = nullptr;
  bytes_ = used_ = mapped_ = 0;
}

}  // namespace leanbert
