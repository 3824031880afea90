// Row operations: embeddings, layer normalization, quantization, activations. One row is one token.
// Included inside the namespace of rows_avx512.cpp and of rows_avx2.cpp: same lanes, same bits.
//
//   smoothing, if any, multiplies what is quantized; the row itself stays
//   quantization of a row x:  lo = min(x, 0), hi = max(x, 0)      (so 0 is exact, as in ONNX's DynamicQuantizeLinear)
//                             scale = (hi - lo) / 255,  zero = round(-lo / scale)
//                             q = clamp(round(x / scale + zero), 0, 255)
//   cost (Zen 4):             768 floats: layer norm + quantize 170 ns on AVX-512, 205 on AVX2; quantize 75 and 100 ns
//   layer norm:               two passes over the row (mean, then centred squares), sums in two times sixteen lanes

template <bool Smooth>
LB_INLINE F smoothed(F x, const float* smoothing, size_t c) {
  return Smooth ? mul(x, load(smoothing + c)) : x;
}

template <bool Smooth>
LB_INLINE void quantize_known(const float* x, size_t n, const float* smoothing, float lo, float hi,
                              const QuantizedRows& out, size_t row) {
  float scale = (hi - lo) / 255.f;
  if (!(scale >= 1e-20f)) scale = 1e-20f;  // a row of zeros, or of NaN
  const float inverse = 1.f / scale;
  const __m128 zero =
      _mm_round_ss(_mm_setzero_ps(), _mm_set_ss(-lo * inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  out.scale[row] = scale;
  out.zero[row] = _mm_cvtss_si32(zero) & 255;
  const F i = all(inverse), z = all(low(zero));
  uint8_t* q = out.data + row * out.stride;
  for (size_t c = 0; c < n; c += 16)
    store_quantized(q + c * quantized_bytes, fma(smoothed<Smooth>(load(x + c), smoothing, c), i, z));
}

template <bool Smooth>
LB_INLINE void quantize_row(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row) {
  F lo = zeros(), hi = zeros();
  for (size_t c = 0; c < n; c += 16) {
    const F v = smoothed<Smooth>(load(x + c), smoothing, c);
    lo = min(lo, v);
    hi = max(hi, v);
  }
  quantize_known<Smooth>(x, n, smoothing, min_lanes(lo), max_lanes(hi), out, row);
}

void quantize(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row) {
  if (smoothing)
    quantize_row<true>(x, n, smoothing, out, row);
  else
    quantize_row<false>(x, n, nullptr, out, row);
}

void quantize_ranged(const float* x, size_t n, const float* ranges, size_t range_stride, size_t count,
                     const QuantizedRows& out, size_t row) {
  F lo = load(ranges), hi = load(ranges + 16);
  for (size_t i = 1; i < count; i++) {
    lo = min(lo, load(ranges + i * range_stride));
    hi = max(hi, load(ranges + i * range_stride + 16));
  }
  quantize_known<false>(x, n, nullptr, min_lanes(lo), max_lanes(hi), out, row);
}

template <bool Range, bool Smooth>
LB_INLINE void normalize(float* x, size_t n, const float* gamma, const float* beta, float eps, const float* smoothing,
                         F& lo, F& hi) {
  const float count = static_cast<float>(n);
  F a = zeros(), b = zeros();
  for (size_t c = 0; c < n; c += 32) {
    a = add(a, load(x + c));
    b = add(b, load(x + c + 16));
  }
  const F mean = all(sum_lanes(add(a, b)) / count);
  a = zeros();
  b = zeros();
  for (size_t c = 0; c < n; c += 32) {
    const F d = sub(load(x + c), mean), e = sub(load(x + c + 16), mean);
    a = fma(d, d, a);
    b = fma(e, e, b);
  }
  const float variance = sum_lanes(add(a, b)) / count;
  const F inverse = all(1.f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(variance + eps))));
  for (size_t c = 0; c < n; c += 16) {
    const F v = fma(mul(sub(load(x + c), mean), inverse), load(gamma + c), load(beta + c));
    store(x + c, v);
    if (Range) {
      const F s = smoothed<Smooth>(v, smoothing, c);
      lo = min(lo, s);
      hi = max(hi, s);
    }
  }
}

void layer_norm(float* x, size_t n, const float* gamma, const float* beta, float eps) {
  F lo = zeros(), hi = zeros();
  normalize<false, false>(x, n, gamma, beta, eps, nullptr, lo, hi);
}

template <bool Smooth>
LB_INLINE void normalize_quantize(float* x, size_t n, const float* gamma, const float* beta, float eps,
                                  const float* smoothing, const QuantizedRows& out, size_t row) {
  F lo = zeros(), hi = zeros();
  normalize<true, Smooth>(x, n, gamma, beta, eps, smoothing, lo, hi);
  quantize_known<Smooth>(x, n, smoothing, min_lanes(lo), max_lanes(hi), out, row);
}

void layer_norm_quantize(float* x, size_t n, const float* gamma, const float* beta, float eps, const float* smoothing,
                         const QuantizedRows& out, size_t row) {
  if (smoothing)
    normalize_quantize<true>(x, n, gamma, beta, eps, smoothing, out, row);
  else
    normalize_quantize<false>(x, n, gamma, beta, eps, nullptr, out, row);
}

template <Activation A>
LB_INLINE void activate_row(float* x, size_t n) {
  for (size_t c = 0; c < n; c += 16) store(x + c, activation_lanes<A>(load(x + c)));
}

void activate(float* x, size_t n, Activation activation) {
  switch (activation) {
    case Activation::identity: break;
    case Activation::gelu: activate_row<Activation::gelu>(x, n); break;
    case Activation::gelu_tanh: activate_row<Activation::gelu_tanh>(x, n); break;
    case Activation::relu: activate_row<Activation::relu>(x, n); break;
    case Activation::tanh: activate_row<Activation::tanh>(x, n); break;
  }
}

void embed(float* out, size_t n, const void* word, bool word_int8, float word_scale, const void* position,
           bool position_int8, float position_scale, const float* token_type) {
  const F ws = all(word_scale), ps = all(position_scale);
  for (size_t c = 0; c < n; c += 16) {
    F v = word_int8 ? mul(from_int8(static_cast<const int8_t*>(word) + c), ws)
                    : load(static_cast<const float*>(word) + c);
    const F p = position_int8 ? mul(from_int8(static_cast<const int8_t*>(position) + c), ps)
                              : load(static_cast<const float*>(position) + c);
    // (word + token type) + position: the order of Hugging Face's BertEmbeddings
    if (token_type) v = add(v, load(token_type + c));
    store(out + c, add(v, p));
  }
}
