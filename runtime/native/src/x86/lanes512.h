// Sixteen f32 lanes in one zmm register; kernels/lanes.h says what each function does.
// Included only by files that are compiled for AVX-512. The struct is in an unnamed namespace: no AVX-512 copy of a
// function can be picked by the linker for the rest of the library.
#pragma once

#include <immintrin.h>

#include "kernels/lanes.h"
#include "x86/fold.h"

namespace leanbert {
namespace {

struct Lanes512 {
  using F = __m512;
  using I = __m512i;
  using W = I;

  LB_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  LB_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  LB_INLINE void store_part(float* p, F v, size_t n) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
  }
  LB_INLINE F load_part(const float* p, size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
  }
  LB_INLINE F zeros() { return _mm512_setzero_ps(); }
  LB_INLINE F all(float x) { return _mm512_set1_ps(x); }
  LB_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  LB_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  LB_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  LB_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  LB_INLINE F sqrt(F a) { return _mm512_sqrt_ps(a); }
  LB_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  LB_INLINE F fma_negated(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  LB_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  LB_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  LB_INLINE F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  LB_INLINE F from_int(const int32_t* p) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(p)); }
  LB_INLINE F from_int8(const int8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  LB_INLINE F shift_exponent(F a, F n) { return _mm512_scalef_ps(a, n); }
  LB_INLINE float sum_lanes(F a) {
    return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
  }
  // two rows at a time, each step of the fold in half as many registers
  LB_INLINE F sum_each(const F* rows) {
    F a[8], b[4], c[2];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
      a[i] = add(_mm512_shuffle_f32x4(rows[i], rows[i + 8], 0x44), _mm512_shuffle_f32x4(rows[i], rows[i + 8], 0xee));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
      b[i] = add(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)  // quarters of b[i]: rows i, i + 8, i + 4, i + 12
      c[i] = add(_mm512_shuffle_ps(b[i], b[i + 2], 0x44), _mm512_shuffle_ps(b[i], b[i + 2], 0xee));
    const F d = add(_mm512_shuffle_ps(c[0], c[1], 0x88), _mm512_shuffle_ps(c[0], c[1], 0xdd));
    // a quarter of d: rows i, i + 2, i + 1, i + 3 for i = 0, 8, 4, 12
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15), d);
  }
  LB_INLINE float min_lanes(F a) {
    return least_of_eight(_mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
  }
  LB_INLINE float max_lanes(F a) {
    return most_of_eight(_mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
  }
  LB_INLINE float round_one(float x) { return round_single(x); }
  LB_INLINE int32_t integer(float x) { return integer_of(x); }
  static constexpr bool own_blocks = false;
  // acc += a * b, in assembly because gcc 12 moves accumulators to the stack when a loop keeps more than about 24 alive
  LB_INLINE void fma_into(F& acc, F a, F b) { __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b)); }
  LB_INLINE F magnitude(F a) { return _mm512_abs_ps(a); }
  LB_INLINE W no_words() { return _mm512_setzero_si512(); }
  LB_INLINE W load_words(const void* p) { return _mm512_loadu_si512(p); }
  LB_INLINE void store_words(int32_t* p, W v) { _mm512_storeu_si512(p, v); }
  LB_INLINE W max_words(W a, W b) { return _mm512_max_epi32(a, b); }
  LB_INLINE W all_largest(W a) {
    a = max_words(a, _mm512_shuffle_i64x2(a, a, 0x4e));
    a = max_words(a, _mm512_shuffle_i64x2(a, a, 0xb1));
    a = max_words(a, _mm512_shuffle_epi32(a, _MM_PERM_BADC));
    return max_words(a, _mm512_shuffle_epi32(a, _MM_PERM_CDAB));
  }
  LB_INLINE W add_words(W a, W b) { return _mm512_add_epi32(a, b); }
  LB_INLINE W sub_words(W a, W b) { return _mm512_sub_epi32(a, b); }
  LB_INLINE W all_words(int32_t x) { return _mm512_set1_epi32(x); }
  LB_INLINE F from_words(W v) { return _mm512_cvtepi32_ps(v); }
  LB_INLINE W to_words(F v) { return _mm512_cvtps_epi32(v); }
  LB_INLINE F pairs(F v) { return v; }
  LB_INLINE void dot_pairs(W& acc, W a, W b) { __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b)); }
  // 32 saturated int16, those of a first; the same from f32, rounded
  LB_INLINE F narrow16(W a, W b) {
    // packs works in quarters: back to column order
    const I order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi64(order, _mm512_packs_epi32(a, b)));
  }
  LB_INLINE F pack16(F a, F b) { return narrow16(to_words(a), to_words(b)); }
  // pairs (a, b) of int16 from f32 in that range
  LB_INLINE F interleave16(F a, F b) {
    return _mm512_castsi512_ps(_mm512_mask_mov_epi16(to_words(a), 0xaaaaaaaau, _mm512_slli_epi32(to_words(b), 16)));
  }
  LB_INLINE void store16(int16_t* p, F v) { _mm512_storeu_ps(p, v); }
  LB_INLINE F first_or(F v, size_t n, float other) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>(n < 16 ? (1u << n) - 1u : 0xffffu), all(other), v);
  }
  LB_INLINE F from_or(F v, size_t n, float other) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>(n < 16 ? (1u << n) - 1u : 0xffffu), v, all(other));
  }
  // vscalefps takes any exponent; lanes256.h needs this
  LB_INLINE F at_least_exponent(F x) { return x; }
  // 16 x 16: lane i of out[j] = lane j of in[i]
  LB_INLINE void transpose(const F* in, F* out) {
    I t[16], r[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      const I a = _mm512_castps_si512(in[2 * i]), b = _mm512_castps_si512(in[2 * i + 1]);
      t[2 * i] = _mm512_unpacklo_epi32(a, b);
      t[2 * i + 1] = _mm512_unpackhi_epi32(a, b);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {  // r[4i + j]: column j of each 4 x 4 block of rows 4i..4i+3
      r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
      r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
      r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
      r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {  // 128-bit quarters: a 4 x 4 transpose of them
      const I a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), b = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
      const I c = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd), d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
      out[j] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(a, b, 0x88));
      out[8 + j] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(a, b, 0xdd));
      out[4 + j] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(c, d, 0x88));
      out[12 + j] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(c, d, 0xdd));
    }
  }
};

}  // namespace
}  // namespace leanbert
