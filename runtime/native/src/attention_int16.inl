// Attention of one head of one sequence with 16-bit operands and exact 32-bit sums; included after attention.inl.
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
// (tests/native/test_native_kernels.py holds it below 1/50 of what int8 inputs do).
// Cost of a head of width 64 (Zen 4, one core, AVX-512, native_bench kernels): 128 tokens 27 us against 42 in f32, 512
// tokens 371 us against 635; 8 tokens 0.9 against 0.8.
//
//   keys     int16 [panel][width / 2][16 * key_vectors][2]: what one multiply-add instruction consumes
//   values   int16 [keys / 2][padded width][2]
//   scores   int32, then f32, then int16 in one place: [query_rows][length up to 32]

namespace {

constexpr float value_steps = 4095.f;
constexpr float vector_length = 32700.f;

LB_INLINE float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

// 2^x as exp2 has it, with a polynomial of degree 4: relative error 2.7e-6, x at least -126 or taken for that
LB_INLINE F exp2_short(F x) {
  x = at_least_exponent(x);
  const F n = round(x), r = sub(x, n);
  F p = all(0.009570102207362652f);
  p = fma(p, r, all(0.05591786280274391f));
  p = fma(p, r, all(0.240247443318367f));
  p = fma(p, r, all(0.6931217908859253f));
  p = fma(p, r, all(0.9999992847442627f));
  return shift_exponent(p, n);
}

LB_INLINE F load_upto(const float* p, size_t left) {  // 0 beyond `left` numbers
  return left >= 16 ? load(p) : left ? load_part(p, left) : zeros();
}

LB_INLINE float squared_length(const float* x, size_t width) {
  F sum = zeros();
  for (size_t c = 0; c < width; c += 16) {
    const F v = load_upto(x + c, width - c);
    sum = fma(v, v, sum);
  }
  return sum_lanes(sum);
}

// returns the scale: key = scale * stored
float pack_keys16(const AttentionCall& call, int16_t* keys) {
  const size_t padded = up32(call.length), width = call.width;
  float most = 0;
  for (size_t j = 0; j < call.length; j++) {
    const float square = squared_length(call.k + j * call.stride, width);
    most = square > most ? square : most;
  }
  most = square_root(most);
  const F inverse = all(most > 0 ? vector_length / most : 0.f);
  for (size_t j = 0; j < padded; j += 16) {
    int16_t* panel = keys + 2 * (j / key_panel * (width / 2) * key_panel + j % key_panel);
    for (size_t c = 0; c < width; c += 32) {
      F in[16], out[16];
      const size_t left = width - c;
      for (size_t i = 0; i < 16; i++) {
        const float* row = call.k + (j + i) * call.stride + c;
        in[i] = j + i < call.length ? pack16(mul(load_upto(row, left), inverse),
                                             left > 16 ? mul(load_upto(row + 16, left - 16), inverse) : zeros())
                                    : zeros();
      }
      transpose(in, out);
      for (size_t i = 0; i < 16 && 2 * i < left; i++) store16(panel + (c / 2 + i) * 2 * key_panel, out[i]);
    }
  }
  return most / vector_length;
}

// scale[column] is the values' scale
void pack_values16(const AttentionCall& call, int16_t* values, float* scale) {
  const size_t padded = up16(call.width);
  for (size_t c = 0; c < padded; c += 16) {
    const size_t left = call.width - c;
    const float* v = call.v + c;
    F largest = zeros();
    for (size_t j = 0; j < call.length; j++) largest = max(largest, magnitude(load_upto(v + j * call.stride, left)));
    store(scale + c, mul(largest, all(1.f / value_steps)));
    const F inverse = div(all(value_steps), max(largest, all(1e-20f)));
    for (size_t j = 0; j < call.length; j += 2, v += 2 * call.stride) {
      const F a = mul(load_upto(v, left), inverse);
      const F b = j + 1 < call.length ? mul(load_upto(v + call.stride, left), inverse) : zeros();
      store16(values + (j / 2 * padded + c) * 2, interleave16(a, b));
    }
  }
}

// returns the scale
LB_INLINE float pack_query16(const float* q, size_t width, int16_t* out) {
  const float length = square_root(squared_length(q, width));
  const F inverse = all(length > 0 ? vector_length / length : 0.f);
  for (size_t c = 0; c < width; c += 32) {
    const size_t left = width - c;
    store16(out + c, pack16(mul(load_upto(q + c, left), inverse),
                            left > 16 ? mul(load_upto(q + c + 16, left - 16), inverse) : zeros()));
  }
  return length / vector_length;
}

template <int M>
__attribute__((noinline)) void score_block16(const int16_t* q, size_t stride, const int16_t* keys, size_t width,
                                             size_t padded, int32_t* out) {
  for (size_t j = 0; j < padded; j += key_panel) {
    W acc[M][key_vectors];
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++) acc[m][v] = no_words();
    const int16_t* a = q;
    for (const int16_t* end = keys + width * key_panel; keys != end; keys += 2 * key_panel, a += 2) {
      W k[key_vectors];
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++) k[v] = load_words(keys + v * 32);
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) {
        const W x = all_pairs(a + static_cast<size_t>(m) * stride);
#pragma GCC unroll 2
        for (size_t v = 0; v < key_vectors; v++) dot_pairs(acc[m][v], x, k[v]);
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++)
        store_words(out + static_cast<size_t>(m) * padded + j + v * 16, acc[m][v]);
  }
}

