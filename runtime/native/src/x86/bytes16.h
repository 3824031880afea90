// Moving bytes with SSE2, which every x86-64 has; model/packing.cpp says what for.
//
//   four rows of sixteen columns      two unpacks       sixteen columns of four k-values
//     a0 a1 a2 ...                    a0 b0 a1 b1 ...     a0 b0 c0 d0  a1 b1 c1 d1 ...
//     b0 b1 b2 ...                    c0 d0 c1 d1 ...
//     c0 c1 c2 ...
//     d0 d1 d2 ...
#pragma once

#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

namespace leanbert {

using Bytes16 = __m128i;
constexpr size_t most_rows = 4;  // of a group

inline Bytes16 load_bytes(const int8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void store_bytes(int8_t* p, Bytes16 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }

// sums[0..15] += the sixteen int8 columns of each of `count` rows (at most 4: |sum| <= 512 fits 16 bits)
inline void add_columns(const Bytes16* rows, size_t count, int32_t* sums) {
  __m128i low = _mm_setzero_si128(), high = low;
  for (size_t i = 0; i < count; i++) {  // a byte in the upper half of a word, shifted down, is sign-extended
    low = _mm_add_epi16(low, _mm_srai_epi16(_mm_unpacklo_epi8(rows[i], rows[i]), 8));
    high = _mm_add_epi16(high, _mm_srai_epi16(_mm_unpackhi_epi8(rows[i], rows[i]), 8));
  }
  const __m128i parts[4] = {
      _mm_srai_epi32(_mm_unpacklo_epi16(low, low), 16), _mm_srai_epi32(_mm_unpackhi_epi16(low, low), 16),
      _mm_srai_epi32(_mm_unpacklo_epi16(high, high), 16), _mm_srai_epi32(_mm_unpackhi_epi16(high, high), 16)};
  for (int i = 0; i < 4; i++) {
    __m128i* s = reinterpret_cast<__m128i*>(sums + 4 * i);
    _mm_storeu_si128(s, _mm_add_epi32(_mm_loadu_si128(s), parts[i]));
  }
}

// Sixteen columns of 2 or 4 rows, the rows of a column side by side.
inline void store_columns(int8_t* to, const Bytes16* rows, size_t count) {
  const __m128i ab_low = _mm_unpacklo_epi8(rows[0], rows[1]), ab_high = _mm_unpackhi_epi8(rows[0], rows[1]);
  if (count == 2) {
    store_bytes(to, ab_low);
    store_bytes(to + 16, ab_high);
    return;
  }
  const __m128i cd_low = _mm_unpacklo_epi8(rows[2], rows[3]), cd_high = _mm_unpackhi_epi8(rows[2], rows[3]);
  store_bytes(to, _mm_unpacklo_epi16(ab_low, cd_low));
  store_bytes(to + 16, _mm_unpackhi_epi16(ab_low, cd_low));
  store_bytes(to + 32, _mm_unpacklo_epi16(ab_high, cd_high));
  store_bytes(to + 48, _mm_unpackhi_epi16(ab_high, cd_high));
}

}  // namespace leanbert
