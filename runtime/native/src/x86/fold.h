// From eight lanes to one: the tail of the folds of both lanes types.
#pragma once

#include <immintrin.h>

#include "kernels/lanes.h"

namespace leanbert {
namespace {

LB_INLINE float sum_of_eight(__m256 a) {
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
LB_INLINE float least_of_eight(__m256 a) {
  const __m128 b = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_min_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_min_ss(c, _mm_movehdup_ps(c)));
}
LB_INLINE float most_of_eight(__m256 a) {
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// A single number, rounded as the lanes are.
LB_INLINE float round_single(float x) {
  return _mm_cvtss_f32(_mm_round_ss(_mm_setzero_ps(), _mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
LB_INLINE int32_t integer_of(float x) { return _mm_cvtss_si32(_mm_set_ss(x)); }

}  // namespace
}  // namespace leanbert