// scores -> weights in the same place; returns 1 / their sum
LB_INLINE float soften16(int32_t* scores, size_t length, size_t padded, float factor) {
  float* e = reinterpret_cast<float*>(scores);
  int16_t* weights = reinterpret_cast<int16_t*>(scores);
  for (size_t j = length; j < padded; j++) scores[j] = INT32_MIN;
  W a = load_words(scores), b = load_words(scores + 16);
  for (size_t j = 32; j < padded; j += 32) {
    a = max_words(a, load_words(scores + j));
    b = max_words(b, load_words(scores + j + 16));
  }
  int32_t lanes[16];
  store_words(lanes, max_words(a, b));
  for (int i = 1; i < 16; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
  const W most = all_words(lanes[0]);  // differences of two scores fit: 2 * 32706^2 < 2^31
  const F f = all(factor);
  F sum_a = zeros(), sum_b = zeros();
  const size_t last = padded - 32;
  for (size_t j = 0; j < last; j += 32) {
    const F x = exp2_short(mul(from_words(sub_words(load_words(scores + j), most)), f));
    const F y = exp2_short(mul(from_words(sub_words(load_words(scores + j + 16), most)), f));
    store(e + j, x);
    store(e + j + 16, y);
    sum_a = add(sum_a, x);
    sum_b = add(sum_b, y);
  }
  {  // keys beyond the length weigh nothing, whatever the factor
    const size_t left = length - last;
    const F x = exp2_short(first_or(mul(from_words(sub_words(load_words(scores + last), most)), f), left, -126.f));
    const F y = exp2_short(first_or(mul(from_words(sub_words(load_words(scores + last + 16), most)), f),
                                    left > 16 ? left - 16 : 0, -126.f));
    store(e + last, x);
    store(e + last + 16, y);
    sum_a = add(sum_a, x);
    sum_b = add(sum_b, y);
  }
  const float room = 480000.f / sum_lanes(add(sum_a, sum_b));
  const F c = all(room < 32000.f ? room : 32000.f);
  W sum = no_words();
  for (size_t j = 0; j < padded; j += 32) {
    const W x = to_words(mul(load(e + j), c)), y = to_words(mul(load(e + j + 16), c));
    sum = add_words(sum, add_words(x, y));
    store16(weights + j, narrow16(x, y));
  }
  return 1.f / sum_lanes(from_words(sum));
}

template <int M, int V>
__attribute__((noinline)) void value_block16(const int16_t* p, size_t padded, const int16_t* values,
                                             size_t value_stride, size_t length, const float* inverse,
                                             const float* scale, float* out, size_t out_stride, size_t columns) {
  W acc[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[m][v] = no_words();
  for (size_t j = 0; j < length; j += 2, values += 2 * value_stride, p += 2) {
    W x[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) x[v] = load_words(values + v * 32);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const W w = all_pairs(p + static_cast<size_t>(m) * 2 * padded);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) dot_pairs(acc[m][v], w, x[v]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    const F s = all(inverse[m]);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const size_t left = columns - static_cast<size_t>(v) * 16;
      const F y = mul(mul(from_words(acc[m][v]), s), load(scale + v * 16));
      store_part(out + static_cast<size_t>(m) * out_stride + v * 16, y, left < 16 ? left : 16);
    }
  }
}

template <int Max>
struct ScoreBlocks16 {
  static void run(size_t m, const int16_t* q, size_t stride, const int16_t* keys, size_t width, size_t padded,
                  int32_t* out) {
    if (m == Max) return score_block16<Max>(q, stride, keys, width, padded, out);
    ScoreBlocks16<Max - 1>::run(m, q, stride, keys, width, padded, out);
  }
};
template <>
struct ScoreBlocks16<0> {
  static void run(size_t, const int16_t*, size_t, const int16_t*, size_t, size_t, int32_t*) {}
};

template <int Max, int V>
struct ValueBlocks16 {
  template <class... A>
  static void run(size_t m, A... arguments) {
    if (m == Max) return value_block16<Max, V>(arguments...);
    ValueBlocks16<Max - 1, V>::run(m, arguments...);
  }
};
template <int V>
struct ValueBlocks16<0, V> {
  template <class... A>
  static void run(size_t, A...) {}
};

template <int V>
void value_rows16_of(size_t rows, const int16_t* p, size_t padded, const int16_t* values, size_t value_stride,
                     size_t length, const float* inverse, const float* scale, float* out, size_t out_stride,
                     size_t columns) {
  constexpr size_t most = value_rows(V);
  const size_t blocks = (rows + most - 1) / most;
  for (size_t row = 0, i = 0; i < blocks; i++) {
    const size_t m = (rows - row + blocks - i - 1) / (blocks - i);
    ValueBlocks16<static_cast<int>(most), V>::run(m, p + row * 2 * padded, padded, values, value_stride, length,
                                                  inverse + row, scale, out + row * out_stride, out_stride, columns);
    row += m;
  }
}

}  // namespace

