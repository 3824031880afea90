// The innermost loops: rows of numbers times rows of vectors, with all sums in registers. f32 matmuls and attention consist of
// them; a path's file has that of int8 matmuls.
//
// A path gives `M` and `C` so that its registers hold the sums, and either the operations below (fma_into, dot_pairs) or,
// with `own_blocks`, the loops themselves: multiply_rows and multiply_pairs of the same arguments, for C = 1.
#pragma once

#include "kernels/lanes.h"

namespace leanbert {
namespace {

// sums[m] += a[m * stride + i] * b[i * step ..], 16 C numbers, over i < k. Every sum is one chain of FMAs over i, so its
// bits do not depend on the block.
template <class V, size_t M, size_t C>
LB_INLINE void multiply_rows(typename V::F (&sums)[M][C], const float* a, size_t stride, const float* b, size_t step,
                             size_t k) {
  if constexpr (V::own_blocks) {
    V::multiply_rows(sums, a, stride, b, step, k);
  } else {
    for (size_t i = 0; i < k; i++, a++, b += step) {
      typename V::F w[C];
#pragma GCC unroll 4
      for (size_t c = 0; c < C; c++) w[c] = V::load(b + c * 16);
#pragma GCC unroll 16
      for (size_t m = 0; m < M; m++) {
        const typename V::F x = V::all(a[m * stride]);
#pragma GCC unroll 4
        for (size_t c = 0; c < C; c++) V::fma_into(sums[m][c], x, w[c]);
      }
    }
  }
}

// The same with pairs of int16 and exact sums of int32: the i-th pair of each row of a, `step` int16 from one 16 C pairs
// of b to the next, which are in the path's order (V::pairs).
template <class V, size_t M, size_t C>
LB_INLINE void multiply_pairs(typename V::W (&sums)[M][C], const int16_t* a, size_t stride, const int16_t* b,
                              size_t step, size_t count) {
  if constexpr (V::own_blocks) {
    V::multiply_pairs(sums, a, stride, b, step, count);
  } else {
    for (size_t i = 0; i < count; i++, a += 2, b += step) {
      typename V::W w[C];
#pragma GCC unroll 4
      for (size_t c = 0; c < C; c++) w[c] = V::load_words(b + c * 32);
#pragma GCC unroll 16
      for (size_t m = 0; m < M; m++) {
        int32_t pair;
        __builtin_memcpy(&pair, a + m * stride, 4);
        const typename V::W x = V::all_words(pair);
#pragma GCC unroll 4
        for (size_t c = 0; c < C; c++) V::dot_pairs(sums[m][c], x, w[c]);
      }
    }
  }
}

}  // namespace
}  // namespace leanbert
