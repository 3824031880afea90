// Weight packing with SSE2, which every x86-64 has: the work is moving bytes, wider registers would not help.
//
//   four rows of sixteen columns      two unpacks       sixteen columns of four k-values
//     a0 a1 a2 ...                    a0 b0 a1 b1 ...     a0 b0 c0 d0  a1 b1 c1 d1 ...
//     b0 b1 b2 ...                    c0 d0 c1 d1 ...
//     c0 c1 c2 ...
//     d0 d1 d2 ...
// Rows outermost: four streams of reads, and writes of whole cache lines into one panel after another.
// FinBERT's 85 MB take about 25 ms on two threads (Zen 4), most of it page faults.
#include "model/packing.h"

#include <emmintrin.h>

#include <cstring>

namespace leanbert {
namespace {

inline __m128i row16(const int8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void put16(int8_t* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }

// sums[0..15] += the sixteen int8 columns of each of `count` rows (at most 4: |sum| <= 512 fits 16 bits)
inline void add_columns(const __m128i* rows, size_t count, int32_t* sums) {
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

// Columns behind the last whole sixteen; what is beyond them is 0.
inline __m128i row_end(const int8_t* p, size_t columns) {
  int8_t copy[16] = {};
  std::memcpy(copy, p, columns);
  return row16(copy);
}

}  // namespace

void pack_int8(const int8_t* weight, size_t k, size_t n, size_t panel, size_t group, int8_t* packed,
               int32_t* column_sum) {
  for (size_t c = 0; c < n; c++) column_sum[c] = 0;
  const size_t panel_bytes = k * panel;
  for (size_t i = 0; i < k; i += group) {
    for (size_t c = 0; c < n; c += 16) {
      __m128i rows[4];
      for (size_t g = 0; g < group; g++) {
        const int8_t* row = weight + (i + g) * n + c;
        rows[g] = n - c >= 16 ? row16(row) : row_end(row, n - c);
      }
      add_columns(rows, group, column_sum + c);
      int8_t* to = packed + c / panel * panel_bytes + i * panel + c % panel * group;
      const __m128i ab_low = _mm_unpacklo_epi8(rows[0], rows[1]), ab_high = _mm_unpackhi_epi8(rows[0], rows[1]);
      if (group == 2) {
        put16(to, ab_low);
        put16(to + 16, ab_high);
      } else {
        const __m128i cd_low = _mm_unpacklo_epi8(rows[2], rows[3]), cd_high = _mm_unpackhi_epi8(rows[2], rows[3]);
        put16(to, _mm_unpacklo_epi16(ab_low, cd_low));
        put16(to + 16, _mm_unpackhi_epi16(ab_low, cd_low));
        put16(to + 32, _mm_unpacklo_epi16(ab_high, cd_high));
        put16(to + 48, _mm_unpackhi_epi16(ab_high, cd_high));
      }
    }
  }
}

void pack_f32(const float* weight, size_t k, size_t n, size_t panel, float* packed) {
  for (size_t c = 0; c < n; c += panel)
    for (size_t i = 0; i < k; i++)
      for (size_t j = 0; j < panel; j++) *packed++ = c + j < n ? weight[i * n + c + j] : 0.f;
}

}  // namespace leanbert
