// AVX-512 with VNNI: int8 matmuls with vpdpbusd, attention with vpdpwssd, all else in f32 with FMA.
//
// Register block of the int8 matmul: 14 rows x 32 columns, K in one pass, so that a sum never leaves its register.
//
//                    b0 (16 columns x 4 k)   b1             <- 2 zmm, loaded once for 14 rows
//      a row 0  bcast  acc[0][0]             acc[0][1]
//      ...                                               28 zmm of int32 sums, 2 of weights, 1 of activations: 31
//      a row 13 bcast  acc[13][0]            acc[13][1]
//
// vpdpbusd adds four u8 x s8 products to each int32 lane: at most 4 * 255 * 128 per step and K <= 32768, so sums stay
// below 2^31 and are exact.
//
// A row of a step is one statement of inline assembly, and the statements keep their order: with intrinsics gcc 12 keeps
// part of the 28 sums on the stack (8 x 128 tokens of BERT-base: 304 ms against 228); clang, which compiles the wheels,
// did so as long as it was free to load activations before they were multiplied (28 rows of 768 x 3072: 1.5 times as long).
// Row addresses: rows 0..13 are five pointers three rows apart plus {0, 1, 2} strides, which x86 addresses for free.
//
// Sums are scaled in their registers: stored and read again first, a block of K = 384 took 5% longer.
//
// Measured on one Zen 4 core, roof 465 GOP/s (native_bench kernels): 64 rows of BERT-base's qkv and output 99% of it, up
// with GELU 94%, down 100%; of K = 384 qkv and output 97%, up 89%. GELU needs the multipliers that vpdpbusd needs, too, 8
// of their cycles for sixteen numbers: with scales and zero points, up could reach 95%, and 90% where K = 384.
// The roof's own block (K = 256) has zero points, too, and is 1.8% below the multipliers' rate.
//
// Prefetching (BERT-base, 8 tokens): 8 KB ahead 2.52 ms, 4 KB 2.67, 16 KB 2.63; into the first-level cache 3.02.
//
// The block of f32 matmuls has 12 rows. Attention: score block 12 rows x 32 keys, 24 zmm of sums, 2 of keys, 1
// broadcast; value block 6 rows x 64 columns, 24, 4, 1.
#include "kernels/path.h"
#include "x86/cpu.h"
#include "x86/lanes512.h"

namespace leanbert {
namespace {

struct Avx512Vnni : Lanes512 {
  static constexpr size_t panel = 32, group = 4, quantized_bytes = 1;
  static constexpr uint8_t quantized_flip = 0;
  static constexpr size_t block_rows = 14, f32_block_rows = 12;
  static constexpr bool scales_blocks = true;
  static constexpr size_t step_lines = 4, fetching_blocks = 2, ahead_bytes = 8192;
  static constexpr size_t key_vectors = 2, query_rows = 12, value_vectors = 4;
  static constexpr size_t value_rows(size_t vectors) { return vectors <= 2 ? 12 : 24 / vectors; }

  LB_INLINE void store_quantized(uint8_t* p, F v) {
    const I i = _mm512_max_epi32(_mm512_cvtps_epi32(v), _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(i));
  }

  // One row of a step: sums[v] += products of the four activations at `a` and the weights of sixteen columns.
#if defined(LEANBERT_NATIVE_INTRINSICS)
  LB_INLINE I weights(const int8_t* p) { return _mm512_load_si512(p); }
  LB_INLINE void multiply_row(I (&sums)[2], const uint8_t* a, I b0, I b1) {
    int32_t four;
    __builtin_memcpy(&four, a, 4);
    const I x = _mm512_set1_epi32(four);
    sums[0] = _mm512_dpbusd_epi32(sums[0], x, b0);
    sums[1] = _mm512_dpbusd_epi32(sums[1], x, b1);
  }
#else
  LB_INLINE I weights(const int8_t* p) {
    I v;
    __asm__ volatile("vmovdqa64 %1, %0" : "=v"(v) : "m"(*reinterpret_cast<const int8_t(*)[64]>(p)));
    return v;
  }
  LB_INLINE void multiply_row(I (&sums)[2], const uint8_t* a, I b0, I b1) {
    I x;
    __asm__ volatile("vpbroadcastd %3, %2\n\tvpdpbusd %4, %2, %0\n\tvpdpbusd %5, %2, %1"
                     : "+v"(sums[0]), "+v"(sums[1]), "=&v"(x)
                     : "m"(*reinterpret_cast<const uint8_t(*)[4]>(a)), "v"(b0), "v"(b1));
  }
#endif

