// Row operations: embeddings, layer normalization, quantization, activations. One row is one token.
//
//   smoothing, if any, multiplies what is quantized; the row itself stays
//   quantization of a row x:  lo = min(x, 0), hi = max(x, 0)      (so 0 is exact, as in ONNX's DynamicQuantizeLinear)
//                             scale = (hi - lo) / 255,  zero = round(-lo / scale)
//                             q = clamp(round(x / scale + zero), 0, 255)
//   cost (Zen 4):             768 floats: layer norm + quantize 170 ns on AVX-512, 205 on AVX2; quantize 75 and 100 ns
//   layer norm:               two passes over the row (mean, then centred squares), sums in two times sixteen lanes
#pragma once

#include "kernels/functions.h"
#include "kernels/kernels.h"

namespace leanbert {
namespace {

template <class V, bool Smooth, class F = typename V::F>
LB_INLINE F smoothed(F x, const float* smoothing, size_t c) {
  return Smooth ? V::mul(x, V::load(smoothing + c)) : x;
}

template <class V, bool Smooth>
LB_INLINE void quantize_known(const float* x, size_t n, const float* smoothing, float lo, float hi,
                              const QuantizedRows& out, size_t row) {
  using F = typename V::F;
  float scale = (hi - lo) / 255.f;
  if (!(scale >= 1e-20f)) scale = 1e-20f;  // a row of zeros, or of NaN
  const float inverse = 1.f / scale;
  const float zero = V::round_one(-lo * inverse);
  out.scale[row] = scale;
  out.zero[row] = V::integer(zero) & 255;
  const F i = V::all(inverse), z = V::all(zero);
  uint8_t* q = out.data + row * out.stride;
  for (size_t c = 0; c < n; c += 16)
    V::store_quantized(q + c * V::quantized_bytes, V::fma(smoothed<V, Smooth>(V::load(x + c), smoothing, c), i, z));
}

template <class V, bool Smooth>
LB_INLINE void quantize_row(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row) {
  using F = typename V::F;
  F lo = V::zeros(), hi = V::zeros();
  for (size_t c = 0; c < n; c += 16) {
    const F v = smoothed<V, Smooth>(V::load(x + c), smoothing, c);
    lo = V::min(lo, v);
    hi = V::max(hi, v);
  }
  quantize_known<V, Smooth>(x, n, smoothing, V::min_lanes(lo), V::max_lanes(hi), out, row);
}

template <class V>
void quantize(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row) {
  if (smoothing)
    quantize_row<V, true>(x, n, smoothing, out, row);
  else
    quantize_row<V, false>(x, n, nullptr, out, row);
}

template <class V>
void quantize_ranged(const float* x, size_t n, const float* ranges, size_t range_stride, size_t count,
                     const QuantizedRows& out, size_t row) {
  using F = typename V::F;
  F lo = V::load(ranges), hi = V::load(ranges + 16);
  for (size_t i = 1; i < count; i++) {
    lo = V::min(lo, V::load(ranges + i * range_stride));
    hi = V::max(hi, V::load(ranges + i * range_stride + 16));
  }
  quantize_known<V, false>(x, n, nullptr, V::min_lanes(lo), V::max_lanes(hi), out, row);
}

template <class V, bool Range, bool Smooth, class F = typename V::F>
LB_INLINE void normalize(float* x, size_t n, const float* gamma, const float* beta, float eps, const float* smoothing,
                         F& lo, F& hi) {
  const float count = static_cast<float>(n);
  F a = V::zeros(), b = V::zeros();
  for (size_t c = 0; c < n; c += 32) {
    a = V::add(a, V::load(x + c));
    b = V::add(b, V::load(x + c + 16));
  }
  const F mean = V::all(V::sum_lanes(V::add(a, b)) / count);
  a = V::zeros();
  b = V::zeros();
  for (size_t c = 0; c < n; c += 32) {
    const F d = V::sub(V::load(x + c), mean), e = V::sub(V::load(x + c + 16), mean);
    a = V::fma(d, d, a);
    b = V::fma(e, e, b);
  }
  const float variance = V::sum_lanes(V::add(a, b)) / count;
  const F inverse = V::all(1.f / __builtin_sqrtf(variance + eps));
  for (size_t c = 0; c < n; c += 16) {
    const F v = V::fma(V::mul(V::sub(V::load(x + c), mean), inverse), V::load(gamma + c), V::load(beta + c));
    V::store(x + c, v);
    if (Range) {
      const F s = smoothed<V, Smooth>(v, smoothing, c);
      lo = V::min(lo, s);
      hi = V::max(hi, s);
    }
  }
}

template <class V>
void layer_norm(float* x, size_t n, const float* gamma, const float* beta, float eps) {
  using F = typename V::F;
  F lo = V::zeros(), hi = V::zeros();
  normalize<V, false, false>(x, n, gamma, beta, eps, nullptr, lo, hi);
}

template <class V, bool Smooth>
LB_INLINE void normalize_quantize(float* x, size_t n, const float* gamma, const float* beta, float eps,
                                  const float* smoothing, const QuantizedRows& out, size_t row) {
  using F = typename V::F;
  F lo = V::zeros(), hi = V::zeros();
  normalize<V, true, Smooth>(x, n, gamma, beta, eps, smoothing, lo, hi);
  quantize_known<V, Smooth>(x, n, smoothing, V::min_lanes(lo), V::max_lanes(hi), out, row);
}

template <class V>
void layer_norm_quantize(float* x, size_t n, const float* gamma, const float* beta, float eps, const float* smoothing,
                         const QuantizedRows& out, size_t row) {
  if (smoothing)
    normalize_quantize<V, true>(x, n, gamma, beta, eps, smoothing, out, row);
  else
    normalize_quantize<V, false>(x, n, gamma, beta, eps, nullptr, out, row);
}

template <class V>
void mean(float* out, const float* rows, size_t stride, size_t count, size_t n) {
  using F = typename V::F;
  const F number = V::all(static_cast<float>(count));
  for (size_t c = 0; c < n; c += 16) {
    F sum = V::load(rows + c);
    for (size_t r = 1; r < count; r++) sum = V::add(sum, V::load(rows + r * stride + c));
    V::store(out + c, V::div(sum, number));
  }
}

template <class V, Activation A>
LB_INLINE void activate_row(float* x, size_t n) {
  for (size_t c = 0; c < n; c += 16) V::store(x + c, activated<V, A>(V::load(x + c)));
}

template <class V>
void activate(float* x, size_t n, Activation activation) {
  switch (activation) {
    case Activation::identity: break;
    case Activation::gelu: activate_row<V, Activation::gelu>(x, n); break;
    case Activation::gelu_tanh: activate_row<V, Activation::gelu_tanh>(x, n); break;
    case Activation::relu: activate_row<V, Activation::relu>(x, n); break;
    case Activation::tanh: activate_row<V, Activation::tanh>(x, n); break;
    case Activation::silu: activate_row<V, Activation::silu>(x, n); break;
  }
}

template <class V>
void embed_without_position(float* out, size_t n, const void* word, bool word_int8, float word_scale,
                            const float* token_type) {
  using F = typename V::F;
  const F ws = V::all(word_scale);
  for (size_t c = 0; c < n; c += 16) {
    const F v = word_int8 ? V::mul(V::from_int8(static_cast<const int8_t*>(word) + c), ws)
                          : V::load(static_cast<const float*>(word) + c);
    V::store(out + c, token_type ? V::add(v, V::load(token_type + c)) : v);
  }
}

template <class V>
void embed(float* out, size_t n, const void* word, bool word_int8, float word_scale, const void* position,
           bool position_int8, float position_scale, const float* token_type) {
  if (!position) return embed_without_position<V>(out, n, word, word_int8, word_scale, token_type);
  using F = typename V::F;
  const F ws = V::all(word_scale), ps = V::all(position_scale);
  for (size_t c = 0; c < n; c += 16) {
    F v = word_int8 ? V::mul(V::from_int8(static_cast<const int8_t*>(word) + c), ws)
                    : V::load(static_cast<const float*>(word) + c);
    const F p = position_int8 ? V::mul(V::from_int8(static_cast<const int8_t*>(position) + c), ps)
                              : V::load(static_cast<const float*>(position) + c);
    // (word + token type) + position: the order of Hugging Face's BertEmbeddings
    if (token_type) v = V::add(v, V::load(token_type + c));
    V::store(out + c, V::add(v, p));
  }
}

template <class V>
void rotate(float* x, size_t heads, size_t width, const float* cosines, const float* sines) {
  using F = typename V::F;
  const size_t half = width / 2;
  for (size_t h = 0; h < heads; h++, x += width)
    for (size_t c = 0; c < half; c += 16) {
      const size_t n = half - c < 16 ? half - c : 16;
      const F a = V::load_part(x + c, n), b = V::load_part(x + half + c, n);
      const F cosine = V::load_part(cosines + c, n), sine = V::load_part(sines + c, n);
      V::store_part(x + c, V::sub(V::mul(a, cosine), V::mul(b, sine)), n);
      V::store_part(x + half + c, V::add(V::mul(b, cosine), V::mul(a, sine)), n);
    }
}

}  // namespace
}  // namespace leanbert
