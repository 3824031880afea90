// Matrix products for AVX-512: int8 with VNNI, f32 with FMA.
//
// Register block of the int8 product: 14 rows x 32 columns, K in one pass, so that a sum never leaves its register.
//
//                    b0 (16 columns x 4 k)   b1             <- 2 zmm, loaded once for 14 rows
//      a row 0  bcast  acc[0][0]             acc[0][1]
//      ...                                               28 zmm of int32 sums, 2 of weights, 1 of activations: 31
//      a row 13 bcast  acc[13][0]            acc[13][1]
//
// vpdpbusd adds four u8 x s8 products to each int32 lane: at most 4 * 255 * 128 a step and K <= 32768, so sums stay
// below 2^31 and are exact. Asymmetric activations cost nothing: the sums start at -zero * column_sum.
//
// Written with inline assembly for the one instruction: with intrinsics gcc 12 keeps part of the 28 sums on the stack
// (8 x 128 tokens of BERT-base: 304 ms against 228).
// Row addresses: rows 0..13 are five pointers three rows apart plus {0, 1, 2} strides, which x86 addresses for free.
//
// Measured on one Zen 4 core, roof 465 GOP/s (native_bench kernels): 64 rows of BERT-base's qkv 96% of it, output 97%,
// up with GELU 90%, down 99%. With operands in cache the plain epilogue is free (97%), GELU takes 5%.
//
// Weights are prefetched: a call with one row block reads each panel once, from memory, so it runs `ahead_bytes` ahead
// of itself (BERT-base, 8 tokens: 8 KB 2.52 ms, 4 KB 2.67, 16 KB 2.63; into the first-level cache 3.02); with more
// blocks the first two fetch the next panel while they compute.
#include <time.h>

#include "kernels.h"
#include "lanes_avx512.h"

namespace leanbert::avx512 {
#include "product.inl"

namespace {

constexpr size_t panel = 32;
constexpr size_t block_rows = 14;
constexpr size_t ahead_bytes = 8192;

#if defined(LEANBERT_NATIVE_INTRINSICS)
LB_INLINE void dot4(I& acc, I a, I b) { acc = _mm512_dpbusd_epi32(acc, a, b); }
#else
LB_INLINE void dot4(I& acc, I a, I b) { __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b)); }
#endif

LB_INLINE I four(const uint8_t* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
}

// M rows x 32 columns. Lines: cache lines prefetched for each pair of k-steps, of the 4 that it reads.
template <int M, int Lines>
__attribute__((noinline)) void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                          const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
  I acc[M][2];
  const I none = _mm512_setzero_si512();
  const I s0 = _mm512_sub_epi32(none, _mm512_loadu_si512(column_sum));
  const I s1 = _mm512_sub_epi32(none, _mm512_loadu_si512(column_sum + 16));
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
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
    for (int step = 0; step < 2; step++) {
      const I b0 = _mm512_load_si512(b + step * 128), b1 = _mm512_load_si512(b + step * 128 + 64);
      if (Lines > step) prefetch<2>(ahead + step * 64);
      if (Lines > step + 2) prefetch<2>(ahead + step * 64 + 128);
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) {
        const uint8_t* base = m < 3 ? a : m < 6 ? a3 : m < 9 ? a6 : m < 12 ? a9 : a12;
        const I x = four(base + static_cast<size_t>(m % 3) * stride + step * 4);
        dot4(acc[m][0], x, b0);
        dot4(acc[m][1], x, b1);
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
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    _mm512_store_si512(out + m * 32, acc[m][0]);
    _mm512_store_si512(out + m * 32 + 16, acc[m][1]);
  }
}

using BlockInt8 = void (*)(const uint8_t*, size_t, const int8_t*, size_t, int32_t*, const int32_t*, const int32_t*,
                           uintptr_t);

#define LB_BLOCKS(lines)  \
  {nullptr,               \
   block_int8<1, lines>,  \
   block_int8<2, lines>,  \
   block_int8<3, lines>,  \
   block_int8<4, lines>,  \
   block_int8<5, lines>,  \
   block_int8<6, lines>,  \
   block_int8<7, lines>,  \
   block_int8<8, lines>,  \
   block_int8<9, lines>,  \
   block_int8<10, lines>, \
   block_int8<11, lines>, \
   block_int8<12, lines>, \
   block_int8<13, lines>, \
   block_int8<14, lines>}
