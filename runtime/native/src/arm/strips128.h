// The inner loops of f32 matmuls and of attention with NEON; kernels/blocks.h says what they compute.
//
// Up to eight rows times a strip of eight columns; of at most four rows, times all sixteen. A multiplication takes one
// factor from a lane: no broadcasts. The sums of eight columns and what four k-values need fill the registers:
//
//                    w0   w1  (8 columns of one k)        <- 8 registers, those of four k
//      row 0 lane k  sum  sum
//      ...                                                   16 of sums, 8 of rows (four k each), 8 of weights: 32
//      row 7 lane k  sum  sum
//
// Of int16 pairs a lane is a pair; w0 holds the first numbers of eight pairs, w1 the second ones, and smlal and smlal2
// multiply four columns each.
//
// All loads of four k stand together, 16 for 64 multiplications of f32 or 128 of int16. That is for in-order cores: the
// Cortex-A53 issues no 16-byte load beside a multiplication, and llvm-mca's model of it lets no load's result overtake a
// multiplication's. For the same reason no statement but a load moves an address (one offset for all rows), and the
// statements in assembly keep their order; compilers would move loads up until sums go to the stack.
#pragma once

#include <arm_neon.h>

#include "kernels/lanes.h"

namespace leanbert {
namespace {
namespace strips {

constexpr size_t most_rows = 8;

// Strips take turns after so many k-values, so that the second finds the cache lines of the first one: 16 KB of weights.
constexpr size_t turn = 256;

// What is multiplied: numbers of f32, each a k-value, or pairs of int16, each a k-value.
struct Numbers {
  using Number = float;
  using Quad = float32x4_t;
  using Sums = float32x4_t;
  static constexpr size_t of_k = 1;

  template <int Lane, size_t M, size_t Q>
  LB_INLINE void multiply(Sums (&sums)[M][Q], const Quad (&x)[M], const Quad* w) {
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
      for (size_t q = 0; q < Q; q++)
        __asm__ volatile("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(sums[m][q]) : "w"(w[q]), "w"(x[m]), "i"(Lane));
  }
  LB_INLINE Quad load_one(const float* p) {
    Quad x;
    __asm__ volatile("ldr %s0, %1" : "=w"(x) : "m"(*p));
    return x;
  }
};
struct Pairs {
  using Number = int16_t;
  using Quad = int16x8_t;
  using Sums = int32x4_t;
  static constexpr size_t of_k = 2;

