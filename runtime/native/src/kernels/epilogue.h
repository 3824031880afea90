// What happens to a block of finished sums, on every path alike.
//
//   value = sum * column scale * row scale + bias, rounded in this order:  fma(sum * column, row, bias)
//
// The sums arrive as block[row][Panel] (int32, or f32 for f32 weights), still in the first-level cache.
#pragma once

#include "kernels/functions.h"
#include "kernels/kernels.h"

namespace leanbert {
namespace {

// Of int8 weights, of f32 weights, or scaled already.
enum class Sums { int8, f32, scaled };

// Where a path that scales sums in its registers (V::scales_blocks) puts them; `add` adds them to what is there.
struct Scaling {
  const float* column_scale;
  const float* bias;
  const float* row_scale;
  float* out;
  size_t out_stride;  // floats
  bool add;
};

template <class V, Store S, Activation A, Sums K>
LB_INLINE void finish(const MatmulCall& call, const void* block, size_t panel, size_t row, size_t rows, size_t column) {
  using F = typename V::F;
  const Matmul& matmul = *call.matmul;
  constexpr bool ranged = S == Store::activated || S == Store::gated;
  const float* column_scale = matmul.scale + column;
  const float* bias = matmul.bias + column;
  for (size_t i = 0; i < rows; i++) {
    float* range = call.range + (row + i) * range_floats;
    float* out = call.out + (row + i) * call.out_stride + (column - call.first_panel * panel);
    F least = ranged ? V::load(range) : V::zeros(), most = ranged ? V::load(range + 16) : V::zeros();
#pragma GCC unroll 2
    for (size_t v = 0; v < panel; v += 16) {
      F y;
      if (K == Sums::scaled) {
        y = V::load(static_cast<const float*>(block) + i * panel + v);
      } else if (K == Sums::int8) {
        const F sum = V::from_int(static_cast<const int32_t*>(block) + i * panel + v);
        y = V::fma(V::mul(sum, V::load(column_scale + v)), V::all(call.input.scale[row + i]), V::load(bias + v));
      } else {
        y = V::add(V::load(static_cast<const float*>(block) + i * panel + v), V::load(bias + v));
      }
      y = activated<V, A>(y);
      if (S == Store::residual) y = V::add(y, V::load(out + v));
      if (S == Store::gated) y = V::mul(y, V::load(out + v));
      V::store(out + v, y);
      if (ranged) {
        least = V::min(least, y);
        most = V::max(most, y);
      }
    }
    if (ranged) {
      V::store(range, least);
      V::store(range + 16, most);
    }
  }
}

template <class V, Store S, Sums K>
LB_INLINE void finish_activated(const MatmulCall& call, const void* block, size_t panel, size_t row, size_t rows,
                                size_t column) {
  switch (call.activation) {
    case Activation::gelu: return finish<V, S, Activation::gelu, K>(call, block, panel, row, rows, column);
    case Activation::gelu_tanh: return finish<V, S, Activation::gelu_tanh, K>(call, block, panel, row, rows, column);
    case Activation::silu: return finish<V, S, Activation::silu, K>(call, block, panel, row, rows, column);
    default: return finish<V, S, Activation::relu, K>(call, block, panel, row, rows, column);
  }
}

template <class V, Sums K>
LB_INLINE void finish_any(const MatmulCall& call, const void* block, size_t panel, size_t row, size_t rows,
                          size_t column) {
  switch (call.store) {
    case Store::plain: return finish<V, Store::plain, Activation::identity, K>(call, block, panel, row, rows, column);
    case Store::residual:
      return finish<V, Store::residual, Activation::identity, K>(call, block, panel, row, rows, column);
    case Store::activated: return finish_activated<V, Store::activated, K>(call, block, panel, row, rows, column);
    case Store::gated: return finish_activated<V, Store::gated, K>(call, block, panel, row, rows, column);
  }
}

}  // namespace
}  // namespace leanbert
