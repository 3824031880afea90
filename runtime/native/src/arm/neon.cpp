// ARMv8.0 (Cortex-A53, A72: Raspberry Pi 3 and 4): int8 matmuls in 16 bits with smlal, which every AArch64 CPU has.
//
// Register block: 6 rows x 16 columns, K in one pass. Panel step: one k-value of 16 columns, 16 bytes.
//
//                    w0 (8 columns of one k)   w1          <- sshll, 2 registers, shared by six rows
//      row 0 lane k  acc[0][0] acc[0][1]       acc[0][2] acc[0][3]
//      ...                                                    24 of int32 sums, 6 of activations (four k each): 32
//
// smlal takes one factor from a lane: no broadcasts. Activations are widened once, when they are quantized; weights stay
// int8 in memory. Exact for all weights: a product is at most 255 * 128, and 32 bits hold the sum of 32768 of them.
// Two products in 16 bits with smull and smlal, then sadalp, are 5.3 multiply-adds per instruction instead of 4, but
// overflow where two weights of -128 meet two activations of 0.
#include "arm/cpu.h"
#include "arm/lanes128.h"
#include "kernels/path.h"

namespace leanbert {
namespace {

struct Neon : Lanes128 {
  static constexpr size_t panel = 16, group = 1, quantized_bytes = 2;
  static constexpr uint8_t quantized_flip = 0;
  static constexpr size_t block_rows = 6, f32_block_rows = 6;
  static constexpr size_t step_lines = 1, fetching_blocks = 1, ahead_bytes = 2048;

  LB_INLINE void store_quantized(uint8_t* p, F v) {
    const uint8x16_t bytes = bytes_of(v);
    store_register(p, 0, vmovl_u8(vget_low_u8(bytes)));
    store_register(p, 1, vmovl_high_u8(bytes));
  }

  // One k-value: the lane of every row's activations.
  template <int Lane, size_t M>
  LB_INLINE void multiply(int32x4_t (&acc)[M][4], const int16x4_t (&x)[M], const int8_t* b) {
    const int8x16_t w = vld1q_s8(b);
    const int16x8_t w0 = vmovl_s8(vget_low_s8(w)), w1 = vmovl_high_s8(w);
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) {
      acc[m][0] = vmlal_lane_s16(acc[m][0], vget_low_s16(w0), x[m], Lane);
      acc[m][1] = vmlal_high_lane_s16(acc[m][1], w0, x[m], Lane);
      acc[m][2] = vmlal_lane_s16(acc[m][2], vget_low_s16(w1), x[m], Lane);
      acc[m][3] = vmlal_high_lane_s16(acc[m][3], w1, x[m], Lane);
    }
  }

  template <size_t M, size_t Lines>
  LB_NOINLINE static void block_int8(const uint8_t* a, size_t stride, const int8_t* b, size_t k, int32_t* out,
                                     const int32_t* column_sum, const int32_t* zero, uintptr_t ahead) {
    int32x4_t acc[M][4];
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) acc[m][c] = vmulq_n_s32(vld1q_s32(column_sum + 4 * c), -zero[m]);
    for (const int8_t* end = b + k * panel; b != end; a += 8, b += 4 * panel, ahead += 64 * Lines) {
      int16x4_t x[M];
#pragma GCC unroll 8
      for (size_t m = 0; m < M; m++) __builtin_memcpy(&x[m], a + m * stride, 8);
      if (Lines) prefetch<3>(ahead);
      multiply<0>(acc, x, b);
      multiply<1>(acc, x, b + panel);
      multiply<2>(acc, x, b + 2 * panel);
      multiply<3>(acc, x, b + 3 * panel);
    }
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t c = 0; c < 4; c++) vst1q_s32(out + m * panel + 4 * c, acc[m][c]);
  }
};

}  // namespace

extern const Kernels neon_kernels;
const Kernels neon_kernels = kernels_of<Neon>("neon", has_neon);

}  // namespace leanbert
