// Attention of one head of one sequence with 16-bit operands and exact 32-bit sums. The blocks are attention.h's.
//
//   scores      Q K^T: a query is scaled to length 32700 (Euclidean), the keys of a head so that the longest has that
//               length. So every number fits 16 bits, rounding adds at most sqrt(width) / 2 <= 6 to a length, and by
//               Cauchy and Schwarz every partial sum is at most 32706^2 < 2^31.
//   softmax     in f32; e_j = 2^(x_j - max) <= 1, S = sum of e_j, at least 1
//   weights     P_j = round(c e_j) with c = min(32000, 480000 / S): below 2^15, and their sum is at most
//               c S (1 + 2^-8) + length / 2 <= 481,875 + 32,768 < 2^31 / 4095 for any length up to 65,536
//   output      P V / sum of P: the values in -4095..4095, each column by its largest, so that every partial sum is
//               below 4095 * sum of P < 2^31. Dividing by the sum of the rounded weights keeps them an average.
//
// All sums over the width and over the keys are exact, so no bit depends on how queries or keys are cut into blocks;
// scales depend on the sequence (keys, values) or the query alone.
//
// Errors against double, where quantizing the inputs of Q, K and V to 8 bits shifts the same outputs by 6e-3 (mean;
// 128 tokens, scores of deviation 1): 3e-5, f32 attention 4e-8, bf16 operands 5e-4
// (tests/native/test_kernels.py holds it below 1/50 of what int8 inputs do).
// Cost of a head of width 64 (Zen 4, one core, AVX-512, native_bench kernels): 8 tokens 0.5 us against 0.8 in f32, 32
// tokens 2.2 against 3.1, 128 tokens 25 against 42, 512 tokens 362 against 635. Of 128 tokens' time the multiply-adds
// alone take 72%; the softmax takes about 13 cycles for sixteen scores.
//
//   keys     int16 [panel][width / 2][16 * key_vectors][2]: what one multiply-add instruction consumes
//   values   int16 [keys / 2][padded width][2]; of both, sixteen pairs at a time in the path's order (V::pairs)
//   scores   int32, then f32, then int16 in one place: [query_rows][length up to 32]
#pragma once

#include "kernels/attention.h"
#include "kernels/operands16.h"

