// Attention that depends on how far two tokens are apart: a window, a bias, or disentangled attention. With 16-bit
// operands and the blocks of attention_int16.h.
//
//   window         keys at most `window` away. A block of queries visits the panels of keys that any of them sees; keys
//                  outside a query's own window weigh nothing.
//   biased         score + bias[key - query]. The biases of a head are laid out along the distance, so that those of
//                  sixteen keys are one load.
//   disentangled   score + q K(row) + k Q(row), where row depends on the distance. Both are blocks of matmuls with a
//                  table that is packed as keys are, over the rows that the distances of a block reach; then the row of
//                  each distance is looked up:
//
//                     queries x K rows   -> [query][row],  looked up along the keys:      row(key - query) rises
//                     keys x Q rows      -> [key][row],    looked up along the queries:   row(query - key) rises;
//                                           16 x 16 numbers are transposed to [query][key]
//
//                  Near distances have rows of their own (DeBERTa: up to 128), so sixteen lookups are one load there.
//
// The scores come as f32, in powers of two: x = sum * scale (+ bias, + ...), each a chain in a fixed order. Lane l sums
// the keys j with j % 32 = l, whichever panel a block starts with, so no bit depends on how queries are cut into blocks.
// Keys that are not seen get x = -1e30: at most 2^-126 beside a sum of at least 1.
//
// Cost of a head of width 64 (Zen 4, one core, AVX-512, native_bench kernels): see docs/native.md.
#pragma once

#include "kernels/attention_int16.h"

namespace leanbert {
namespace {

constexpr float unseen = -1e30f;
constexpr size_t term_queries = 128;  // queries whose key terms are computed together

// Weights of the keys [from, to) in the place of the scores [0, padded), score(j) giving the x of sixteen keys; weights
// of other keys are 0. Returns 1 / their sum.
template <class V, class Score, class F = typename V::F>
LB_INLINE float soften_scored(int32_t* scores, size_t from, size_t to, size_t padded, const Score& score) {
  float* e = reinterpret_cast<float*>(scores);
  F most = V::all(unseen);
  for (size_t j = 0; j < padded; j += 16) {
    F x = score(j);
    if (j + 16 > to) x = V::first_or(x, j < to ? to - j : 0, unseen);
    if (j < from) x = V::from_or(x, from - j < 16 ? from - j : 16, unseen);
    V::store(e + j, x);
    most = V::max(most, x);
  }
  const F shift = V::all(V::max_lanes(most));
  F a = V::zeros(), b = V::zeros();
  for (size_t j = 0; j < padded; j += 32) {
    const F x = exp2_short<V>(V::sub(V::load(e + j), shift)), y = exp2_short<V>(V::sub(V::load(e + j + 16), shift));
    V::store(e + j, x);
    V::store(e + j + 16, y);
    a = V::add(a, x);
    b = V::add(b, y);
  }
  return round_weights<V>(e, padded, V::add(a, b));
}

template <class V>
void attention_window(const AttentionCall& call) {
  using F = typename V::F;
  const Packed16<V> p(call);
  const size_t n = call.length, window = call.window;
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    const size_t before = query > window ? query - window : 0, behind = query + queries + window;
    const size_t first = before / 32 * 32, last = behind < n ? behind : n, size = up32(last - first);
    float inverse[V::query_rows], factor[V::query_rows];
    p.pack_queries(call.q + query * call.stride, call.stride, queries, call.width, p.key_scale, factor);
    p.score(queries, p.keys + first * call.width, call.width, size, p.scores);
    for (size_t r = 0; r < queries; r++) {
      int32_t* scores = p.scores + r * size;
      const size_t i = query + r, from = i > window ? i - window : 0, to = i + window + 1 < n ? i + window + 1 : n;
      const F f = V::all(factor[r]);
      inverse[r] = soften_scored<V>(scores, from - first, to - first, size,
                                    [&](size_t j) { return V::mul(V::from_words(V::load_words(scores + j)), f); });
    }
    p.weigh(call, query, queries, size, first, last - first, inverse);
  });
}

template <class V>
void attention_biased(const AttentionCall& call) {
  using F = typename V::F;
  const Packed16<V> p(call);
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    float inverse[V::query_rows], factor[V::query_rows];
    p.pack_queries(call.q + query * call.stride, call.stride, queries, call.width, p.key_scale, factor);
    p.score(queries, p.keys, call.width, p.padded, p.scores);
    for (size_t r = 0; r < queries; r++) {
      int32_t* scores = p.scores + r * p.padded;
      const float* bias = call.bias - (query + r);
      const F f = V::all(factor[r]);
      inverse[r] = soften_scored<V>(scores, 0, call.length, p.padded, [&](size_t j) {
        return V::fma(V::from_words(V::load_words(scores + j)), f, V::load(bias + j));
      });
    }
    p.weigh(call, query, queries, p.padded, 0, call.length, inverse);
  });
}

// ---- disentangled

template <class V>
size_t relative_scratch(size_t length, size_t rows) {
  return 16 + 16 * up32(rows) + 32 + term_queries * up32(length);
}

