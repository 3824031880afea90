// ARMv8.2 with the dot product (Cortex-A76: Raspberry Pi 5; Apple M1, Neoverse N1): int8 matmuls with sdot.
//
// Register block: 5 rows x 16 columns, K in one pass. Panel step: 4 k-values of 16 columns, 64 bytes.
//
//                    w0 (4 columns x 4 k)  w1  w2  w3         <- 4 registers, loaded once for five rows
//      row 0 lane k  acc[0][0]             ..  ..  acc[0][3]     20 of int32 sums, 5 of activations (sixteen k each): 29
//
// sdot multiplies s8 by s8, so activations are stored as q - 128, and sum(q - zero) w = sum(q - 128) w - (zero - 128)
// sum w: the sums start there. It takes one factor from a lane: no broadcasts. Exact for avx512_vnni.cpp's reason.
#include "arm/cpu.h"
#include "arm/lanes128.h"
#include "kernels/path.h"

namespace leanbert {
namespace {

struct NeonDotprod : Lanes128 {
  static constexpr size_t panel = 16, group = 4, quantized_bytes = 1;
  static constexpr uint8_t quantized_flip = 0x80;
  static constexpr size_t block_rows = 5;
  static constexpr size_t step_lines = 4, fetching_blocks = 2, ahead_bytes = 4096;

  LB_INLINE void store_quantized(uint8_t* p, F v) { vst1q_u8(p, veorq_u8(bytes_of(v), vdupq_n_u8(quantized_flip))); }

  template <int Lane, size_t M>
  LB_INLINE void multiply(int32x4_t (&acc)[M][4], const int8x16_t (&x)[M], const int8_t* b) {
    const int8x16_t w[4] = {vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)};
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) acc[m][c] = vdotq_laneq_s32(acc[m][c], w[c], x[m], Lane);
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                     const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    int32x4_t acc[M][4];
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) acc[m][c] = vmulq_n_s32(vld1q_s32(column_sum + 4 * c), 128 - zero[m]);
    for (const int8_t* end = b + k * panel; b != end; a += 16, b += 16 * panel, ahead += 64 * Lines) {
      int8x16_t x[M];
#pragma GCC unroll 8
      for (size_t m = 0; m < M; m++) x[m] = vreinterpretq_s8_u8(vld1q_u8(a + m * stride));
#pragma GCC unroll 4
      for (size_t line = 0; line < Lines; line++) prefetch<2>(ahead + 64 * line);
      multiply<0>(acc, x, b);
      multiply<1>(acc, x, b + 4 * panel);
      multiply<2>(acc, x, b + 8 * panel);
      multiply<3>(acc, x, b + 12 * panel);
    }
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) vst1q_s32(out + m * panel + 4 * c, acc[m][c]);
  }
};

}  // namespace

extern const Kernels neon_dotprod_kernels;
const Kernels neon_dotprod_kernels = kernels_of<NeonDotprod>("neon_dotprod", has_dotprod);

}  // namespace leanbert
