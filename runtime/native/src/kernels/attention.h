// Attention of one head of one sequence, in f32: softmax(Q K^T / sqrt(width)) V.
//
// A path `V` gives its lanes and its register budget:
//   key_vectors    vectors of sixteen keys side by side in the score block
//   query_rows     rows of the score block; query_rows * key_vectors sums stay in registers
//   value_vectors  vectors of sixteen columns side by side in the value block
//   value_rows(v)  rows of the value block with v vectors
//
//   keys     [panel][width][16 * key_vectors]  K transposed, so that a vector holds one column of many keys
//   values   [length][padded width]            V copied together, padded to whole vectors
//   scores   [query_rows][length up to 32]
//
// Every score is one chain of FMAs over the width, every output one chain over the keys, the softmax's sum two chains
// of sixteen lanes folded by sum_lanes: no bit depends on how queries are cut into blocks. Keys beyond the length get
// -inf, which exp2 turns into 2^-126, nothing beside a sum of at least 1; values beyond it are never read.
// Cost of a head of width 64 (Zen 4, one core, native_bench kernels): 128 tokens 42 us on AVX-512 (101 GFLOP/s, 86% of
// the FMA peak) and 46 to 58 us on AVX2; 512 tokens 667 us and 680 to 810 us.
#pragma once

#include "kernels/blocks.h"
#include "kernels/dispatch.h"
#include "kernels/functions.h"
#include "kernels/kernels.h"

namespace leanbert {
namespace {

LB_INLINE size_t up32(size_t n) { return (n + 31) / 32 * 32; }
LB_INLINE size_t up16(size_t n) { return (n + 15) / 16 * 16; }

template <class V>
size_t attention_scratch(size_t length, size_t width) {
  return up32(length) * width + length * up16(width) + V::query_rows * up32(length) + 64 + up16(width) +
         up16(V::query_rows) * up32(width) + 32 * up16(width);  // attention_int16's queries and scales
}

// Keys of one panel of the score block.
template <class V>
constexpr size_t key_panel = 16 * V::key_vectors;

template <class V, class F = typename V::F>
void pack_keys(const AttentionCall& call, float* keys) {
  const size_t padded = up32(call.length), width = call.width;
  for (size_t j = 0; j < padded; j += 16) {
    float* panel = keys + j / key_panel<V> * width * key_panel<V> + j % key_panel<V>;
    for (size_t c = 0; c < width; c += 16) {
      F in[16], out[16];
      const size_t columns = width - c < 16 ? width - c : 16;
      for (size_t i = 0; i < 16; i++)
        in[i] = j + i < call.length ? V::load_part(call.k + (j + i) * call.stride + c, columns) : V::zeros();
      V::transpose(in, out);
      for (size_t i = 0; i < columns; i++) V::store(panel + (c + i) * key_panel<V>, out[i]);
    }
  }
}

template <class V>
void pack_values(const AttentionCall& call, float* values) {
  const size_t padded = up16(call.width);
  for (size_t j = 0; j < call.length; j++)
    for (size_t c = 0; c < padded; c += 16)
      V::store(values + j * padded + c,
               V::load_part(call.v + j * call.stride + c, call.width - c < 16 ? call.width - c : 16));
}

template <class V, size_t M, class F = typename V::F>
LB_NOINLINE void score_block(const float* q, size_t stride, const float* keys, size_t width, size_t padded,
                             float* out) {
  for (size_t j = 0; j < padded; j += key_panel<V>) {
    F acc[M][V::key_vectors];
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < V::key_vectors; v++) acc[m][v] = V::zeros();
    multiply_rows<V>(acc, q, stride, keys, key_panel<V>, width);
    keys += width * key_panel<V>;
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < V::key_vectors; v++) V::store(out + m * padded + j + v * 16, acc[m][v]);
  }
}

// scores -> unnormalized probabilities; returns 1 / their sum
template <class V, class F = typename V::F>
LB_INLINE float soften(float* s, size_t length, size_t padded, float scale) {
  for (size_t j = length; j < padded; j++) s[j] = -__builtin_inff();
  F a = V::load(s), b = V::load(s + 16);
  for (size_t j = 32; j < padded; j += 32) {
    a = V::max(a, V::load(s + j));
    b = V::max(b, V::load(s + j + 16));
  }
  const F factor = V::all(scale), shift = V::all(-(V::max_lanes(V::max(a, b)) * scale));
  a = b = V::zeros();
  for (size_t j = 0; j < padded; j += 32) {
    const F x = exp2<V>(V::fma(V::load(s + j), factor, shift)), y = exp2<V>(V::fma(V::load(s + j + 16), factor, shift));
    V::store(s + j, x);
    V::store(s + j + 16, y);
    a = V::add(a, x);
    b = V::add(b, y);
  }
  return 1.f / V::sum_lanes(V::add(a, b));
}

template <class V, size_t M, size_t C, class F = typename V::F>
LB_NOINLINE void value_block(const float* p, size_t padded, const float* values, size_t value_stride, size_t length,
                             const float* inverse, float* out, size_t out_stride, size_t columns) {
  F acc[M][C];
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++) acc[m][v] = V::zeros();
  multiply_rows<V>(acc, p, padded, values, value_stride, length);
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++) {
    const F s = V::all(inverse[m]);
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++) {
      const size_t left = columns - v * 16;
      V::store_part(out + m * out_stride + v * 16, V::mul(acc[m][v], s), left < 16 ? left : 16);
    }
  }
}

template <class V>
void attention(const AttentionCall& call) {
  const size_t padded = up32(call.length), value_stride = up16(call.width);
  float* keys = call.scratch;
  float* values = keys + padded * call.width;
  float* scores = values + call.length * value_stride;
  scores += (64 - reinterpret_cast<uintptr_t>(scores) % 64) % 64 / sizeof(float);
  pack_keys<V>(call, keys);
  pack_values<V>(call, values);
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    float inverse[V::query_rows];
    dispatch<V::query_rows>(queries, [&](auto m) {
      score_block<V, m()>(call.q + query * call.stride, call.stride, keys, call.width, padded, scores);
    });
    for (size_t r = 0; r < queries; r++) inverse[r] = soften<V>(scores + r * padded, call.length, padded, call.scale);
    for (size_t c = 0; c < call.width; c += 16 * V::value_vectors) {
      const size_t columns = call.width - c, vectors = up16(columns) / 16;
      dispatch<V::value_vectors>(vectors < V::value_vectors ? vectors : V::value_vectors, [&](auto v) {
        constexpr size_t C = v(), most = V::value_rows(C);
        equal_blocks(queries, most, [&](size_t row, size_t rows, size_t, size_t) {
          dispatch<most>(rows, [&](auto m) {
            value_block<V, m(), C>(scores + row * padded, padded, values + c, value_stride, call.length, inverse + row,
                                   call.out + (query + row) * call.out_stride + c, call.out_stride, columns);
          });
        });
      });
    }
  });
}

}  // namespace
}  // namespace leanbert