namespace leanbert {
namespace {

// C vectors of M rows
template <class V, size_t M, size_t C, class W = typename V::W>
LB_INLINE void score_panel16(const int16_t* q, size_t stride, const int16_t* keys, size_t width, size_t padded,
                             int32_t* out) {
  W acc[M][C];
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
    for (size_t v = 0; v < C; v++) acc[m][v] = V::no_words();
  multiply_pairs<V>(acc, q, stride, keys, 2 * key_panel<V>, width / 2);
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 2
    for (size_t v = 0; v < C; v++) V::store_words(out + m * padded + v * 16, acc[m][v]);
}

// Scores of the first `size` keys, a multiple of sixteen, in rows of `padded`.
template <class V, size_t M>
LB_NOINLINE void score_block16(const int16_t* q, size_t stride, const int16_t* keys, size_t width, size_t size,
                               size_t padded, int32_t* out) {
  size_t j = 0;
  for (; j + key_panel<V> <= size; j += key_panel<V>, keys += width * key_panel<V>)
    score_panel16<V, M, V::key_vectors>(q, stride, keys, width, padded, out + j);
  if (V::key_vectors > 1 && j < size) score_panel16<V, M, 1>(q, stride, keys, width, padded, out + j);
}

// e_j of the keys [0, length) of at most sixteen rows, whose sums are folded here -> weights in the same place, and 1 /
// their sums, with room for sixteen
template <class V, class F = typename V::F, class W = typename V::W>
LB_INLINE void round_weights(float* e, size_t rows, size_t length, size_t padded, const F* of_e, float* inverse) {
  float factor[16];
  F sums[16];
  V::store(factor, V::min(V::div(V::all(480000.f), V::sum_each(of_e)), V::all(32000.f)));
  for (size_t r = 0; r < rows; r++, e += padded) {
    int16_t* weights = reinterpret_cast<int16_t*>(e);
    const F c = V::all(factor[r]);
    W sum = V::no_words();
    for (size_t j = 0; j < length; j += 32) {
      const W x = V::to_words(V::mul(V::load(e + j), c));
      const W y = length - j > 16 ? V::to_words(V::mul(V::load(e + j + 16), c)) : V::no_words();
      sum = V::add_words(sum, V::add_words(x, y));
      V::store16(weights + j, V::narrow16(x, y));
    }
    sums[r] = V::from_words(sum);
  }
  for (size_t r = rows; r < 16; r++) sums[r] = V::all(1.f);
  V::store(inverse, V::div(V::all(1.f), V::sum_each(sums)));
}

// Scores of some rows -> weights in the same place, and 1 / their sums. Each step is taken for all rows before the next
// one begins, so that no row waits for the folds and divisions of its own.
template <class V, class F = typename V::F, class W = typename V::W>
LB_INLINE void soften16(int32_t* scores, size_t rows, size_t length, size_t padded, const float* factor,
                        float* inverse) {
  W most[V::query_rows];
  F sum[16];
  const size_t last = padded - 32, left = length - last;
  const bool both = left > 16;  // of the last two vectors
  for (size_t r = 0; r < rows; r++) {
    const int32_t* s = scores + r * padded;
    W a = V::load_words(s + last), b = both ? V::load_words(s + last + 16) : a;
    for (size_t j = 0; j < last; j += 32) {
      a = V::max_words(a, V::load_words(s + j));
      b = V::max_words(b, V::load_words(s + j + 16));
    }
    most[r] = V::all_largest(V::max_words(a, b));
  }
  for (size_t r = 0; r < rows; r++) {
    const int32_t* s = scores + r * padded;
    float* e = reinterpret_cast<float*>(scores + r * padded);
    const F f = V::all(factor[r]);
    // differences of two scores fit: 2 * 32706^2 < 2^31
    const auto power = [&](size_t j) { return V::mul(V::from_words(V::sub_words(V::load_words(s + j), most[r])), f); };
    F a = V::zeros(), b = V::zeros();
    for (size_t j = 0; j < last; j += 32) {
      const F x = exp2_short<V>(power(j)), y = exp2_short<V>(power(j + 16));
      V::store(e + j, x);
      V::store(e + j + 16, y);
      a = V::add(a, x);
      b = V::add(b, y);
    }
    // keys beyond the length weigh nothing, whatever the factor
    const F x = exp2_short<V>(V::first_or(power(last), left, -126.f));
    V::store(e + last, x);
    a = V::add(a, x);
    if (both) {
      const F y = exp2_short<V>(V::first_or(power(last + 16), left - 16, -126.f));
      V::store(e + last + 16, y);
      b = V::add(b, y);
    }
    sum[r] = V::add(a, b);
  }
  for (size_t r = rows; r < 16; r++) sum[r] = V::all(1.f);
  round_weights<V>(reinterpret_cast<float*>(scores), rows, length, padded, sum, inverse);
}

template <class V, size_t M, size_t C, class F = typename V::F, class W = typename V::W>
LB_NOINLINE void value_block16(const int16_t* p, size_t padded, const int16_t* values, size_t value_stride,
                               size_t length, const float* inverse, const float* scale, float* out, size_t out_stride,
                               size_t columns) {
  W acc[M][C];
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++) acc[m][v] = V::no_words();
  multiply_pairs<V>(acc, p, 2 * padded, values, 2 * value_stride, (length + 1) / 2);
#pragma GCC unroll 16
  for (size_t m = 0; m < M; m++) {
    const F s = V::all(inverse[m]);
#pragma GCC unroll 4
    for (size_t v = 0; v < C; v++) {
      const size_t left = columns - v * 16;
      const F y = V::mul(V::mul(V::from_words(acc[m][v]), s), V::load(scale + v * 16));
      V::store_part(out + m * out_stride + v * 16, y, left < 16 ? left : 16);
    }
  }
}

// The pieces of a call's scratch, each of whole cache lines, with its keys and values packed.
template <class V>
struct Packed16 {
  explicit Packed16(const AttentionCall& call)
      : padded(up32(call.length)),
        value_stride(up16(call.width)),
        query_stride(up32(call.width)),
        keys(reinterpret_cast<int16_t*>(call.scratch)),
        values(keys + padded * call.width),
        queries(values + padded * value_stride),
        value_scale(reinterpret_cast<float*>(queries + up16(V::query_rows) * query_stride)),
        scores(reinterpret_cast<int32_t*>(value_scale + value_stride)),
        key_scale(pack_keys16<V>(call, keys) * call.scale) {
    pack_values16<V>(call, values, value_scale);
  }

