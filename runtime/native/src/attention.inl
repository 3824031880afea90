// Attention of one head of one sequence, in f32: softmax(Q K^T / sqrt(width)) V.
// Included inside an ISA's namespace, after these constants of the register budget:
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

LB_INLINE size_t up32(size_t n) { return (n + 31) / 32 * 32; }
LB_INLINE size_t up16(size_t n) { return (n + 15) / 16 * 16; }

size_t attention_scratch(size_t length, size_t width) {
  return up32(length) * width + length * up16(width) + query_rows * up32(length) + 64 + up16(width) +
         up16(query_rows) * up32(width) + 32 * up16(width);  // attention_int16's queries and scales
}

namespace {

constexpr size_t key_panel = 16 * key_vectors;

void pack_keys(const AttentionCall& call, float* keys) {
  const size_t padded = up32(call.length), width = call.width;
  for (size_t j = 0; j < padded; j += 16) {
    float* panel = keys + j / key_panel * width * key_panel + j % key_panel;
    for (size_t c = 0; c < width; c += 16) {
      F in[16], out[16];
      const size_t columns = width - c < 16 ? width - c : 16;
      for (size_t i = 0; i < 16; i++)
        in[i] = j + i < call.length ? load_part(call.k + (j + i) * call.stride + c, columns) : zeros();
      transpose(in, out);
      for (size_t i = 0; i < columns; i++) store(panel + (c + i) * key_panel, out[i]);
    }
  }
}

void pack_values(const AttentionCall& call, float* values) {
  const size_t padded = up16(call.width);
  for (size_t j = 0; j < call.length; j++)
    for (size_t c = 0; c < padded; c += 16)
      store(values + j * padded + c,
            load_part(call.v + j * call.stride + c, call.width - c < 16 ? call.width - c : 16));
}

template <int M>
__attribute__((noinline)) void score_block(const float* q, size_t stride, const float* keys, size_t width,
                                           size_t padded, float* out) {
  for (size_t j = 0; j < padded; j += key_panel) {
    F acc[M][key_vectors];
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++) acc[m][v] = zeros();
    const float* a = q;
    for (const float* end = keys + width * key_panel; keys != end; keys += key_panel, a++) {
      F k[key_vectors];
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++) k[v] = load(keys + v * 16);
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) {
        const F x = all(a[static_cast<size_t>(m) * stride]);
#pragma GCC unroll 2
        for (size_t v = 0; v < key_vectors; v++) fma_into(acc[m][v], x, k[v]);
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
      for (size_t v = 0; v < key_vectors; v++) store(out + static_cast<size_t>(m) * padded + j + v * 16, acc[m][v]);
  }
}

// scores -> unnormalized probabilities; returns 1 / their sum
LB_INLINE float soften(float* s, size_t length, size_t padded, float scale) {
  for (size_t j = length; j < padded; j++) s[j] = -__builtin_inff();
  F a = load(s), b = load(s + 16);
  for (size_t j = 32; j < padded; j += 32) {
    a = max(a, load(s + j));
    b = max(b, load(s + j + 16));
  }
  const F factor = all(scale), shift = all(-(max_lanes(max(a, b)) * scale));
  a = b = zeros();
  for (size_t j = 0; j < padded; j += 32) {
    const F x = exp2(fma(load(s + j), factor, shift)), y = exp2(fma(load(s + j + 16), factor, shift));
    store(s + j, x);
    store(s + j + 16, y);
    a = add(a, x);
    b = add(b, y);
  }
  return 1.f / sum_lanes(add(a, b));
}

template <int M, int V>
__attribute__((noinline)) void value_block(const float* p, size_t padded, const float* values, size_t value_stride,
                                           size_t length, const float* inverse, float* out, size_t out_stride,
                                           size_t columns) {
  F acc[M][V];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[m][v] = zeros();
  for (size_t j = 0; j < length; j++, values += value_stride, p++) {
    F x[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) x[v] = load(values + v * 16);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const F w = all(p[static_cast<size_t>(m) * padded]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) fma_into(acc[m][v], w, x[v]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    const F s = all(inverse[m]);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const size_t left = columns - static_cast<size_t>(v) * 16;
      store_part(out + static_cast<size_t>(m) * out_stride + v * 16, mul(acc[m][v], s), left < 16 ? left : 16);
    }
  }
}

// runs F<m> for the run-time m in 1..Max
template <int Max>
struct ScoreBlocks {
  static void run(size_t m, const float* q, size_t stride, const float* keys, size_t width, size_t padded, float* out) {
    if (m == Max) return score_block<Max>(q, stride, keys, width, padded, out);
    ScoreBlocks<Max - 1>::run(m, q, stride, keys, width, padded, out);
  }
};
template <>
struct ScoreBlocks<0> {
  static void run(size_t, const float*, size_t, const float*, size_t, size_t, float*) {}
};

template <int Max, int V>
struct ValueBlocks {
  static void run(size_t m, const float* p, size_t padded, const float* values, size_t value_stride, size_t length,
                  const float* inverse, float* out, size_t out_stride, size_t columns) {
    if (m == Max)
      return value_block<Max, V>(p, padded, values, value_stride, length, inverse, out, out_stride, columns);
    ValueBlocks<Max - 1, V>::run(m, p, padded, values, value_stride, length, inverse, out, out_stride, columns);
  }
};
template <int V>
struct ValueBlocks<0, V> {
  static void run(size_t, const float*, size_t, const float*, size_t, size_t, const float*, float*, size_t, size_t) {}
};

template <int V>
void value_rows_of(size_t rows, const float* p, size_t padded, const float* values, size_t value_stride, size_t length,
                   const float* inverse, float* out, size_t out_stride, size_t columns) {
  constexpr size_t most = value_rows(V);
  const size_t blocks = (rows + most - 1) / most;
  for (size_t row = 0, i = 0; i < blocks; i++) {
    const size_t m = (rows - row + blocks - i - 1) / (blocks - i);
    ValueBlocks<static_cast<int>(most), V>::run(m, p + row * padded, padded, values, value_stride, length,
                                                inverse + row, out + row * out_stride, out_stride, columns);
    row += m;
  }
}

}  // namespace

void attention(const AttentionCall& call) {
  const size_t padded = up32(call.length), value_stride = up16(call.width);
  float* keys = call.scratch;
  float* values = keys + padded * call.width;
  float* scores = values + call.length * value_stride;
  scores += (64 - reinterpret_cast<uintptr_t>(scores) % 64) % 64 / sizeof(float);
  pack_keys(call, keys);
  pack_values(call, values);
  const size_t blocks = (call.queries + query_rows - 1) / query_rows;
  for (size_t row = 0, i = 0; i < blocks; i++) {
    const size_t m = (call.queries - row + blocks - i - 1) / (blocks - i);
    float inverse[query_rows];
    ScoreBlocks<static_cast<int>(query_rows)>::run(m, call.q + row * call.stride, call.stride, keys, call.width, padded,
                                                   scores);
    for (size_t r = 0; r < m; r++) inverse[r] = soften(scores + r * padded, call.length, padded, call.scale);
    for (size_t c = 0; c < call.width; c += 16 * value_vectors) {
      const size_t columns = call.width - c;
      float* out = call.out + row * call.out_stride + c;
      const size_t v = up16(columns) / 16 < value_vectors ? up16(columns) / 16 : value_vectors;
      LB_VALUE_VECTORS(v, m, scores, padded, values + c, value_stride, call.length, inverse, out, call.out_stride,
                       columns)
    }
    row += m;
  }
}
