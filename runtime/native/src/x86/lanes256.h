// Sixteen f32 lanes in two ymm registers; kernels/lanes.h says what each function does.
// Included only by files that are compiled for AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include "kernels/lanes.h"
#include "x86/fold.h"

namespace leanbert {
namespace {

struct Lanes256 {
  static constexpr bool scales_blocks = false;  // matmul.h
  struct F {
    __m256 lo, hi;
  };

  LB_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  LB_INLINE void store(float* p, F v) {
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
  }
  LB_INLINE __m256i first_lanes(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  LB_INLINE void store_half(float* p, __m256 v, size_t n) {
    if (n >= 8)
      _mm256_storeu_ps(p, v);
    else
      _mm256_maskstore_ps(p, first_lanes(n), v);  // microcode on AMD: about 12 cycles on Zen 4
  }
  LB_INLINE void store_part(float* p, F v, size_t n) {
    store_half(p, v.lo, n);
    if (n > 8) store_half(p + 8, v.hi, n - 8);
  }
  LB_INLINE F load_part(const float* p, size_t n) {
    return {_mm256_maskload_ps(p, first_lanes(n)),
            n > 8 ? _mm256_maskload_ps(p + 8, first_lanes(n - 8)) : _mm256_setzero_ps()};
  }
  LB_INLINE F zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  LB_INLINE F all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  LB_INLINE F add(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
  LB_INLINE F sub(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
  LB_INLINE F mul(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
  LB_INLINE F div(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
  LB_INLINE F sqrt(F a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
  LB_INLINE F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
  LB_INLINE F fma_negated(F a, F b, F c) {
    return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
  }
  LB_INLINE F min(F a, F b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
  LB_INLINE F max(F a, F b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
  LB_INLINE F round(F a) {
    return {_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
            _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  LB_INLINE F from_int(const int32_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
            _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8)))};
  }
  LB_INLINE F from_int8(const int8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8))))};
  }
  LB_INLINE __m256 shift_half(__m256 a, __m256 n) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
  }
  LB_INLINE F shift_exponent(F a, F n) { return {shift_half(a.lo, n.lo), shift_half(a.hi, n.hi)}; }
  LB_INLINE float sum_lanes(F a) { return sum_of_eight(_mm256_add_ps(a.lo, a.hi)); }
  LB_INLINE F sum_each(const F* rows) {
    __m256 a[16], half[2];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) a[i] = _mm256_add_ps(rows[i].lo, rows[i].hi);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {  // eight rows; two at a time, each step of the fold in half as many registers
      const __m256* r = a + 8 * i;
      __m256 b[4], c[2];
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++)
        b[j] =
            _mm256_add_ps(_mm256_permute2f128_ps(r[j], r[j + 4], 0x20), _mm256_permute2f128_ps(r[j], r[j + 4], 0x31));
#pragma GCC unroll 2
      for (int j = 0; j < 2; j++)
        c[j] = _mm256_add_ps(_mm256_shuffle_ps(b[j], b[j + 2], 0x44), _mm256_shuffle_ps(b[j], b[j + 2], 0xee));
      const __m256 d = _mm256_add_ps(_mm256_shuffle_ps(c[0], c[1], 0x88), _mm256_shuffle_ps(c[0], c[1], 0xdd));
      half[i] = _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7));
    }
    return {half[0], half[1]};
  }
  LB_INLINE float min_lanes(F a) { return least_of_eight(_mm256_min_ps(a.lo, a.hi)); }
  LB_INLINE float max_lanes(F a) { return most_of_eight(_mm256_max_ps(a.lo, a.hi)); }
  LB_INLINE float round_one(float x) { return round_single(x); }
  LB_INLINE int32_t integer(float x) { return integer_of(x); }
  LB_INLINE void fma_half(__m256& acc, __m256 a, __m256 b) {
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
  }
  static constexpr bool own_blocks = false;
  LB_INLINE void fma_into(F& acc, F a, F b) {
    fma_half(acc.lo, a.lo, b.lo);
    fma_half(acc.hi, a.hi, b.hi);
  }
  struct W {
    __m256i lo, hi;
  };
  LB_INLINE __m256 magnitude_half(__m256 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.f), a); }
  LB_INLINE F magnitude(F a) { return {magnitude_half(a.lo), magnitude_half(a.hi)}; }
  LB_INLINE W no_words() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  LB_INLINE W load_words(const void* p) {
    return {_mm256_loadu_si256(static_cast<const __m256i*>(p)), _mm256_loadu_si256(static_cast<const __m256i*>(p) + 1)};
  }
  LB_INLINE void store_words(int32_t* p, W v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), v.hi);
  }
  LB_INLINE W max_words(W a, W b) { return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)}; }
  LB_INLINE W all_largest(W a) {
    __m256i m = _mm256_max_epi32(a.lo, a.hi);
    m = _mm256_max_epi32(m, _mm256_permute2x128_si256(m, m, 1));
    m = _mm256_max_epi32(m, _mm256_shuffle_epi32(m, 0x4e));
    m = _mm256_max_epi32(m, _mm256_shuffle_epi32(m, 0xb1));
    return {m, m};
  }
  LB_INLINE W add_words(W a, W b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
  LB_INLINE W sub_words(W a, W b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
  LB_INLINE W all_words(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  LB_INLINE F from_words(W v) { return {_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi)}; }
  LB_INLINE W to_words(F v) { return {_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi)}; }
  LB_INLINE void dot_half(__m256i& acc, __m256i a, __m256i b) {
    __m256i t;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(t) : "x"(a), "x"(b));
  }
  LB_INLINE F pairs(F v) { return v; }
  LB_INLINE void dot_pairs(W& acc, W a, W b) {
    dot_half(acc.lo, a.lo, b.lo);
    dot_half(acc.hi, a.hi, b.hi);
  }
  // 32 saturated int16, those of a first; the same from f32, rounded
  LB_INLINE __m256 narrow_half(W a) {  // packs works in halves: back to column order
    return _mm256_castsi256_ps(_mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8));
  }
  LB_INLINE F narrow16(W a, W b) { return {narrow_half(a), narrow_half(b)}; }
  LB_INLINE F pack16(F a, F b) { return narrow16(to_words(a), to_words(b)); }
  // pairs (a, b) of int16 from f32 in that range
  LB_INLINE __m256 interleave_half(__m256 a, __m256 b) {
    return _mm256_castsi256_ps(
        _mm256_blend_epi16(_mm256_cvtps_epi32(a), _mm256_slli_epi32(_mm256_cvtps_epi32(b), 16), 0xaa));
  }
  LB_INLINE F interleave16(F a, F b) { return {interleave_half(a.lo, b.lo), interleave_half(a.hi, b.hi)}; }
  LB_INLINE void store16(int16_t* p, F v) { store(reinterpret_cast<float*>(p), v); }
  LB_INLINE F first_or(F v, size_t n, float other) {
    const __m256 o = _mm256_set1_ps(other);
    return {_mm256_blendv_ps(o, v.lo, _mm256_castsi256_ps(first_lanes(n))),
            _mm256_blendv_ps(o, v.hi, _mm256_castsi256_ps(first_lanes(n > 8 ? n - 8 : 0)))};
  }
  LB_INLINE F from_or(F v, size_t n, float other) {
    const __m256 o = _mm256_set1_ps(other);
    return {_mm256_blendv_ps(v.lo, o, _mm256_castsi256_ps(first_lanes(n))),
            _mm256_blendv_ps(v.hi, o, _mm256_castsi256_ps(first_lanes(n > 8 ? n - 8 : 0)))};
  }
  LB_INLINE F at_least_exponent(F x) { return max(x, all(-126.f)); }
  LB_INLINE void transpose8(const __m256* in, __m256* out) {
    __m256 t[8], r[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      t[2 * i] = _mm256_unpacklo_ps(in[2 * i], in[2 * i + 1]);
      t[2 * i + 1] = _mm256_unpackhi_ps(in[2 * i], in[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
      r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
      r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
      r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      out[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
      out[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
    }
  }
  // 16 x 16: lane i of out[j] = lane j of in[i]
  LB_INLINE void transpose(const F* in, F* out) {
    __m256 a[8], b[8];
    for (int half = 0; half < 2; half++) {  // rows 8 * half ..
      for (int i = 0; i < 8; i++) a[i] = in[8 * half + i].lo;
      transpose8(a, b);
      for (int j = 0; j < 8; j++) (half ? out[j].hi : out[j].lo) = b[j];
      for (int i = 0; i < 8; i++) a[i] = in[8 * half + i].hi;
      transpose8(a, b);
      for (int j = 0; j < 8; j++) (half ? out[8 + j].hi : out[8 + j].lo) = b[j];
    }
  }
};

}  // namespace
}  // namespace leanbert
