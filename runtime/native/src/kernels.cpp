// The list of paths, in order of preference, and the choice among them.
#include "kernels.h"

#include <cstdlib>
#include <cstring>

#include "cpu.h"

namespace leanbert {

namespace avx512 {
#include "isa_functions.inl"
}
namespace avx2 {
#include "isa_functions.inl"
}

const Kernels avx512_vnni_kernels = {"avx512_vnni",
                                     32,
                                     4,
                                     1,
                                     14,
                                     avx512::product,
                                     avx512::quantize,
                                     avx512::quantize_ranged,
                                     avx512::layer_norm,
                                     avx512::layer_norm_quantize,
                                     avx512::activate,
                                     avx512::embed,
                                     avx512::attention,
                                     avx512::attention_int16,
                                     avx512::attention_scratch,
                                     avx512::roof};

const Kernels avx2_kernels = {"avx2",
                              16,
                              2,
                              2,
                              6,
                              avx2::product,
                              avx2::quantize,
                              avx2::quantize_ranged,
                              avx2::layer_norm,
                              avx2::layer_norm_quantize,
                              avx2::activate,
                              avx2::embed,
                              avx2::attention,
                              avx2::attention_int16,
                              avx2::attention_scratch,
                              avx2::roof};

const Kernels* choose_kernels(const char* forced, const char** why_not) {
  const CpuFeatures cpu = detect_cpu();
  *why_not = "this CPU has neither AVX-512 VNNI nor AVX2 with FMA";
  bool allow_avx512 = true;
  if (forced && *forced) {
    if (!std::strcmp(forced, "avx2")) {
      allow_avx512 = false;
    } else if (std::strcmp(forced, "avx512_vnni") != 0) {
      *why_not = "LEANBERT_ISA must be avx512_vnni or avx2";
      return nullptr;
    }
  }
  if (allow_avx512 && cpu.avx512_vnni) return &avx512_vnni_kernels;
  if (cpu.avx2) return &avx2_kernels;
  return nullptr;
}

}  // namespace leanbert