void attention_int16(const AttentionCall& call) {
  const size_t padded = up32(call.length), value_stride = up16(call.width), query_stride = up32(call.width);
  // pieces of whole cache lines
  int16_t* keys = reinterpret_cast<int16_t*>(call.scratch);
  int16_t* values = keys + padded * call.width;
  int16_t* queries = values + up32(call.length) * value_stride;
  float* value_scale = reinterpret_cast<float*>(queries + up16(query_rows) * query_stride);
  int32_t* scores = reinterpret_cast<int32_t*>(value_scale + value_stride);
  const float key_scale = pack_keys16(call, keys) * call.scale;
  pack_values16(call, values, value_scale);
  const size_t blocks = (call.queries + query_rows - 1) / query_rows;
  for (size_t row = 0, i = 0; i < blocks; i++) {
    const size_t m = (call.queries - row + blocks - i - 1) / (blocks - i);
    float inverse[query_rows], factor[query_rows];
    for (size_t r = 0; r < m; r++)
      factor[r] = pack_query16(call.q + (row + r) * call.stride, call.width, queries + r * query_stride) * key_scale;
    ScoreBlocks16<static_cast<int>(query_rows)>::run(m, queries, query_stride, keys, call.width, padded, scores);
    for (size_t r = 0; r < m; r++) inverse[r] = soften16(scores + r * padded, call.length, padded, factor[r]);
    const int16_t* weights = reinterpret_cast<const int16_t*>(scores);
    for (size_t c = 0; c < call.width; c += 16 * value_vectors) {
      const size_t columns = call.width - c;
      float* out = call.out + row * call.out_stride + c;
      const size_t v = up16(columns) / 16 < value_vectors ? up16(columns) / 16 : value_vectors;
      LB_VALUE_VECTORS16(v, m, weights, padded, values + 2 * c, value_stride, call.length, inverse, value_scale + c,
                         out, call.out_stride, columns)
    }
    row += m;
  }
}
