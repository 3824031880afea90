// The driver of matmuls: panels of columns, blocks of rows, prefetching. A path `V` gives its lanes and
//
//   group, quantized_bytes, quantized_flip    kernels.h's layouts
//   store_quantized(p, v)     sixteen numbers, rounded and clamped to 0..255, in that layout
//   panel, block_rows         columns and rows of the register block of int8 matmuls
//   f32_block_rows            rows of the register block of f32 matmuls, whose columns are a panel, too
//   step_lines                cache lines of weights that one step of the int8 block's loop reads
//   fetching_blocks           the blocks of rows, counted from the first, that share in fetching the next panel
//   ahead_bytes               how far a single block runs ahead of itself
//   block_int8<M, Lines>(activations, stride, weights, k, sums, column_sum, zero, ahead)
//                             M rows times one panel, K in one pass; the sums start at -zero * column_sum, so that
//                             asymmetric activations cost nothing. In each step it prefetches Lines lines at `ahead`.
//   scales_blocks             whether the path has block_scaled, too: the same with a Scaling (epilogue.h) in the place of
//                             `sums`, which is applied while the sums are in their registers
//
// A call of one row block reads each panel once, from memory, and so fetches `ahead_bytes` ahead of itself; where there
// are more, the first ones fetch the next panel (or what the caller will read afterwards) while they compute.
#pragma once

#include <type_traits>

#include "kernels/blocks.h"
#include "kernels/dispatch.h"
#include "kernels/epilogue.h"
#include "platform/platform.h"

namespace leanbert {
namespace {

// Locality as __builtin_prefetch has it: 3 is the first-level cache, 2 the second.
// Addresses to prefetch are numbers: they may lie outside the weights, where no pointer may.
template <int Locality>
LB_INLINE void prefetch(uintptr_t address) {
#if defined(LEANBERT_NATIVE_NO_PREFETCH)
  static_cast<void>(address);
#else
  __builtin_prefetch(reinterpret_cast<const char*>(address), 0, Locality);
#endif
}

// M rows of f32.
template <class V, size_t M>
LB_NOINLINE void block_f32(const float* a, size_t stride, const float* b, size_t k, float* out) {
  using F = typename V::F;
  constexpr size_t vectors = V::panel / 16;
  F acc[M][vectors];
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) acc[m][v] = V::zeros();
  multiply_rows<V>(acc, a, stride, b, V::panel, k);
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
    for (size_t v = 0; v < vectors; v++) V::store(out + m * V::panel + v * 16, acc[m][v]);
}

template <class V>
void matmul_f32(const MatmulCall& call) {
  alignas(64) float sums[V::f32_block_rows * V::panel];
  const Matmul& matmul = *call.matmul;
  for (size_t p = call.first_panel; p < call.last_panel; p++) {
    const float* weight = matmul.weight_f32 + p * V::panel * matmul.k;
    equal_blocks(call.rows, V::f32_block_rows, [&](size_t row, size_t rows, size_t, size_t) {
      dispatch<V::f32_block_rows>(rows, [&](auto m) {
        block_f32<V, m()>(call.input_f32 + row * call.input_f32_stride, call.input_f32_stride, weight, matmul.k, sums);
      });
      finish_any<V, Sums::f32>(call, sums, V::panel, row, rows, p * V::panel);
    });
  }
}

template <class V>
void matmul_int8(const MatmulCall& call) {
  alignas(64) int32_t sums[V::block_rows * V::panel];
  const Matmul& matmul = *call.matmul;
  const size_t panel_bytes = matmul.k * V::panel;
  for (size_t p = call.first_panel; p < call.last_panel; p++) {
    const int8_t* weight = matmul.weight + p * panel_bytes;
    const bool last = p + 1 == call.last_panel;
    const uintptr_t here = reinterpret_cast<uintptr_t>(weight);
    const uintptr_t after = call.next ? reinterpret_cast<uintptr_t>(call.next) : here;
    const uintptr_t next = last ? after : here + panel_bytes;
    equal_blocks(call.rows, V::block_rows, [&](size_t row, size_t rows, size_t i, size_t blocks) {
      float* out = call.out + row * call.out_stride + (p - call.first_panel) * V::panel;
      for (size_t r = 0; r < rows; r++, out += call.out_stride)
        for (size_t c = 0; c < V::panel; c += 16) __builtin_prefetch(out + c, 1);
      const bool whole = call.store == Store::plain || call.store == Store::residual;  // needs no more than scaling
      const Scaling scaling{
          matmul.scale + p * V::panel,
          matmul.bias + p * V::panel,
          call.input.scale + row,
          whole ? call.out + row * call.out_stride + (p - call.first_panel) * V::panel : reinterpret_cast<float*>(sums),
          whole ? call.out_stride : V::panel,
          call.store == Store::residual};
      const auto compute = [&](auto lines, uintptr_t ahead) {
        constexpr size_t Lines = lines();
        const uint8_t* input = call.input.data + row * call.input.stride;
        const int32_t* column_sum = matmul.column_sum + p * V::panel;
        const int32_t* zero = call.input.zero + row;
        dispatch<V::block_rows>(rows, [&](auto m) {
          if constexpr (V::scales_blocks)
            V::template block_scaled<m(), Lines>(input, call.input.stride, weight, matmul.k, scaling, column_sum, zero,
                                                 ahead);
          else
            V::template block_int8<m(), Lines>(input, call.input.stride, weight, matmul.k, sums, column_sum, zero,
                                               ahead);
        });
      };
      constexpr size_t all = V::step_lines, part = V::step_lines / V::fetching_blocks;
      if (blocks == 1)
        compute(std::integral_constant<size_t, all>{}, last ? next : here + V::ahead_bytes);
      else if (i < V::fetching_blocks)
        compute(std::integral_constant<size_t, part>{}, next + i * panel_bytes / V::fetching_blocks);
      else
        compute(std::integral_constant<size_t, 0>{}, next);
      if (!V::scales_blocks)
        finish_any<V, Sums::int8>(call, sums, V::panel, row, rows, p * V::panel);
      else if (!whole)
        finish_any<V, Sums::scaled>(call, sums, V::panel, row, rows, p * V::panel);
    });
  }
}

template <class V>
void matmul(const MatmulCall& call) {
  if (call.rows == 0) return;
  if (call.matmul->is_int8())
    matmul_int8<V>(call);
  else
    matmul_f32<V>(call);
}

// int8 operations per second of one thread: the best of many short runs of a full register block on operands that stay
// in the first-level cache.
template <class V>
double roof(double seconds) {
  constexpr size_t rows = V::block_rows, k = 256;
  constexpr int repeats = 200;
  alignas(64) static const int8_t weights[k * V::panel] = {};
  alignas(64) uint8_t activations[rows * k * V::quantized_bytes] = {};
  alignas(64) int32_t sums[rows * V::panel];
  const int32_t none[V::panel] = {};
  const double end = platform::seconds_now() + seconds;
  double best = 0, after;
  do {
    const double before = platform::seconds_now();
    for (int i = 0; i < repeats; i++)
      V::template block_int8<rows, 0>(activations, k * V::quantized_bytes, weights, k, sums, none, none,
                                      reinterpret_cast<uintptr_t>(weights));
    after = platform::seconds_now();
    const double rate = repeats * 2. * rows * V::panel * k / (after - before);
    if (rate > best) best = rate;
  } while (after < end);
  return best;
}

}  // namespace
}  // namespace leanbert