  template <size_t M, size_t Lines>
  LB_INLINE void multiply(I (&acc)[M][2], const uint8_t* a, size_t stride, const int8_t* b, size_t k,
                          const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    const I none = _mm512_setzero_si512();
    const I s0 = _mm512_sub_epi32(none, _mm512_loadu_si512(column_sum));
    const I s1 = _mm512_sub_epi32(none, _mm512_loadu_si512(column_sum + 16));
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++) {
      const I z = _mm512_set1_epi32(zero[m]);
      acc[m][0] = _mm512_mullo_epi32(z, s0);
      acc[m][1] = _mm512_mullo_epi32(z, s1);
    }
    const uint8_t* a3 = a + 3 * stride;
    const uint8_t* a6 = a + 6 * stride;
    const uint8_t* a9 = a + 9 * stride;
    const uint8_t* a12 = a + 12 * stride;
    const int8_t* end = b + k * panel;
    while (b != end) {
#pragma GCC unroll 2
      for (size_t step = 0; step < 2; step++) {
        const I b0 = weights(b + step * 128), b1 = weights(b + step * 128 + 64);
        if (Lines > step) prefetch<2>(ahead + step * 64);
        if (Lines > step + 2) prefetch<2>(ahead + step * 64 + 128);
#pragma GCC unroll 16
        for (size_t m = 0; m < M; m++) {
          const uint8_t* base = m < 3 ? a : m < 6 ? a3 : m < 9 ? a6 : m < 12 ? a9 : a12;
          multiply_row(acc[m], base + m % 3 * stride + step * 4, b0, b1);
        }
      }
      a += 8;
      if (M > 3) a3 += 8;
      if (M > 6) a6 += 8;
      if (M > 9) a9 += 8;
      if (M > 12) a12 += 8;
      b += 256;
      ahead += 64 * Lines;
    }
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                     const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    I acc[M][2];
    multiply<M, Lines>(acc, a, stride, b, k, column_sum, zero, ahead);
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++) {
      _mm512_store_si512(out + m * 32, acc[m][0]);
      _mm512_store_si512(out + m * 32 + 16, acc[m][1]);
    }
  }

  // The sums scaled in their registers.
  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_scaled(const uint8_t* a, size_t stride, const int8_t* b, size_t k, const Scaling& to,
                                       const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    I acc[M][2];
    multiply<M, Lines>(acc, a, stride, b, k, column_sum, zero, ahead);
#pragma GCC unroll 2
    for (size_t v = 0; v < 2; v++) {
      const F scale = load(to.column_scale + v * 16), bias = load(to.bias + v * 16);
      float* out = to.out + v * 16;
      if (to.add)
#pragma GCC unroll 16
        for (size_t m = 0; m < M; m++, out += to.out_stride)
          store(out, add(fma(mul(from_words(acc[m][v]), scale), all(to.row_scale[m]), bias), load(out)));
      else
#pragma GCC unroll 16
        for (size_t m = 0; m < M; m++, out += to.out_stride)
          store(out, fma(mul(from_words(acc[m][v]), scale), all(to.row_scale[m]), bias));
    }
  }
};

}  // namespace

extern const Kernels avx512_vnni_kernels;
const Kernels avx512_vnni_kernels = kernels_of<Avx512Vnni>("avx512_vnni", has_avx512_vnni);

}  // namespace leanbert
