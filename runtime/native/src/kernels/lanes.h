// Sixteen f32 lanes: what the shared kernels are written over.
//
// A lanes type `V` is a struct of static functions, one for each width of registers (x86/lanes512.h: one register,
// x86/lanes256.h: two, arm/lanes128.h: four). Every one has the same sixteen lanes, folds them by the same tree and fuses a multiply-add only
// where the code says so; whatever is written over `V` therefore gives the same bits on every path.
//
// Types
//   V::F  sixteen f32       V::W  sixteen int32
//
// Memory (no alignment is asked)
//   load, store, load_part, store_part (the first n lanes, 1 <= n <= 16; load_part fills with 0)
//   load_words, store_words, store16 (32 int16), from_int (16 int32 -> f32), from_int8
//
// Arithmetic: each is one IEEE operation per lane, rounded to nearest
//   zeros, all, add, sub, mul, div, sqrt, fma(a, b, c) = a b + c, fma_negated(a, b, c) = c - a b, magnitude
//   fma_into(acc, a, b)   acc += a b; not with V::own_blocks (blocks.h)
//   min(a, b) = a < b ? a : b, max(a, b) = a > b ? a : b    (so of two zeros, or beside a NaN, the second)
//   round       to the nearest integer, ties to even; round_one does so with a single number, integer(x) converts one
//   shift_exponent(a, n)  a 2^n for integral n, where a and the result are normal
//   at_least_exponent(x)  x, or at least -126, whichever the path's shift_exponent needs
//   first_or(v, n, other) the first n lanes of v, `other` in the rest; from_or(v, n, other) `other` in the first n
//   transpose   16 x 16
//
// Integers
//   no_words, all_words, add_words, sub_words, max_words, from_words, to_words (rounds)
//   all_largest           the largest of sixteen words, in all lanes
//   narrow16(a, b)        32 saturated int16, those of a first; pack16: the same from f32
//   pairs(v)              sixteen pairs of int16 in the order in which the path multiplies them; interleave16(a, b): the
//                         pairs of two f32, in that order
//   dot_pairs(acc, a, b)  acc += a.first b.first + a.second b.second, in int32; not with V::own_blocks (blocks.h)
//
// Folds: lanes i and i + 8, then i and i + 4, then i + 2, then i + 1
//   sum_lanes, min_lanes, max_lanes; sum_each(rows): lane i is sum_lanes(rows[i]), of sixteen rows
#pragma once

#include <cstddef>
#include <cstdint>

// Internal linkage as well as inlining: an inline function of external linkage that one file compiles for wide registers
// may be taken by the linker for every other file.
#define LB_INLINE static inline __attribute__((always_inline))
#define LB_NOINLINE __attribute__((noinline))
