// The register block of avx512_vnni.cpp with another way to its weights: one line is loaded for 32 columns, and a shift
// and two masks make both registers of it. Those three operations have the ports that vpdpbusd leaves free.
//
//   acc[M][2] int32 sums, two registers of weights, one of activations, one mask: 12 rows leave four registers
//
// Where groups have scales, a group's sums are added to f32 sums that stay in the first-level cache: for each row and
// 16 columns one conversion, one load, one multiply-add and one store per group.
#include "int4.h"
#include "kernels/matmul.h"
#include "x86/lanes512.h"

namespace leanbert {
namespace {

struct Int4 : Lanes512 {
  static constexpr size_t panel = 32, block_rows = 12;
  static constexpr size_t ahead_bytes = 8192, fetching_blocks = 2, step_lines = 2;

  LB_INLINE void dot4(I& acc, I a, I b) { __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b)); }
  LB_INLINE I four(const uint8_t* p) {
    int32_t x;
    __builtin_memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
  }

  // acc += k inputs, a multiple of 8; Lines cache lines are prefetched for every 8 of them
  template <size_t M, size_t Lines>
  LB_INLINE void accumulate(I (&acc)[M][2], const uint8_t* a, size_t stride, const uint8_t* b, size_t k,
                            uintptr_t& ahead) {
    const I high = _mm512_set1_epi8(static_cast<char>(0xf0));
    const uint8_t* a3 = a + 3 * stride;
    const uint8_t* a6 = a + 6 * stride;
    const uint8_t* a9 = a + 9 * stride;
    const uint8_t* end = b + k * 16;
    while (b != end) {
      if (Lines > 0) prefetch<2>(ahead);
      if (Lines > 1) prefetch<2>(ahead + 64);
#pragma GCC unroll 2
      for (size_t step = 0; step < 2; step++) {
        I b1 = _mm512_load_si512(b + step * 64);
        const I b0 = _mm512_and_si512(_mm512_slli_epi32(b1, 4), high);
        b1 = _mm512_and_si512(b1, high);
#pragma GCC unroll 16
        for (size_t m = 0; m < M; m++) {
          const uint8_t* base = m < 3 ? a : m < 6 ? a3 : m < 9 ? a6 : a9;
          const I x = four(base + m % 3 * stride + step * 4);
          dot4(acc[m][0], x, b0);
          dot4(acc[m][1], x, b1);
        }
      }
      a += 8;
      if (M > 3) a3 += 8;
      if (M > 6) a6 += 8;
      if (M > 9) a9 += 8;
      b += 128;
      ahead += 64 * Lines;
    }
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block(const uint8_t* a, size_t stride, const uint8_t* b, size_t k, int32_t* out,
                                const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    I acc[M][2];
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++) {
      const I z = _mm512_set1_epi32(-zero[m]);
      acc[m][0] = _mm512_mullo_epi32(z, _mm512_loadu_si512(column_sum));
      acc[m][1] = _mm512_mullo_epi32(z, _mm512_loadu_si512(column_sum + 16));
    }
    accumulate<M, Lines>(acc, a, stride, b, k, ahead);
#pragma GCC unroll 16
    for (size_t m = 0; m < M; m++) {
      _mm512_store_si512(out + m * 32, acc[m][0]);
      _mm512_store_si512(out + m * 32 + 16, acc[m][1]);
    }
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_grouped(const uint8_t* a, size_t stride, const uint8_t* b, size_t k, size_t group,
                                        const uint16_t* scales, const float* compensation, const int32_t* zero,
                                        const float* row_scale, float* out, uintptr_t ahead) {
    for (size_t m = 0; m < M; m++)
      for (size_t v = 0; v < 2; v++)
        store(out + m * 32 + v * 16, mul(all(static_cast<float>(-zero[m])), load(compensation + v * 16)));
    for (size_t from = 0; from < k; from += group) {
      const size_t part = k - from < group ? k - from : group;
      I acc[M][2];
#pragma GCC unroll 16
      for (size_t m = 0; m < M; m++) acc[m][0] = acc[m][1] = _mm512_setzero_si512();
      accumulate<M, Lines>(acc, a + from, stride, b + from * 16, part, ahead);
      const F s0 = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
      const F s1 = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales + 16)));
      scales += 32;
      __asm__ volatile("" : : : "memory");  // or gcc keeps all f32 sums in registers, which are too few
#pragma GCC unroll 16
      for (size_t m = 0; m < M; m++) {
        float* to = out + m * 32;
        store(to, fma(_mm512_cvtepi32_ps(acc[m][0]), s0, load(to)));
        store(to + 16, fma(_mm512_cvtepi32_ps(acc[m][1]), s1, load(to + 16)));
      }
    }
    for (size_t m = 0; m < M; m++)
      for (size_t v = 0; v < 2; v++) store(out + m * 32 + v * 16, mul(load(out + m * 32 + v * 16), all(row_scale[m])));
  }
};

}  // namespace