  // Packs queries, or what is to be multiplied like them, rows `stride` apart, at most sixteen; factor[r] is a
  // row's scale times `by`, and has room for sixteen.
  inline __attribute__((always_inline)) void pack_queries(const float* rows, size_t stride, size_t count, size_t width,
                                                          float by, float* factor) const {
    if (width % 32 == 0)
      pack_queries_of<V, true>(rows, stride, count, width, queries, query_stride, by, factor);
    else
      pack_queries_of<V, false>(rows, stride, count, width, queries, query_stride, by, factor);
  }

  // The packed queries times the first `size` keys of any panels; found[r * found_stride + j] is the sum of a pair.
  inline __attribute__((always_inline)) void score(size_t count, const int16_t* panels, size_t width, size_t size,
                                                   int32_t* found, size_t found_stride) const {
    dispatch<V::query_rows>(
        count, [&](auto m) { score_block16<V, m()>(queries, query_stride, panels, width, size, found_stride, found); });
  }

  // The outputs of queries [query, query + count), whose weights of the keys [first, first + length) are in `scores`,
  // rows of `size` numbers.
  inline __attribute__((always_inline)) void weigh(const AttentionCall& call, size_t query, size_t count, size_t size,
                                                   size_t first, size_t length, const float* inverse) const {
    const int16_t* weights = reinterpret_cast<const int16_t*>(scores);
    const int16_t* from = values + first * value_stride;
    for (size_t c = 0; c < call.width; c += 16 * V::value_vectors) {
      const size_t columns = call.width - c, vectors = up16(columns) / 16;
      dispatch<V::value_vectors>(vectors < V::value_vectors ? vectors : V::value_vectors, [&](auto v) {
        constexpr size_t C = v(), most = V::value_rows(C);
        equal_blocks(count, most, [&](size_t row, size_t rows, size_t, size_t) {
          dispatch<most>(rows, [&](auto m) {
            value_block16<V, m(), C>(weights + row * 2 * size, size, from + 2 * c, value_stride, length, inverse + row,
                                     value_scale + c, call.out + (query + row) * call.out_stride + c, call.out_stride,
                                     columns);
          });
        });
      });
    }
  }

  size_t padded, value_stride, query_stride;
  int16_t *keys, *values, *queries;
  float* value_scale;
  int32_t* scores;
  float key_scale;  // times the call's
};

template <class V>
void attention_int16(const AttentionCall& call) {
  const Packed16<V> p(call);
  equal_blocks(call.queries, V::query_rows, [&](size_t query, size_t queries, size_t, size_t) {
    float inverse[16], factor[16];
    p.pack_queries(call.q + query * call.stride, call.stride, queries, call.width, p.key_scale, factor);
    p.score(queries, p.keys, call.width, up16(call.length), p.scores, p.padded);
    soften16<V>(p.scores, queries, call.length, p.padded, factor, inverse);
    p.weigh(call, query, queries, p.padded, 0, call.length, inverse);
  });
}

}  // namespace
}  // namespace leanbert