// Whole panels of rows that hold those of the distances [from, to].
struct RowRange {
  size_t first, size;
};
template <class V>
LB_INLINE RowRange rows_between(const int32_t* row, ptrdiff_t from, ptrdiff_t to) {
  const size_t first = static_cast<size_t>(row[from]) / key_panel<V> * key_panel<V>;
  const size_t last = static_cast<size_t>(row[to]) / key_panel<V> * key_panel<V> + key_panel<V>;
  return {first, last - first};
}

// found[row - first] of sixteen distances from `distance` on
template <class V, class F = typename V::F>
LB_INLINE F looked_up(const int32_t* found, size_t first, const RowOfDistance& rows, ptrdiff_t distance) {
  const int32_t* row = rows.row + distance;
  if (rows.straight[distance]) return V::from_words(V::load_words(found + (static_cast<size_t>(row[0]) - first)));
  int32_t copy[16];
  for (size_t i = 0; i < 16; i++) copy[i] = found[static_cast<size_t>(row[i]) - first];
  return V::from_words(V::load_words(copy));
}

// terms[i][j] = k(j) Q(row(j - (first + i))) for `count` queries from `first` on, rows of `padded` numbers
template <class V>
void key_terms(const AttentionCall& call, const Packed16<V>& p, size_t first, size_t count, int32_t* found,
               float* terms) {
  using F = typename V::F;
  const RelativeHead& relative = *call.relative;
  for (size_t key = 0; key < call.length; key += 16) {
    const size_t keys = call.length - key < 16 ? call.length - key : 16;
    const ptrdiff_t nearest = static_cast<ptrdiff_t>(first) - static_cast<ptrdiff_t>(key);  // query - key
    const RowRange range = rows_between<V>(relative.before.row, nearest - static_cast<ptrdiff_t>(keys) + 1,
                                           nearest + static_cast<ptrdiff_t>(up16(count)) - 1);
    float factor[16];
    equal_blocks(keys, V::query_rows, [&](size_t at, size_t some, size_t, size_t) {
      p.pack_queries(call.k + (key + at) * call.stride, call.stride, some, call.width, relative.query_scale,
                     factor + at);
      p.score(some, relative.queries + range.first * call.width, call.width, range.size, found + at * range.size);
    });
    for (size_t i = 0; i < count; i += 16) {
      F in[16], out[16];
      for (size_t t = 0; t < 16; t++)
        in[t] = t < keys ? V::mul(looked_up<V>(found + t * range.size, range.first, relative.before,
                                               nearest + static_cast<ptrdiff_t>(i) - static_cast<ptrdiff_t>(t)),
                                  V::all(factor[t]))
                         : V::zeros();
      V::transpose(in, out);
      for (size_t t = 0; t < 16; t++) V::store(terms + (i + t) * p.padded + key, out[t]);
    }
  }
}

template <class V>
void attention_disentangled(const AttentionCall& call) {
  using F = typename V::F;
  const Packed16<V> p(call);
  const RelativeHead& relative = *call.relative;
  int32_t* found = reinterpret_cast<int32_t*>(call.scratch + up16(attention_scratch<V>(call.length, call.width)));
  float* terms = reinterpret_cast<float*>(found + 16 * up32(relative.rows) + 32);
  for (size_t start = 0; start < call.queries; start += term_queries) {
    const size_t together = call.queries - start < term_queries ? call.queries - start : term_queries;
    if (relative.queries)
      key_terms<V>(call, p, start, together, found, terms);
    else
      for (size_t j = 0; j < together * p.padded; j++) terms[j] = 0;
    equal_blocks(together, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
      const ptrdiff_t i = static_cast<ptrdiff_t>(start + query), end = i + static_cast<ptrdiff_t>(queries);
      const RowRange range = rows_between<V>(relative.after.row, 1 - end, static_cast<ptrdiff_t>(p.padded) - 1 - i);
      float inverse[V::query_rows], factor[V::query_rows];
      p.pack_queries(call.q + (start + query) * call.stride, call.stride, queries, call.width, 1.f, factor);
      p.score(queries, p.keys, call.width, p.padded, p.scores);
      p.score(queries, relative.keys + range.first * call.width, call.width, range.size, found);
      for (size_t r = 0; r < queries; r++) {
        int32_t* scores = p.scores + r * p.padded;
        const int32_t* of_rows = found + r * range.size;
        const float* of_keys = terms + (query + r) * p.padded;
        const ptrdiff_t here = i + static_cast<ptrdiff_t>(r);
        const F f = V::all(factor[r] * p.key_scale), g = V::all(factor[r] * relative.key_scale);
        inverse[r] = soften_scored<V>(scores, 0, call.length, p.padded, [&](size_t j) {
          const F position = looked_up<V>(of_rows, range.first, relative.after, static_cast<ptrdiff_t>(j) - here);
          return V::fma(V::from_words(V::load_words(scores + j)), f, V::fma(position, g, V::load(of_keys + j)));
        });
      }
      p.weigh(call, start + query, queries, p.padded, 0, call.length, inverse);
    });
  }
}

template <class V>
float pack_relative(const float* x, size_t rows, size_t width, int16_t* out) {
  AttentionCall call{};
  call.k = x;
  call.stride = width;
  call.length = rows;
  call.width = width;
  return pack_keys16<V>(call, out);
}

}  // namespace
}  // namespace leanbert
