// ARMv8.0 (Cortex-A53, A72: Raspberry Pi 3 and 4): int8 matmuls in 16 bits with smlal, which every AArch64 CPU has.
//
// Register block: 6 rows x 16 columns, K in one pass. Panel step: one k-value of 16 columns, 16 bytes.
//
//                    w0 (8 columns of one k)   w1          <- sshll, 2 registers, shared by six rows
//      row 0 lane k  acc[0][0] acc[0][1]       acc[0][2] acc[0][3]
//      ...                                    24 of int32 sums, 6 of activations (eight k each), 2 of weights: 32
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
  static constexpr size_t block_rows = 6;
  static constexpr size_t step_lines = 2, fetching_blocks = 1, ahead_bytes = 2048;

  LB_INLINE void store_quantized(uint8_t* p, F v) {
    const uint8x16_t bytes = bytes_of(v);
    store_register(p, 0, vmovl_u8(vget_low_u8(bytes)));
    store_register(p, 1, vmovl_high_u8(bytes));
  }

  // The statements below keep their order, which is that of an in-order core: compilers would load all weights first,
  // and keep sums on the stack.

  using Step = int8_t[8 * panel];  // the weights of eight k-values

  // Eight activations of a row; sixteen weights of one k-value.
  LB_INLINE int16x8_t load_activations(const uint8_t* a) {
    int16x8_t x;
    __asm__ volatile("ldr %q0, %1" : "=x"(x) : "m"(*reinterpret_cast<const uint8x16_t*>(a)));
    return x;
  }
  template <int K>
  LB_INLINE int8x16_t load_weights(const int8_t* b) {
    int8x16_t w;
    __asm__ volatile("ldr %q0, [%1, %2]" : "=w"(w) : "r"(b), "i"(K * panel), "m"(*reinterpret_cast<const Step*>(b)));
    return w;
  }
  LB_INLINE int16x8_t widen_low(int8x16_t w) {
    int16x8_t wide;
    __asm__ volatile("sshll %0.8h, %1.8b, #0" : "=w"(wide) : "w"(w));
    return wide;
  }
  LB_INLINE int16x8_t widen_high(int8x16_t w) {
    int16x8_t wide;
    __asm__ volatile("sshll2 %0.8h, %1.16b, #0" : "=w"(wide) : "w"(w));
    return wide;
  }

  // Eight sums of each row from `c` on += eight weights times one lane of the row's activations.
  template <int Lane, size_t M>
  LB_INLINE void multiply_half(int32x4_t (&acc)[M][4], const int16x8_t (&x)[M], int16x8_t w, size_t c) {
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) {
      __asm__ volatile("smlal %0.4s, %1.4h, %2.h[%3]" : "+w"(acc[m][c]) : "w"(w), "x"(x[m]), "i"(Lane));
      __asm__ volatile("smlal2 %0.4s, %1.8h, %2.h[%3]" : "+w"(acc[m][c + 1]) : "w"(w), "x"(x[m]), "i"(Lane));
    }
  }

  // k-values from Lane to 7; `raw` holds the first one's weights, and the next one's are loaded on the way.
  template <int Lane, size_t M>
  LB_INLINE void multiply(int32x4_t (&acc)[M][4], const int16x8_t (&x)[M], int8x16_t raw, const int8_t* b) {
    const int16x8_t low = widen_low(raw), high = widen_high(raw);
    multiply_half<Lane>(acc, x, low, 0);
    if constexpr (Lane < 7) {
      const int8x16_t next = load_weights<Lane + 1>(b);
      multiply_half<Lane>(acc, x, high, 2);
      multiply<Lane + 1>(acc, x, next, b);
    } else {
      multiply_half<Lane>(acc, x, high, 2);
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
    for (const int8_t* end = b + k * panel; b != end; a += 16, b += 8 * panel, ahead += 64 * Lines) {
      const int8x16_t first = load_weights<0>(b);
      int16x8_t x[M];
#pragma GCC unroll 8
      for (size_t m = 0; m < M; m++) x[m] = load_activations(a + m * stride);
#pragma GCC unroll 2
      for (size_t line = 0; line < Lines; line++) prefetch<3>(ahead + 64 * line);
      multiply<0>(acc, x, first, b);
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
