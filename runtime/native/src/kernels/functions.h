// Elementary functions over sixteen lanes.
//
// Errors against double (tests/native/test_kernels.py repeats those of gelu and tanh; exp2 is seen through attention):
//   exp2        relative, 7.5e-8 of the polynomial and one rounding per step: below 2.5e-7 on [-126, 0]
//   exp2_short  relative, 2.7e-6
//   gelu        absolute error at most 5e-5 (erf form), 4e-5 (tanh form)
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

// Both forms of gelu are x (1/2 + t P(t^2)) with t = x clamped to +-limit: P fitted (Lawson, weight |x|) so that
// 1/2 + limit P(limit^2) = 1, which makes the function x, or 0, outside.
template <class V, class F = typename V::F>
LB_INLINE F gelu_erf(F x) {
  const F t = V::max(V::min(x, V::all(4.5f)), V::all(-4.5f)), u = V::mul(t, t);
  F p = V::all(3.000008574893798e-11f);
  p = V::fma(p, u, V::all(-3.2839138075502206e-09f));
  p = V::fma(p, u, V::all(1.5802577024714992e-07f));
  p = V::fma(p, u, V::all(-4.43168573838193e-06f));
  p = V::fma(p, u, V::all(8.12097277957946e-05f));
  p = V::fma(p, u, V::all(-0.0010362534085288644f));
  p = V::fma(p, u, V::all(0.009580654092133045f));
  p = V::fma(p, u, V::all(-0.06597726792097092f));
  p = V::fma(p, u, V::all(0.3987085819244385f));
  return V::mul(x, V::fma(t, p, V::all(0.5f)));
}
template <class V, class F = typename V::F>
LB_INLINE F gelu_tanh(F x) {
  const F t = V::max(V::min(x, V::all(4.2f)), V::all(-4.2f)), u = V::mul(t, t);
  F p = V::all(6.774204114323723e-11f);
  p = V::fma(p, u, V::all(-6.3582414888685435e-09f));
  p = V::fma(p, u, V::all(2.628634661050455e-07f));
  p = V::fma(p, u, V::all(-6.370950359269045e-06f));
  p = V::fma(p, u, V::all(0.00010224051948171109f));
  p = V::fma(p, u, V::all(-0.0011703456984832883f));
  p = V::fma(p, u, V::all(0.01004991214722395f));
  p = V::fma(p, u, V::all(-0.06670571863651276f));
  p = V::fma(p, u, V::all(0.39894822239875793f));
  return V::mul(x, V::fma(t, p, V::all(0.5f)));
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
