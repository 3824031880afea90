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

// The keys [from, to) that a row of scores sees.
struct Seen {
  size_t from, to;
};

// Weights in the place of the scores [0, size) of some rows, score(r, j) giving the x of sixteen keys of row r, seen(r)
// the keys that it sees; weights of other keys are 0. And 1 / their sums, with room for sixteen. Each step is taken for
// all rows before the next one begins, as in soften16.
template <class V, class ScoreOf, class SeenBy, class F = typename V::F>
LB_INLINE void soften_scored(int32_t* scores, size_t rows, size_t size, size_t padded, const SeenBy& seen,
                             const ScoreOf& score, float* inverse) {
  float* first = reinterpret_cast<float*>(scores);
  F sums[16];
  float most[V::query_rows];
  for (size_t r = 0; r < rows; r++) {
    float* e = first + r * padded;
    const Seen keys = seen(r);
    F largest = V::all(unseen);
    for (size_t j = 0; j < size; j += 16) {
      F x = score(r, j);
      if (j + 16 > keys.to) x = V::first_or(x, j < keys.to ? keys.to - j : 0, unseen);
      if (j < keys.from) x = V::from_or(x, keys.from - j < 16 ? keys.from - j : 16, unseen);
      V::store(e + j, x);
      largest = V::max(largest, x);
    }
    most[r] = V::max_lanes(largest);
  }
  for (size_t r = 0; r < rows; r++) {
    float* e = first + r * padded;
    const F shift = V::all(most[r]);
    F a = V::zeros(), b = V::zeros();
    size_t j = 0;
    for (; j + 32 <= size; j += 32) {
      const F x = exp2_short<V>(V::sub(V::load(e + j), shift)), y = exp2_short<V>(V::sub(V::load(e + j + 16), shift));
      V::store(e + j, x);
      V::store(e + j + 16, y);
      a = V::add(a, x);
      b = V::add(b, y);
    }
    if (j < size) {
      const F x = exp2_short<V>(V::sub(V::load(e + j), shift));
      V::store(e + j, x);
      a = V::add(a, x);
    }
    sums[r] = V::add(a, b);
  }
  for (size_t r = rows; r < 16; r++) sums[r] = V::all(1.f);
  round_weights<V>(first, rows, size, padded, sums, inverse);
}

template <class V>
void attention_window(const AttentionCall& call) {
  const Packed16<V> p(call);
  const size_t n = call.length, window = call.window;
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    const size_t before = query > window ? query - window : 0, behind = query + queries + window;
    const size_t first = before / 32 * 32, last = behind < n ? behind : n, size = up32(last - first);
    float inverse[16], factor[16];
    p.pack_queries(call.q + query * call.stride, call.stride, queries, call.width, p.key_scale, factor);
    p.score(queries, p.keys + first * call.width, call.width, up16(last - first), p.scores, size);
    soften_scored<V>(
        p.scores, queries, up16(last - first), size,
        [&](size_t r) {
          const size_t i = query + r, from = i > window ? i - window : 0, to = i + window + 1 < n ? i + window + 1 : n;
          return Seen{from - first, to - first};
        },
        [&](size_t r, size_t j) {
          return V::mul(V::from_words(V::load_words(p.scores + r * size + j)), V::all(factor[r]));
        },
        inverse);
    p.weigh(call, query, queries, size, first, last - first, inverse);
  });
}

template <class V>
void attention_biased(const AttentionCall& call) {
  const Packed16<V> p(call);
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    float inverse[16], factor[16];
    p.pack_queries(call.q + query * call.stride, call.stride, queries, call.width, p.key_scale, factor);
    p.score(queries, p.keys, call.width, up16(call.length), p.scores, p.padded);
    soften_scored<V>(
        p.scores, queries, up16(call.length), p.padded, [&](size_t) { return Seen{0, call.length}; },
        [&](size_t r, size_t j) {
          const float* bias = call.bias - (query + r);
          return V::fma(V::from_words(V::load_words(p.scores + r * p.padded + j)), V::all(factor[r]),
                        V::load(bias + j));
        },
        inverse);
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
    float factor[32];
    equal_blocks(keys, V::query_rows, [&](size_t at, size_t some, size_t, size_t) {
      p.pack_queries(call.k + (key + at) * call.stride, call.stride, some, call.width, relative.query_scale,
                     factor + at);
      p.score(some, relative.queries + range.first * call.width, call.width, range.size, found + at * range.size,
              range.size);
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
      float inverse[16], factor[16];
      p.pack_queries(call.q + (start + query) * call.stride, call.stride, queries, call.width, 1.f, factor);
      p.score(queries, p.keys, call.width, up16(call.length), p.scores, p.padded);
      p.score(queries, relative.keys + range.first * call.width, call.width, range.size, found, range.size);
      soften_scored<V>(
          p.scores, queries, up16(call.length), p.padded, [&](size_t) { return Seen{0, call.length}; },
          [&](size_t r, size_t j) {
            const ptrdiff_t distance = static_cast<ptrdiff_t>(j) - i - static_cast<ptrdiff_t>(r);
            const F position = looked_up<V>(found + r * range.size, range.first, relative.after, distance);
            const F f = V::all(factor[r] * p.key_scale), g = V::all(factor[r] * relative.key_scale);
            return V::fma(V::from_words(V::load_words(p.scores + r * p.padded + j)), f,
                          V::fma(position, g, V::load(terms + (query + r) * p.padded + j)));
          },
          inverse);
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