void pack_int4(const int8_t* levels, size_t k, size_t n, uint8_t* packed) {
  for (size_t p = 0; p < n; p += 32)
    for (size_t i = 0; i < k; i += 4)
      for (size_t j = 0; j < 64; j++) {
        const int8_t* low = levels + (i + j % 4) * n + p + j / 4;
        *packed++ = static_cast<uint8_t>((low[0] & 15) | (low[16] & 15) << 4);
      }
}

void matmul_int4(const Int4Matmul& weights, const MatmulCall& call) {
  using V = Int4;
  alignas(64) int32_t sums[V::block_rows * V::panel];
  alignas(64) float f32_sums[V::block_rows * V::panel];
  const Matmul& matmul = weights.matmul;
  MatmulCall with = call;
  with.matmul = &matmul;
  const size_t panel_bytes = matmul.k * 16;
  const size_t groups = weights.scales ? (matmul.k + weights.group - 1) / weights.group : 0;
  for (size_t p = call.first_panel; p < call.last_panel; p++) {
    const uint8_t* weight = reinterpret_cast<const uint8_t*>(matmul.weight) + p * panel_bytes;
    const bool last = p + 1 == call.last_panel;
    const uintptr_t here = reinterpret_cast<uintptr_t>(weight);
    const uintptr_t next = !last ? here + panel_bytes : call.next ? reinterpret_cast<uintptr_t>(call.next) : here;
    equal_blocks(call.rows, V::block_rows, [&](size_t row, size_t rows, size_t i, size_t blocks) {
      float* out = call.out + row * call.out_stride + (p - call.first_panel) * V::panel;
      for (size_t r = 0; r < rows; r++, out += call.out_stride)
        for (size_t c = 0; c < V::panel; c += 16) __builtin_prefetch(out + c, 1);
      const uint8_t* a = call.input.data + row * call.input.stride;
      const auto compute = [&](auto lines, uintptr_t ahead) {
        constexpr size_t Lines = lines();
        dispatch<V::block_rows>(rows, [&](auto m) {
          if (weights.scales)
            V::block_grouped<m(), Lines>(a, call.input.stride, weight, matmul.k, weights.group,
                                         weights.scales + p * groups * V::panel, weights.compensation + p * V::panel,
                                         call.input.zero + row, call.input.scale + row, f32_sums, ahead);
          else
            V::block<m(), Lines>(a, call.input.stride, weight, matmul.k, sums, matmul.column_sum + p * V::panel,
                                 call.input.zero + row, ahead);
        });
      };
      constexpr size_t every = V::step_lines, part = V::step_lines / V::fetching_blocks;
      if (blocks == 1)
        compute(std::integral_constant<size_t, every>{}, last ? next : here + V::ahead_bytes);
      else if (i < V::fetching_blocks)
        compute(std::integral_constant<size_t, part>{}, next + i * panel_bytes / V::fetching_blocks);
      else
        compute(std::integral_constant<size_t, 0>{}, next);
      if (weights.scales)
        finish_any<V, Sums::f32>(with, f32_sums, V::panel, row, rows, p * V::panel);
      else
        finish_any<V, Sums::int8>(with, sums, V::panel, row, rows, p * V::panel);
    });
  }
}

}  // namespace leanbert
