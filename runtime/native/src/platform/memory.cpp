// Regions; memory.h says why they are aligned to huge pages.
#include "platform/memory.h"

#include "platform/platform.h"

namespace leanbert {

bool Region::allocate(size_t bytes) {
  release();
  constexpr size_t huge = size_t{2} << 20;
  // A small region gains nothing from alignment, and 2 MB would be the largest part of a small handle.
  const size_t unit = bytes >= huge ? huge : platform::page_bytes();
  if (bytes > SIZE_MAX - 2 * huge) return false;
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  const size_t total = rounded + (unit == huge ? huge : 0);
  void* mapping = platform::map_memory(total);
  if (!mapping) return false;
  mapping_ = mapping;
  mapped_ = total;
  start_ = static_cast<char*>(mapping);
  start_ += (unit - reinterpret_cast<uintptr_t>(mapping) % unit) % unit;
#if defined(LEANBERT_NATIVE_NO_HUGE_PAGES)
  platform::advise_huge_pages(start_, rounded, false);
#else
  if (unit == huge) platform::advise_huge_pages(start_, rounded, true);
#endif
  bytes_ = rounded;
  used_ = 0;
  return true;
}

// The region forgets its memory before it unmaps it: a child that is forked between the two must not unmap later what it
// has put there meanwhile, such as the stack of a thread.
void Region::release() {
  void* const mapping = mapping_;
  const size_t mapped = mapped_;
  abandon();
  if (mapping) platform::unmap_memory(mapping, mapped);
}

void Region::abandon() {
  mapping_ = nullptr;
  start_ = nullptr;
  bytes_ = used_ = mapped_ = 0;
}

}  // namespace leanbert
