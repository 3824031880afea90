// Queries, keys and values of a head as 16-bit integers; attention_int16.h says how they are scaled and why.
#pragma once

#include "kernels/attention.h"

namespace leanbert {
namespace {

constexpr float value_steps = 4095.f;
constexpr float vector_length = 32700.f;

// Sixteen numbers of a row, of which `left` are there; the others are 0. `Whole` says that all of them always are.
template <class V, bool Whole, class F = typename V::F>
LB_INLINE F load_upto(const float* p, size_t left) {
  return Whole || left >= 16 ? V::load(p) : left ? V::load_part(p, left) : V::zeros();
}

// The squared Euclidean lengths of `count` rows, in the first lanes.
template <class V, bool Whole, class F = typename V::F>
LB_INLINE F squared_lengths(const float* rows, size_t stride, size_t count, size_t width) {
  F sums[16];
  for (size_t r = 0; r < 16; r++) {
    F sum = V::zeros();
    for (size_t c = 0; r < count && c < width; c += 16) {
      const F v = load_upto<V, Whole>(rows + r * stride + c, width - c);
      sum = V::fma(v, v, sum);
    }
    sums[r] = sum;
  }
  return V::sum_each(sums);
}

// 32 int16 of a row times `factor`
template <class V, bool Whole, class F = typename V::F>
LB_INLINE F pack_part(const float* p, size_t left, F factor) {
  return V::pack16(V::mul(load_upto<V, Whole>(p, left), factor),
                   Whole || left > 16 ? V::mul(load_upto<V, Whole>(p + 16, left - 16), factor) : V::zeros());
}

// Returns the scale: key = scale * stored. Up to a whole panel the last key is repeated: no further score is larger.
template <class V, bool Whole, class F = typename V::F>
LB_INLINE float pack_keys_of(const AttentionCall& call, int16_t* keys) {
  const size_t padded = up32(call.length), width = call.width;
  F squares = V::zeros();
  for (size_t j = 0; j < call.length; j += 16) {
    const size_t count = call.length - j < 16 ? call.length - j : 16;
    squares = V::max(squared_lengths<V, Whole>(call.k + j * call.stride, call.stride, count, width), squares);
  }
  const float most = __builtin_sqrtf(V::max_lanes(squares));
  const F inverse = V::all(most > 0 ? vector_length / most : 0.f);
  for (size_t j = 0; j < padded; j += 16) {
    int16_t* panel = keys + 2 * (j / key_panel<V> * (width / 2) * key_panel<V> + j % key_panel<V>);
    for (size_t c = 0; c < width; c += 32) {
      F in[16], out[16];
      const size_t left = width - c;
      for (size_t i = 0; i < 16; i++) {
        const size_t key = j + i < call.length ? j + i : call.length - 1;
        in[i] = pack_part<V, Whole>(call.k + key * call.stride + c, left, inverse);
      }
      V::transpose(in, out);
      for (size_t i = 0; i < 16 && (Whole || 2 * i < left); i++)
        V::store16(panel + (c / 2 + i) * 2 * key_panel<V>, V::pairs(out[i]));
    }
  }
  return most / vector_length;
}

template <class V>
float pack_keys16(const AttentionCall& call, int16_t* keys) {
  return call.width % 32 == 0 ? pack_keys_of<V, true>(call, keys) : pack_keys_of<V, false>(call, keys);
}

// Vectors [c, c + C) of the values; scale[column] is the values' scale.
template <class V, size_t C, bool Whole, class F = typename V::F>
LB_INLINE void pack_value_vectors(const AttentionCall& call, size_t c, int16_t* values, float* scale) {
  const size_t padded = up16(call.width);
  const auto load = [&](const float* row, size_t v) {
    return load_upto<V, Whole>(row + v * 16, call.width - c - v * 16);
  };
  const float* row = call.v + c;
  F largest[C], inverse[C];
#pragma GCC unroll 4
  for (size_t v = 0; v < C; v++) largest[v] = V::zeros();
  for (size_t j = 0; j < call.length; j++, row += call.stride)
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++) largest[v] = V::max(largest[v], V::magnitude(load(row, v)));
#pragma GCC unroll 4
  for (size_t v = 0; v < C; v++) {
    V::store(scale + c + v * 16, V::mul(largest[v], V::all(1.f / value_steps)));
    inverse[v] = V::div(V::all(value_steps), V::max(largest[v], V::all(1e-20f)));
  }
  row = call.v + c;
  for (size_t j = 0; j + 1 < call.length; j += 2, row += 2 * call.stride)
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++)
      V::store16(values + (j / 2 * padded + c + v * 16) * 2,
                 V::interleave16(V::mul(load(row, v), inverse[v]), V::mul(load(row + call.stride, v), inverse[v])));
  if (call.length % 2)
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++)
      V::store16(values + (call.length / 2 * padded + c + v * 16) * 2,
                 V::interleave16(V::mul(load(row, v), inverse[v]), V::zeros()));
}

template <class V>
void pack_values16(const AttentionCall& call, int16_t* values, float* scale) {
  size_t c = 0;
  for (; c + 32 <= call.width; c += 32) pack_value_vectors<V, 2, true>(call, c, values, scale);
  for (; c < call.width; c += 16) pack_value_vectors<V, 1, false>(call, c, values, scale);
}

// Rows of queries -> int16; factor[r] = the scale of row r times `by`
template <class V, bool Whole, class F = typename V::F>
LB_INLINE void pack_queries_of(const float* rows, size_t stride, size_t count, size_t width, int16_t* out,
                               size_t out_stride, float by, float* factor) {
  float inverse[16];
  const F lengths = V::sqrt(squared_lengths<V, Whole>(rows, stride, count, width));
  // of a row of zeros nothing matters
  V::store(inverse, V::div(V::all(vector_length), V::max(lengths, V::all(1e-30f))));
  V::store(factor, V::mul(V::div(lengths, V::all(vector_length)), V::all(by)));
  for (size_t r = 0; r < count; r++)
    for (size_t c = 0; c < width; c += 32)
      V::store16(out + r * out_stride + c, pack_part<V, Whole>(rows + r * stride + c, width - c, V::all(inverse[r])));
}

}  // namespace
}  // namespace leanbert