const BlockInt8 blocks_quiet[15] = LB_BLOCKS(0);
const BlockInt8 blocks_half[15] = LB_BLOCKS(2);
const BlockInt8 blocks_full[15] = LB_BLOCKS(4);
#undef LB_BLOCKS

// f32: the same block with 12 rows; every sum is one chain of FMAs over k, so its bits do not depend on the block.
template <int M>
__attribute__((noinline)) void block_f32(const float* a, size_t stride, const float* b, size_t k, float* out) {
  F acc[M][2];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) acc[m][0] = acc[m][1] = zeros();
  for (size_t i = 0; i < k; i++) {
    const F b0 = load(b + i * 32), b1 = load(b + i * 32 + 16);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const F x = all(a[static_cast<size_t>(m) * stride + i]);
      fma_into(acc[m][0], x, b0);
      fma_into(acc[m][1], x, b1);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    store(out + m * 32, acc[m][0]);
    store(out + m * 32 + 16, acc[m][1]);
  }
}

using BlockF32 = void (*)(const float*, size_t, const float*, size_t, float*);
const BlockF32 blocks_f32[13] = {nullptr,       block_f32<1>,  block_f32<2>, block_f32<3>, block_f32<4>,
                                 block_f32<5>,  block_f32<6>,  block_f32<7>, block_f32<8>, block_f32<9>,
                                 block_f32<10>, block_f32<11>, block_f32<12>};

void product_f32(const ProductCall& call) {
  alignas(64) float sums[12 * panel];
  const Product& product = *call.product;
  for (size_t p = call.first_panel; p < call.last_panel; p++)
    for (size_t row = 0; row < call.rows;) {
      const size_t rows = call.rows - row < 12 ? call.rows - row : 12;
      blocks_f32[rows](call.input_f32 + row * call.input_f32_stride, call.input_f32_stride,
                       product.weight_f32 + p * panel * product.k, product.k, sums);
      finish_any<false>(call, sums, panel, row, rows, p * panel);
      row += rows;
    }
}

}  // namespace

void product(const ProductCall& call) {
  if (call.rows == 0) return;
  if (!call.product->is_int8()) return product_f32(call);
  alignas(64) int32_t sums[block_rows * panel];
  const Product& product = *call.product;
  const size_t panel_bytes = product.k * panel;
  // Rows in blocks of equal size: 16 rows are 8 + 8, not 14 + 2, because a block of 2 waits for its own sums.
  const size_t blocks = (call.rows + block_rows - 1) / block_rows;
  const size_t small = call.rows / blocks, larger = call.rows % blocks;
  for (size_t p = call.first_panel; p < call.last_panel; p++) {
    const int8_t* weight = product.weight + p * panel_bytes;
    const uintptr_t here = reinterpret_cast<uintptr_t>(weight);
    uintptr_t next = here + panel_bytes;
    if (p + 1 == call.last_panel) next = call.next ? reinterpret_cast<uintptr_t>(call.next) : here;
    size_t row = 0;
    for (size_t i = 0; i < blocks; i++) {
      const size_t rows = small + (i < larger);
      float* out = call.out + row * call.out_stride + (p - call.first_panel) * panel;
      for (size_t r = 0; r < rows; r++, out += call.out_stride) {
        __builtin_prefetch(out, 1);
        __builtin_prefetch(out + 16, 1);
      }
      const BlockInt8 block = (blocks == 1 ? blocks_full : i < 2 ? blocks_half : blocks_quiet)[rows];
      uintptr_t ahead = next;
      if (blocks == 1) ahead = p + 1 < call.last_panel ? here + ahead_bytes : next;
      if (blocks > 1 && i == 1) ahead = next + panel_bytes / 2;
      block(call.input.data + row * call.input.stride, call.input.stride, weight, product.k, sums,
            product.column_sum + p * panel, call.input.zero + row, ahead);
      finish_any<true>(call, sums, panel, row, rows, p * panel);
      row += rows;
    }
  }
}

double roof(double seconds) { return measure_roof<block_rows, panel, 256>(seconds, block_int8<14, 0>); }

}  // namespace leanbert::avx512