  template <int Lane, size_t M, size_t Q>
  LB_INLINE void multiply(Sums (&sums)[M][Q], const Quad (&x)[M], const Quad* w) {
#pragma GCC unroll 4
    for (size_t q = 0; q < Q; q += 2) {
      multiply_half<2 * Lane>(sums, x, w[q], q);
      multiply_half<2 * Lane + 1>(sums, x, w[q + 1], q);
    }
  }
  template <int Lane, size_t M, size_t Q>
  LB_INLINE void multiply_half(Sums (&sums)[M][Q], const Quad (&x)[M], Quad w, size_t q) {
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) {
      __asm__ volatile("smlal %0.4s, %1.4h, %2.h[%3]" : "+w"(sums[m][q]) : "w"(w), "x"(x[m]), "i"(Lane));
      __asm__ volatile("smlal2 %0.4s, %1.8h, %2.h[%3]" : "+w"(sums[m][q + 1]) : "w"(w), "x"(x[m]), "i"(Lane));
    }
  }
  LB_INLINE Quad load_one(const int16_t* p) {
    Quad x;
    __asm__ volatile("ldr %s0, %1" : "=x"(x) : "m"(*reinterpret_cast<const int16_t(*)[2]>(p)));
    return x;
  }
};

using Some = const char[1 << 20];  // of which some is read, for the compiler to know: no address to compute

// Four k-values of a row, `offset` bytes on.
template <class Of>
LB_INLINE typename Of::Quad load_four(const typename Of::Number* row, size_t offset) {
  typename Of::Quad x;
  __asm__ volatile("ldr %q0, [%1, %2]" : "=x"(x) : "r"(row), "r"(offset), "m"(*reinterpret_cast<Some*>(row)));
  return x;
}
// Q registers of one k-value.
template <class Of, size_t Q>
LB_INLINE void load_weights(typename Of::Quad* w, const typename Of::Number* b) {
#pragma GCC unroll 4
  for (size_t q = 0; q < Q; q++)
    __asm__ volatile("ldr %q0, [%1, %2]" : "=w"(w[q]) : "r"(b), "i"(16 * q), "m"(*reinterpret_cast<Some*>(b)));
}
template <class Number>
LB_INLINE void move_on(const Number*& p, size_t bytes) {
  __asm__ volatile("add %0, %0, %1" : "+r"(p) : "r"(bytes));
}

// Q registers of each row's sums from register `first` on += k k-values of the rows of `a` times those of `b`.
template <class Of, size_t M, size_t Q, class V>
LB_INLINE void add(V* to, size_t first, const typename Of::Number* a, size_t stride, const typename Of::Number* b,
                   size_t step, size_t k) {
  using Number = typename Of::Number;
  typename Of::Sums sums[M][Q];
  const Number* row[M];
#pragma GCC unroll 8
  for (size_t m = 0; m < M; m++) {
    row[m] = a + m * stride;
#pragma GCC unroll 4
    for (size_t q = 0; q < Q; q++) sums[m][q] = to[m].q[first + q];
  }
  constexpr size_t held = 8 / Q;  // k-values whose weights are in registers
  const size_t step_bytes = step * sizeof(Number), whole = k / 4 * 16;
  for (size_t offset = 0; offset != whole;) {
    typename Of::Quad x[M], w[8];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {  // rows in between: an address is ready when it is needed
      if (i < held) {
        load_weights<Of, Q>(w + i * Q, b);
        move_on(b, step_bytes);
      }
#pragma GCC unroll 3
      for (size_t m = 3 * i; m < 3 * i + 3; m++)
        if (m < M) x[m] = load_four<Of>(row[m], offset);
    }
    __asm__ volatile("add %0, %0, #16" : "+r"(offset));
    Of::template multiply<0>(sums, x, w);
    Of::template multiply<1>(sums, x, w + Q);
    if constexpr (held == 2) {
      load_weights<Of, Q>(w, b);
      move_on(b, step_bytes);
      load_weights<Of, Q>(w + Q, b);
      move_on(b, step_bytes);
    }
    Of::template multiply<2>(sums, x, w + 2 % held * Q);
    Of::template multiply<3>(sums, x, w + 3 % held * Q);
  }
  for (size_t i = k / 4 * 4; i < k; i++, b += step) {
    typename Of::Quad x[M], w[Q];
    load_weights<Of, Q>(w, b);
#pragma GCC unroll 8
    for (size_t m = 0; m < M; m++) x[m] = Of::load_one(row[m] + i * Of::of_k);
    Of::template multiply<0>(sums, x, w);
  }
#pragma GCC unroll 8
  for (size_t m = 0; m < M; m++)
#pragma GCC unroll 4
    for (size_t q = 0; q < Q; q++) to[m].q[first + q] = sums[m][q];
}

template <class Of, size_t M, class V>
LB_INLINE void add_all(V (&to)[M][1], const typename Of::Number* a, size_t stride, const typename Of::Number* b,
                       size_t step, size_t k) {
  static_assert(M <= most_rows, "more sums than registers");
  V* sums = to[0];
  __asm__ volatile("" : "+r"(sums) : : "memory");  // in memory: the registers are for those of one strip
  if constexpr (M <= most_rows / 2) {
    add<Of, M, 4>(sums, 0, a, stride, b, step, k);
  } else {
    for (size_t i = 0; i < k; i += turn, a += turn * Of::of_k, b += turn * step) {
      const size_t now = k - i < turn ? k - i : turn;
      add<Of, M, 2>(sums, 0, a, stride, b, step, now);
      add<Of, M, 2>(sums, 2, a, stride, b + 8 * Of::of_k, step, now);
    }
  }
}

}  // namespace strips
}  // namespace
}  // namespace leanbert
