// The global operators new and delete for macOS, hidden. Those of the C++ library that zig links in would be exported from
// ours, because its linker takes no list of exports, and another library of the process could then use them.
// Compiled with -fvisibility-global-new-delete=force-hidden. That leaves out the
// operators that take std::nothrow, which <new> declares visible, so these are defined by their mangled names.
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

void* take_or_null(std::size_t size, std::size_t alignment) {
  if (size == 0) size = 1;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

void* take(std::size_t size, std::size_t alignment) {
  if (void* memory = take_or_null(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return take(size, 1); }
void* operator new[](std::size_t size) { return take(size, 1); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

void* operator new(std::size_t size, std::align_val_t alignment) {
  return take(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return take(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#define LB_HIDDEN(name) __asm__("_" name) __attribute__((visibility("hidden"), used))

extern "C" {

void* lb_new_nothrow(std::size_t size, const void*) LB_HIDDEN("_ZnwmRKSt9nothrow_t");
void* lb_new_array_nothrow(std::size_t size, const void*) LB_HIDDEN("_ZnamRKSt9nothrow_t");
void* lb_new_aligned_nothrow(std::size_t size, std::size_t alignment, const void*)
    LB_HIDDEN("_ZnwmSt11align_val_tRKSt9nothrow_t");
void* lb_new_array_aligned_nothrow(std::size_t size, std::size_t alignment, const void*)
    LB_HIDDEN("_ZnamSt11align_val_tRKSt9nothrow_t");
void lb_delete_nothrow(void* memory, const void*) LB_HIDDEN("_ZdlPvRKSt9nothrow_t");
void lb_delete_array_nothrow(void* memory, const void*) LB_HIDDEN("_ZdaPvRKSt9nothrow_t");
void lb_delete_aligned_nothrow(void* memory, std::size_t, const void*) LB_HIDDEN("_ZdlPvSt11align_val_tRKSt9nothrow_t");
void lb_delete_array_aligned_nothrow(void* memory, std::size_t, const void*)
    LB_HIDDEN("_ZdaPvSt11align_val_tRKSt9nothrow_t");

void* lb_new_nothrow(std::size_t size, const void*) { return take_or_null(size, 1); }
void* lb_new_array_nothrow(std::size_t size, const void*) { return take_or_null(size, 1); }
void* lb_new_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
  return take_or_null(size, alignment);
}
void* lb_new_array_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
  return take_or_null(size, alignment);
}
void lb_delete_nothrow(void* memory, const void*) { std::free(memory); }
void lb_delete_array_nothrow(void* memory, const void*) { std::free(memory); }
void lb_delete_aligned_nothrow(void* memory, std::size_t, const void*) { std::free(memory); }
void lb_delete_array_aligned_nothrow(void* memory, std::size_t, const void*) { std::free(memory); }

}  // extern "C"
