// Elementary functions over sixteen lanes, and the fixed trees that fold sixteen lanes into one number.
// Included after lanes_*.h, inside the anonymous namespace of one ISA file.
//
// Errors against double (tests/native/test_native_kernels.py repeats gelu's and tanh's; exp2 is seen through attention):
//   exp2       relative, 7.5e-8 of the polynomial and one rounding a step: below 2.5e-7 on [-126, 0]
//   gelu       absolute error at most 5e-5 (erf form), 4e-5 (tanh form)
//   tanh       absolute error at most 3e-7
// A row of int8 activations of range 6 has steps of 2e-2, so gelu's error is far below what quantization adds.

LB_INLINE float low(__m128 v) { return _mm_cvtss_f32(v); }

// lanes i and i+8, then i+4, then i+2, then i+1: the one order of every sum over lanes
LB_INLINE float sum_lanes(F v) {
  const __m256 a = fold_add(v);
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return low(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
LB_INLINE float min_lanes(F v) {
  const __m256 a = fold_min(v);
  const __m128 b = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_min_ps(b, _mm_movehl_ps(b, b));
  return low(_mm_min_ss(c, _mm_movehdup_ps(c)));
}
LB_INLINE float max_lanes(F v) {
  const __m256 a = fold_max(v);
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return low(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// 2^x for x in [-126, 126], smaller x as -126. x = n + r with |r| <= 1/2; 2^r by the minimax polynomial of degree 5
// (relative error 7.5e-8 before rounding, Lawson's iteration in double); n goes into the exponent. No denormals.
LB_INLINE F exp2(F x) {
  x = max(x, all(-126.f));
  const F n = round(x), r = sub(x, n);
  F p = all(0.0013276472454890609f);
  p = fma(p, r, all(0.009675541892647743f));
  p = fma(p, r, all(0.05550713092088699f));
  p = fma(p, r, all(0.24022120237350464f));
  p = fma(p, r, all(0.6931469440460205f));
  p = fma(p, r, all(1.0000001192092896f));
  return shift_exponent(p, n);
}

// tanh x = 1 - 2 / (1 + e^2x); |x| > 9.1 rounds to 1
LB_INLINE F tanh_lanes(F x) {
  const F clamped = max(min(x, all(10.f)), all(-10.f));
  const F e = exp2(mul(clamped, all(2.885390081777927f)));
  return sub(all(1.f), div(all(2.f), add(all(1.f), e)));
}

// Both forms of gelu are x (1/2 + t P(t^2)) with t = x clamped to +-limit: P fitted (Lawson, weight |x|) so that
// 1/2 + limit P(limit^2) = 1, which makes the function x, or 0, outside.
LB_INLINE F gelu_erf(F x) {
  const F t = max(min(x, all(4.5f)), all(-4.5f)), u = mul(t, t);
  F p = all(3.000008574893798e-11f);
  p = fma(p, u, all(-3.2839138075502206e-09f));
  p = fma(p, u, all(1.5802577024714992e-07f));
  p = fma(p, u, all(-4.43168573838193e-06f));
  p = fma(p, u, all(8.12097277957946e-05f));
  p = fma(p, u, all(-0.0010362534085288644f));
  p = fma(p, u, all(0.009580654092133045f));
  p = fma(p, u, all(-0.06597726792097092f));
  p = fma(p, u, all(0.3987085819244385f));
  return mul(x, fma(t, p, all(0.5f)));
}
LB_INLINE F gelu_tanh(F x) {
  const F t = max(min(x, all(4.2f)), all(-4.2f)), u = mul(t, t);
  F p = all(6.774204114323723e-11f);
  p = fma(p, u, all(-6.3582414888685435e-09f));
  p = fma(p, u, all(2.628634661050455e-07f));
  p = fma(p, u, all(-6.370950359269045e-06f));
  p = fma(p, u, all(0.00010224051948171109f));
  p = fma(p, u, all(-0.0011703456984832883f));
  p = fma(p, u, all(0.01004991214722395f));
  p = fma(p, u, all(-0.06670571863651276f));
  p = fma(p, u, all(0.39894822239875793f));
  return mul(x, fma(t, p, all(0.5f)));
}

template <Activation A>
LB_INLINE F activation_lanes(F x) {
  if (A == Activation::gelu) return gelu_erf(x);
  if (A == Activation::gelu_tanh) return gelu_tanh(x);
  if (A == Activation::relu) return max(x, zeros());
  if (A == Activation::tanh) return tanh_lanes(x);
  return x;
}
