// The choice among the paths.
#include "kernels/kernels.h"

#include <cstring>

namespace leanbert {

#if defined(__x86_64__) || defined(_M_X64)
extern const Kernels avx512_vnni_kernels, avx_vnni_evex_kernels, avx_vnni_kernels, avx2_kernels;
const Kernels* const all_kernels[] = {&avx512_vnni_kernels,
#if defined(LEANBERT_NATIVE_TWINS)
                                      &avx_vnni_evex_kernels,
#endif
#if defined(LEANBERT_NATIVE_AVX_VNNI)
                                      &avx_vnni_kernels,
#endif
                                      &avx2_kernels, nullptr};
#define LB_NAMES "avx512_vnni, avx_vnni or avx2"
#define LB_NEEDS "this CPU has neither AVX-512 VNNI nor AVX2 with FMA"
#elif defined(__aarch64__)
extern const Kernels neon_i8mm_kernels, neon_dotprod_kernels, neon_kernels;
const Kernels* const all_kernels[] = {&neon_i8mm_kernels, &neon_dotprod_kernels, &neon_kernels, nullptr};
#define LB_NAMES "neon_i8mm, neon_dotprod or neon"
#define LB_NEEDS "this CPU has no NEON"
#endif

const Kernels* choose_kernels(const char* forced, const char** why_not) {
  const Kernels* const* path = all_kernels;
  if (forced && *forced) {
    while (*path && std::strcmp(forced, (*path)->name) != 0) path++;
    if (!*path) {
      *why_not = "LEANBERT_ISA must be " LB_NAMES;
      return nullptr;
    }
  }
  for (; *path; path++)
    if ((*path)->runs_here()) return *path;
  *why_not = LB_NEEDS;
  return nullptr;
}

}  // namespace leanbert
