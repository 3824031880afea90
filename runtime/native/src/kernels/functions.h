// Elementary functions over sixteen lanes.
//
// Errors against double (tests/native/test_kernels.py repeats those of gelu and tanh; exp2 is seen through attention):
//   exp2        relative, 7.5e-8 of the polynomial and one rounding per step: below 2.5e-7 on [-126, 0]
//   exp2_short  relative, 2.7e-6
//   gelu        absolute error at most 2.6e-5 (erf form), 2.2e-5 (tanh form)
//   tanh        absolute error at most 3e-7
//   silu        absolute error at most 3e-7 times the larger of 1 and |x|
// A row of int8 activations of range 6 has steps of 2e-2, so gelu's error is far below what quantization adds.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes.h"

namespace leanbert {
namespace {

// 2^x for x in [-126, 126], smaller x as -126. x = n + r with |r| <= 1/2; 2^r by the minimax polynomial of degree 5
// (relative error 7.5e-8 before rounding, Lawson's iteration in double); n goes into the exponent. No denormals.
template <class V, class F = typename V::F>
LB_INLINE F exp2(F x) {
  x = V::max(x, V::all(-126.f));
  const F n = V::round(x), r = V::sub(x, n);
  F p = V::all(0.0013276472454890609f);
  p = V::fma(p, r, V::all(0.009675541892647743f));
  p = V::fma(p, r, V::all(0.05550713092088699f));
  p = V::fma(p, r, V::all(0.24022120237350464f));
  p = V::fma(p, r, V::all(0.6931469440460205f));
  p = V::fma(p, r, V::all(1.0000001192092896f));
  return V::shift_exponent(p, n);
}

// 2^x as in exp2, with a polynomial of degree 4: relative error 2.7e-6, x at least -126 or taken for that
template <class V, class F = typename V::F>
LB_INLINE F exp2_short(F x) {
  x = V::at_least_exponent(x);
  const F n = V::round(x), r = V::sub(x, n);
  F p = V::all(0.009570102207362652f);
  p = V::fma(p, r, V::all(0.05591786280274391f));
  p = V::fma(p, r, V::all(0.240247443318367f));
  p = V::fma(p, r, V::all(0.6931217908859253f));
  p = V::fma(p, r, V::all(0.9999992847442627f));
  return V::shift_exponent(p, n);
}

// tanh x = 1 - 2 / (1 + e^2x); |x| > 9.1 rounds to 1
template <class V, class F = typename V::F>
LB_INLINE F tanh(F x) {
  const F clamped = V::max(V::min(x, V::all(10.f)), V::all(-10.f));
  const F e = exp2<V>(V::mul(clamped, V::all(2.885390081777927f)));
  return V::sub(V::all(1.f), V::div(V::all(2.f), V::add(V::all(1.f), e)));
}

// gelu(x) = max(x, 0) - a N(a) with a = |x| and N the normal distribution beyond a, or what the tanh form takes for it. The
// fourth root of N is so smooth that a polynomial of degree 5 holds a N(a) to 3e-5 up to a limit, where next to nothing is
// left of it. Fitted (minimax, by linear programs) with the error of a N(a) as weight; a = 0 gives exactly 0.
template <class V, class F = typename V::F>
LB_INLINE F gelu_of(F x, float limit, const float (&root)[6]) {
  const F a = V::min(V::magnitude(x), V::all(limit));
  F n = V::all(root[5]);
  n = V::fma(n, a, V::all(root[4]));
  n = V::fma(n, a, V::all(root[3]));
  n = V::fma(n, a, V::all(root[2]));
  n = V::fma(n, a, V::all(root[1]));
  n = V::fma(n, a, V::all(root[0]));
  n = V::mul(n, n);
  return V::fma_negated(a, V::mul(n, n), V::max(V::zeros(), x));  // max gives the second of 0 and NaN
}
template <class V, class F = typename V::F>
LB_INLINE F gelu_erf(F x) {
  constexpr float root[] = {0.8406274318695068f,   -0.1657506376504898f,  -0.05463032051920891f,
                            0.008503096178174019f, 0.002841161796823144f, -0.0004917297628708184f};
  return gelu_of<V>(x, 4.6f, root);
}
template <class V, class F = typename V::F>
LB_INLINE F gelu_tanh(F x) {
  constexpr float root[] = {0.8406442999839783f,   -0.16568812727928162f, -0.05530356988310814f,
                            0.009924061596393585f, 0.002072557108476758f, -0.0003901437157765031f};
  return gelu_of<V>(x, 4.4f, root);
}

// x / (1 + e^-x); below about -87 the quotient goes on falling to 0
template <class V, class F = typename V::F>
LB_INLINE F silu(F x) {
  const F e = exp2<V>(V::min(V::mul(x, V::all(-1.4426950408889634f)), V::all(126.f)));
  return V::div(x, V::add(V::all(1.f), e));
}

template <class V, Activation A, class F = typename V::F>
LB_INLINE F activated(F x) {
  if (A == Activation::gelu) return gelu_erf<V>(x);
  if (A == Activation::gelu_tanh) return gelu_tanh<V>(x);
  if (A == Activation::relu) return V::max(x, V::zeros());
  if (A == Activation::tanh) return tanh<V>(x);
  if (A == Activation::silu) return silu<V>(x);
  return x;
}

}  // namespace
}  // namespace leanbert
