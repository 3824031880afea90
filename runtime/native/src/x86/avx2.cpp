// AVX2 and FMA: int8 matmuls and attention with vpmaddwd on 16 bits, all else in f32. Exact: nothing saturates.
//
// Why not vpmaddubsw, the obvious instruction: it adds two u8 x s8 products in 16 bits with saturation, and
// 2 * 255 * 127 = 64770 > 32767. To stay exact one of the factors has to lose a bit:
//   activations as 2 * (q >> 1) + (q & 1)   two vpmaddubsw, one vpmaddwd, two adds   5 operations for 32 products
//   weights as w1 + w2, |wi| <= 64          two vpmaddubsw, two vpmaddwd, two adds   6
//   both widened to 16 bits                 two vpmaddwd, two adds                   4, and the weights' widening, shared
//                                                                                    by six rows (2 for 192 products)
// (a pair of 16-bit products is at most 2 * 255 * 128 in 32 bits)
// So 16 bits it is: as many multiplications as the saturating code, no correction. Activations are widened once, when
// they are quantized; weights stay int8 in memory, where their bandwidth counts, and are widened on load.
//
// Measured on one Zen 4 core: roof 176 GOP/s, 38% of VNNI's, bound by the four vector pipes (26 operations per step).
//
// Register block: 6 rows x 16 columns, K in one pass. Panel step: 2 k-values of 16 columns, 32 bytes.
//
//                   b0 (8 columns x 2 k)  b1          <- vpmovsxbw, 2 ymm
//      row 0 bcast  acc[0][0]             acc[0][1]      12 ymm of int32 sums, 1 broadcast, 1 product = 16
//
// The block of f32 matmuls is the same. Attention: score and value blocks of 6 rows x 16 lanes, 12 ymm of sums, 2 of
// keys or values, 1 broadcast.
#include "kernels/path.h"
#include "x86/cpu.h"
#include "x86/lanes256.h"

namespace leanbert {
namespace {

struct Avx2 : Lanes256 {
  using I = __m256i;
  static constexpr size_t panel = 16, group = 2, quantized_bytes = 2;
  static constexpr uint8_t quantized_flip = 0;
  static constexpr size_t block_rows = 6, f32_block_rows = 6;
  static constexpr size_t step_lines = 1, fetching_blocks = 1, ahead_bytes = 4096;
  static constexpr size_t key_vectors = 1, query_rows = 6, value_vectors = 1;
  static constexpr size_t value_rows(size_t) { return 6; }

  LB_INLINE void store_quantized(uint8_t* p, F v) {
    __m256i i = _mm256_packs_epi32(_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi));
    i = _mm256_permute4x64_epi64(i, 0xd8);  // packs works in halves: back to column order
    i = _mm256_min_epi16(_mm256_max_epi16(i, _mm256_setzero_si256()), _mm256_set1_epi16(255));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), i);
  }

  // Inline assembly in this order for the same reason as on AVX-512: all sixteen registers are taken.
  LB_INLINE I widen(const int8_t* p) {
    I v;
    __asm__ volatile("vpmovsxbw %1, %0" : "=x"(v) : "m"(*reinterpret_cast<const int8_t(*)[16]>(p)));
    return v;
  }
  // sums[v] += pairs of activations at `a` * pairs of the weights of eight columns
  LB_INLINE void multiply_row(I (&sums)[2], const uint8_t* a, I b0, I b1) {
    I x, t;
    __asm__ volatile(
        "vpbroadcastd %4, %2\n\tvpmaddwd %5, %2, %3\n\tvpaddd %3, %0, %0\n\tvpmaddwd %6, %2, %2\n\tvpaddd %2, %1, %1"
        : "+x"(sums[0]), "+x"(sums[1]), "=&x"(x), "=&x"(t)
        : "m"(*reinterpret_cast<const uint8_t(*)[4]>(a)), "x"(b0), "x"(b1));
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
        const I b0 = widen(b + step * 32), b1 = widen(b + step * 32 + 16);
#pragma GCC unroll 8
        for (size_t m = 0; m < M; m++) {
          const uint8_t* base = m < 3 ? a : a3;
          multiply_row(acc[m], base + m % 3 * stride + step * 4, b0, b1);
        }
      }
      if (Lines) prefetch<3>(ahead);
      a += 8;
      if (M > 3) a3 += 8;
      b += 64;
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

extern const Kernels avx2_kernels;
const Kernels avx2_kernels = kernels_of<Avx2>("avx2", has_avx2);

}  // namespace leanbert
