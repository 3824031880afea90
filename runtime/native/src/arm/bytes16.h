// Moving bytes with NEON, which every AArch64 CPU has; model/packing.cpp says what for.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace leanbert {

using Bytes16 = int8x16_t;
constexpr size_t most_rows = 8;  // of a group

inline Bytes16 load_bytes(const int8_t* p) { return vld1q_s8(p); }
inline void store_bytes(int8_t* p, Bytes16 v) { vst1q_s8(p, v); }

// sums[0..15] += the sixteen int8 columns of each of `count` rows (at most 8: |sum| <= 1024 fits 16 bits)
inline void add_columns(const Bytes16* rows, size_t count, int32_t* sums) {
  int16x8_t low = vdupq_n_s16(0), high = low;
  for (size_t i = 0; i < count; i++) {
    low = vaddw_s8(low, vget_low_s8(rows[i]));
    high = vaddw_high_s8(high, rows[i]);
  }
  vst1q_s32(sums, vaddw_s16(vld1q_s32(sums), vget_low_s16(low)));
  vst1q_s32(sums + 4, vaddw_high_s16(vld1q_s32(sums + 4), low));
  vst1q_s32(sums + 8, vaddw_s16(vld1q_s32(sums + 8), vget_low_s16(high)));
  vst1q_s32(sums + 12, vaddw_high_s16(vld1q_s32(sums + 12), high));
}

// Sixteen columns of 1, 2, 4 or 8 rows, the rows of a column side by side: st2 and st4 do so by themselves.
inline void store_columns(int8_t* to, const Bytes16* rows, size_t count) {
  if (count == 1) {
    store_bytes(to, rows[0]);
  } else if (count == 2) {
    const int8x16x2_t two{{rows[0], rows[1]}};  // a name, as clang's vst are macros, which split braces
    vst2q_s8(to, two);
  } else if (count == 4) {
    const int8x16x4_t four{{rows[0], rows[1], rows[2], rows[3]}};
    vst4q_s8(to, four);
  } else {  // pairs of rows first, then four such pairs
    for (int half = 0; half < 2; half++) {
      const auto pairs = [&](size_t i) {
        return vreinterpretq_s16_s8(half ? vzip2q_s8(rows[i], rows[i + 1]) : vzip1q_s8(rows[i], rows[i + 1]));
      };
      const int16x8x4_t four{{pairs(0), pairs(2), pairs(4), pairs(6)}};
      vst4q_s16(reinterpret_cast<int16_t*>(to + 64 * half), four);
    }
  }
}

}  // namespace leanbert
