// AVX-VNNI: vpdpbusd and vpdpwssd in VEX encoding on 256-bit registers, for Intel's client CPUs from the 12th generation
// on (no AVX-512 there); all else as on AVX2.
//
// Register block of the int8 matmul: 6 rows x 16 columns, K in one pass. Panel step: 4 k-values of 16 columns, 64 bytes.
//
//                   b0 (8 columns x 4 k)  b1          <- 2 ymm
//      row 0 bcast  acc[0][0]             acc[0][1]      12 ymm of int32 sums, 2 of weights, 1 of activations: 15 of 16
//
// Two vpdpbusd start in a cycle and take 5: 10 sums have to be under way, and there are 12. A step has 12 of them and 8
// loads (2 of weights, 6 broadcasts), so the multiplier is what limits. 4 rows x 24 columns would need 7 loads, but 24
// columns divide no model's width.
// Sums are exact for avx512_vnni.cpp's reason. Attention: blocks as in avx2.cpp, without the register for a product.
//
// Weights are fetched into the second-level cache: a panel of 12 KB beside the rows of a group does not fit the first.
// BERT-base on Zen 4 by the twin below, two threads, against avx512_vnni in turns: 1x32 1.03 of its time, 1x128 1.05,
// 8x128 1.04; with the first-level cache as target 1.36, 1.16 and 1.14 (then against 1.04, 1.04 and 1.07).
//
// Compiled a second time with LEANBERT_NATIVE_EVEX, where tests are built: the same registers and instructions in
// EVEX encoding, which CPUs with AVX-512 VNNI run.
#include "kernels/path.h"
#include "x86/cpu.h"
#include "x86/lanes256.h"

#if defined(LEANBERT_NATIVE_EVEX)
#define LB_ENCODING "%{evex%} "
#else
#define LB_ENCODING "%{vex%} "
#endif

namespace leanbert {
namespace {

struct AvxVnni : Lanes256 {
  using I = __m256i;
  static constexpr size_t panel = 16, group = 4, quantized_bytes = 1;
  static constexpr uint8_t quantized_flip = 0;
  static constexpr size_t block_rows = 6, f32_block_rows = 6;
  static constexpr size_t step_lines = 2, fetching_blocks = 2, ahead_bytes = 8192;
  static constexpr size_t key_vectors = 1, query_rows = 6, value_vectors = 1;
  static constexpr size_t value_rows(size_t) { return 6; }

  LB_INLINE void store_quantized(uint8_t* p, F v) {
    // packing works in halves: eight 16-bit numbers of each, then bytes, whose four groups of four change places
    const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_shuffle_epi32(bytes, 0xd8));
  }

  LB_INLINE void dot4(I& acc, I a, I b) { __asm__(LB_ENCODING "vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b)); }
  LB_INLINE void dot_half(I& acc, I a, I b) { __asm__(LB_ENCODING "vpdpwssd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b)); }
  LB_INLINE void dot_pairs(W& acc, W a, W b) {
    dot_half(acc.lo, a.lo, b.lo);
    dot_half(acc.hi, a.hi, b.hi);
  }

  LB_INLINE I four(const uint8_t* p) {
    int32_t x;
    __builtin_memcpy(&x, p, 4);
    return _mm256_set1_epi32(x);
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                     const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    I acc[M][2];
    const I none = _mm256_setzero_si256();
    const I s0 = _mm256_sub_epi32(none, _mm256_loadu_si256(reinterpret_cast<const I*>(column_sum)));
    const I s1 = _mm256_sub_epi32(none, _mm256_loadu_si256(reinterpret_cast<const I*>(column_sum + 8)));
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) {
      const I z = _mm256_set1_epi32(zero[m]);
      acc[m][0] = _mm256_mullo_epi32(z, s0);
      acc[m][1] = _mm256_mullo_epi32(z, s1);
    }
    const uint8_t* a3 = a + 3 * stride;
    const int8_t* end = b + k * panel;
    while (b != end) {
#pragma GCC unroll 2
      for (size_t step = 0; step < 2; step++) {
        const I b0 = _mm256_load_si256(reinterpret_cast<const I*>(b + step * 64));
        const I b1 = _mm256_load_si256(reinterpret_cast<const I*>(b + step * 64 + 32));
        if (Lines > step) prefetch<2>(ahead + step * 64);
#pragma GCC unroll 8
        for (size_t m = 0; m < M; m++) {
          const uint8_t* base = m < 3 ? a : a3;
          const I x = four(base + m % 3 * stride + step * 4);
          dot4(acc[m][0], x, b0);
          dot4(acc[m][1], x, b1);
        }
      }
      a += 8;
      if (M > 3) a3 += 8;
      b += 128;
      ahead += 64 * Lines;
    }
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) {
      _mm256_store_si256(reinterpret_cast<I*>(out + m * 16), acc[m][0]);
      _mm256_store_si256(reinterpret_cast<I*>(out + m * 16 + 8), acc[m][1]);
    }
  }
};

}  // namespace

#if defined(LEANBERT_NATIVE_EVEX)
extern const Kernels avx_vnni_evex_kernels;
const Kernels avx_vnni_evex_kernels = kernels_of<AvxVnni>("avx_vnni_evex", has_avx512_vnni);
#else
extern const Kernels avx_vnni_kernels;
const Kernels avx_vnni_kernels = kernels_of<AvxVnni>("avx_vnni", has_avx_vnni);
#endif

}  // namespace leanbert
