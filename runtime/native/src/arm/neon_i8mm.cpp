// ARMv8.6 or the i8mm extension (Apple M2, Neoverse V1 and N2, Snapdragon X): int8 matmuls with usmmla.
//
// usmmla multiplies 2 rows x 8 k of u8 by 8 k x 2 columns of s8 and adds to four int32 sums: 32 multiply-adds, twice
// sdot's, with unsigned activations as they are.
//
// Register block: 6 rows x 16 columns, K in one pass. Panel step: 8 k-values of 16 columns, 128 bytes.
//
//                    w (2 columns x 8 k)  ... 8 of them    <- loaded one after another
//      rows 0, 1     acc[0][0]            ... acc[0][7]
//      rows 2, 3     acc[1][0]                                24 of int32 sums, 3 of activations, the rest for weights
//      rows 4, 5     acc[2][0]
//
// A sum's register holds {row 0 column 0, row 0 column 1, row 1 column 0, row 1 column 1}. With an odd number of rows the
// last one is multiplied twice. Exact for avx512_vnni.cpp's reason; zero points are subtracted at the end.
#include "arm/cpu.h"
#include "arm/lanes128.h"
#include "kernels/path.h"

namespace leanbert {
namespace {

struct NeonI8mm : Lanes128 {
  static constexpr size_t panel = 16, group = 8, quantized_bytes = 1;
  static constexpr uint8_t quantized_flip = 0;
  static constexpr size_t block_rows = 6;
  static constexpr size_t step_lines = 4, fetching_blocks = 2, ahead_bytes = 4096;

  LB_INLINE void store_quantized(uint8_t* p, F v) { vst1q_u8(p, bytes_of(v)); }

  LB_INLINE int8x16_t load_weights(const int8_t* b) {
    int8x16_t w;
    __asm__ volatile("ldr %q0, %1" : "=w"(w) : "m"(*reinterpret_cast<const int8x16_t*>(b)));
    return w;
  }
  LB_INLINE void multiply(int32x4_t& acc, uint8x16_t x, int8x16_t w) {
    __asm__ volatile("usmmla %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(x), "w"(w));
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                     const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    constexpr size_t pairs = (M + 1) / 2;
    int32x4_t acc[pairs][8];
#pragma GCC unroll 3
    for (size_t m = 0; m < pairs; m++)
#pragma GCC unroll 8
      for (size_t c = 0; c < 8; c++) acc[m][c] = vdupq_n_s32(0);
    for (const int8_t* end = b + k * panel; b != end; a += 16, b += 16 * panel, ahead += 64 * Lines) {
      uint8x16_t x[2][pairs];  // of k-values 0 to 7 and 8 to 15
#pragma GCC unroll 3
      for (size_t m = 0; m < pairs; m++) {
        const uint64x2_t upper = vreinterpretq_u64_u8(vld1q_u8(a + 2 * m * stride));
        const uint64x2_t lower = vreinterpretq_u64_u8(vld1q_u8(a + (2 * m + 1 < M ? 2 * m + 1 : 2 * m) * stride));
        x[0][m] = vreinterpretq_u8_u64(vzip1q_u64(upper, lower));
        x[1][m] = vreinterpretq_u8_u64(vzip2q_u64(upper, lower));
      }
#pragma GCC unroll 4
      for (size_t line = 0; line < Lines; line++) prefetch<2>(ahead + 64 * line);
#pragma GCC unroll 2
      for (size_t half = 0; half < 2; half++)
#pragma GCC unroll 8
        for (size_t c = 0; c < 8; c++) {
          const int8x16_t w = load_weights(b + half * 8 * panel + 16 * c);
#pragma GCC unroll 3
          for (size_t m = 0; m < pairs; m++) multiply(acc[m][c], x[half][m], w);
        }
    }
#pragma GCC unroll 6
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) {
        const int32x4_t left = acc[m / 2][2 * c], right = acc[m / 2][2 * c + 1];
        const int32x4_t sums = m % 2 ? vcombine_s32(vget_high_s32(left), vget_high_s32(right))
                                     : vcombine_s32(vget_low_s32(left), vget_low_s32(right));
        vst1q_s32(out + m * panel + 4 * c, vmlsq_n_s32(sums, vld1q_s32(column_sum + 4 * c), zero[m]));
      }
  }
};

}  // namespace

extern const Kernels neon_i8mm_kernels;
const Kernels neon_i8mm_kernels = kernels_of<NeonI8mm>("neon_i8mm", has_i8mm);

}  // namespace leanbert
