// Matrix products for AVX2: int8 widened to 16 bits, f32 with FMA. Exact: nothing saturates.
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
// Measured on one Zen 4 core: roof 176 GOP/s, 38% of VNNI's, bound by the four vector pipes (26 operations a step).
//
// Register block: 6 rows x 16 columns, K in one pass. Panel step: 2 k-values of 16 columns, 32 bytes.
//
//                   b0 (8 columns x 2 k)  b1          <- vpmovsxbw, 2 ymm
//      row 0 bcast  acc[0][0]             acc[0][1]      12 ymm of int32 sums, 1 broadcast, 1 product = 16
#include <time.h>

#include "kernels.h"
#include "lanes_avx2.h"

namespace leanbert::avx2 {
#include "product.inl"

namespace {

constexpr size_t panel = 16;
constexpr size_t block_rows = 6;
constexpr size_t ahead_bytes = 4096;

using I = __m256i;

LB_INLINE I widen(const int8_t* p) { return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(p))); }

// acc += pairs of a * pairs of b; in assembly for the same reason as on AVX-512: all sixteen registers are taken
LB_INLINE void dot2(I& acc, I a, I b) {
  I t;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(t) : "x"(a), "x"(b));
}

LB_INLINE I two(const uint8_t* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}

template <int M>
__attribute__((noinline)) void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                          const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
  I acc[M][2];
  const I none = _mm256_setzero_si256();
  const I s0 = _mm256_sub_epi32(none, _mm256_loadu_si256(reinterpret_cast<const I*>(column_sum)));
  const I s1 = _mm256_sub_epi32(none, _mm256_loadu_si256(reinterpret_cast<const I*>(column_sum + 8)));
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    const I z = _mm256_set1_epi32(zero[m]);
    acc[m][0] = _mm256_mullo_epi32(z, s0);
    acc[m][1] = _mm256_mullo_epi32(z, s1);
  }
  const uint8_t* a3 = a + 3 * stride;
  const int8_t* end = b + k * panel;
  while (b != end) {
#pragma GCC unroll 2
    for (int step = 0; step < 2; step++) {
      const I b0 = widen(b + step * 32), b1 = widen(b + step * 32 + 16);
#pragma GCC unroll 8
      for (int m = 0; m < M; m++) {
        const uint8_t* base = m < 3 ? a : a3;
        const I x = two(base + static_cast<size_t>(m % 3) * stride + step * 4);
        dot2(acc[m][0], x, b0);
        dot2(acc[m][1], x, b1);
      }
    }
    prefetch<3>(ahead);
    a += 8;
    if (M > 3) a3 += 8;
    b += 64;
    ahead += 64;
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    _mm256_store_si256(reinterpret_cast<I*>(out + m * 16), acc[m][0]);
    _mm256_store_si256(reinterpret_cast<I*>(out + m * 16 + 8), acc[m][1]);
  }
}

using BlockInt8 = void (*)(const uint8_t*, size_t, const int8_t*, size_t, int32_t*, const int32_t*, const int32_t*,
                           uintptr_t);
const BlockInt8 blocks_int8[7] = {nullptr,       block_int8<1>, block_int8<2>, block_int8<3>,
                                  block_int8<4>, block_int8<5>, block_int8<6>};

// f32: the same block; every sum is one chain of FMAs over k, so its bits do not depend on the block.
template <int M>
__attribute__((noinline)) void block_f32(const float* a, size_t stride, const float* b, size_t k, float* out) {
  F acc[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) acc[m] = zeros();
  for (size_t i = 0; i < k; i++) {
    const F w = load(b + i * 16);
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) fma_into(acc[m], all(a[static_cast<size_t>(m) * stride + i]), w);
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) store(out + m * 16, acc[m]);
}

using BlockF32 = void (*)(const float*, size_t, const float*, size_t, float*);
const BlockF32 blocks_f32[7] = {nullptr,      block_f32<1>, block_f32<2>, block_f32<3>,
                                block_f32<4>, block_f32<5>, block_f32<6>};

template <bool Int8>
LB_INLINE void product_panels(const ProductCall& call) {
  alignas(32) int32_t sums[block_rows * panel];
  alignas(32) float sums_f32[block_rows * panel];
  const Product& product = *call.product;
  const size_t panel_bytes = product.k * panel;
  const size_t blocks = (call.rows + block_rows - 1) / block_rows;
  const size_t small = call.rows / blocks, larger = call.rows % blocks;
  for (size_t p = call.first_panel; p < call.last_panel; p++) {
    const int8_t* weight = Int8 ? product.weight + p * panel_bytes : nullptr;
    const uintptr_t here = reinterpret_cast<uintptr_t>(weight);
    uintptr_t next = here + panel_bytes;
    if (p + 1 == call.last_panel) next = call.next ? reinterpret_cast<uintptr_t>(call.next) : here;
    size_t row = 0;
    for (size_t i = 0; i < blocks; i++) {
      const size_t rows = small + (i < larger);
      if (Int8) {
        const uintptr_t ahead = blocks == 1 && p + 1 < call.last_panel ? here + ahead_bytes : i == 0 ? next : here;
        blocks_int8[rows](call.input.data + row * call.input.stride, call.input.stride, weight, product.k, sums,
                          product.column_sum + p * panel, call.input.zero + row, ahead);
        finish_any<true>(call, sums, panel, row, rows, p * panel);
      } else {
        blocks_f32[rows](call.input_f32 + row * call.input_f32_stride, call.input_f32_stride,
                         product.weight_f32 + p * panel * product.k, product.k, sums_f32);
        finish_any<false>(call, sums_f32, panel, row, rows, p * panel);
      }
      row += rows;
    }
  }
}

}  // namespace

void product(const ProductCall& call) {
  if (call.rows == 0) return;
  if (call.product->is_int8())
    product_panels<true>(call);
  else
    product_panels<false>(call);
}

double roof(double seconds) { return measure_roof<block_rows, panel, 256>(seconds, block_int8<6>); }

}  // namespace leanbert::avx2
