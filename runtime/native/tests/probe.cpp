// Single kernels of a path for tests/native/test_kernels.py. A library of its own: the shipped one has no tests
// in it. A function that takes a path's name returns 0, or 1 when this CPU has no such path.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/kernels.h"
#include "model/packing.h"
#include "platform/platform.h"

using namespace leanbert;

#define LB_PROBE extern "C" __attribute__((visibility("default"))) int

namespace {

const Kernels* path(const char* isa) {
  const char* why_not;
  const Kernels* kernels = choose_kernels(isa, &why_not);
  return kernels && !std::strcmp(kernels->name, isa) ? kernels : nullptr;
}

// 64-byte aligned, and nothing beyond the end, so that the address sanitizer sees every step too far
template <class T>
struct Buffer {
  explicit Buffer(size_t n) {
    void* p = nullptr;
    if (posix_memalign(&p, 64, n ? n * sizeof(T) : 1) != 0) std::abort();
    std::memset(p, 0, n * sizeof(T));
    data = static_cast<T*>(p);
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data;
};

struct Rows {
  Rows(const Kernels& k, size_t rows, size_t width)
      : bytes(rows * (width * k.activation_bytes + 64)),
        scales(rows),
        zeros(rows),
        view{bytes.data, width * k.activation_bytes + 64, scales.data, zeros.data} {}
  Buffer<uint8_t> bytes;
  Buffer<float> scales;
  Buffer<int32_t> zeros;
  QuantizedRows view;
};

}  // namespace

// Whether the library chooses the cores of its threads: not on every system (platform.h).
LB_PROBE probe_places_threads() { return platform::current_core() >= 0; }

// q [rows, k] u8; weight [k, n] int8; out [rows, n]; ranges [rows, 32]; columns [first, last) in panels of 32
LB_PROBE probe_matmul(const char* isa, size_t rows, size_t k, size_t n, const uint8_t* q, const float* row_scale,
                      const int32_t* zero, const int8_t* weight, const float* scale, const float* bias, int store,
                      int activation, size_t first, size_t last, float* out, float* ranges) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  Buffer<int8_t> packed(k * n);
  Buffer<int32_t> sums(n);
  pack_int8(weight, k, n, kernels->panel, kernels->group, packed.data, sums.data);
  Matmul matmul;
  matmul.weight = packed.data;
  matmul.column_sum = sums.data;
  matmul.scale = scale;
  matmul.bias = bias;
  matmul.k = static_cast<uint32_t>(k);
  matmul.n = matmul.columns = static_cast<uint32_t>(n);
  Rows in(*kernels, rows, k);
  for (size_t r = 0; r < rows; r++) {
    in.scales.data[r] = row_scale[r];
    in.zeros.data[r] = zero[r];
    for (size_t c = 0; c < k; c++) {
      uint8_t* to = in.view.data + r * in.view.stride + c * kernels->activation_bytes;
      *to = q[r * k + c] ^ kernels->activation_flip;
    }
  }
  const size_t scale_panels = 32 / kernels->panel;
  const MatmulCall call{&matmul,
                        in.view,
                        nullptr,
                        0,
                        rows,
                        first * scale_panels,
                        last * scale_panels,
                        out + first * 32,
                        n,
                        static_cast<Store>(store),
                        static_cast<Activation>(activation),
                        ranges,
                        nullptr};
  kernels->matmul(call);
  return 0;
}

// x [rows, k], weight [k, n] f32, bias padded to a multiple of 32; out [rows, n up to a multiple of 32]
LB_PROBE probe_matmul_f32(const char* isa, size_t rows, size_t k, size_t n, const float* x, const float* weight,
                          const float* bias, float* out) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  Matmul matmul;
  matmul.columns = static_cast<uint32_t>((n + kernels->panel - 1) / kernels->panel * kernels->panel);
  Buffer<float> packed(k * matmul.columns);
  pack_f32(weight, k, n, kernels->panel, packed.data);
  matmul.weight_f32 = packed.data;
  matmul.bias = bias;
  matmul.k = static_cast<uint32_t>(k);
  matmul.n = static_cast<uint32_t>(n);
  const MatmulCall call{&matmul,
                        {},
                        x,
                        k,
                        rows,
                        0,
                        matmul.columns / kernels->panel,
                        out,
                        (n + 31) / 32 * 32,
                        Store::plain,
                        Activation::identity,
                        nullptr,
                        nullptr};
  kernels->matmul(call);
  return 0;
}

// x [n], smoothing [n] or null -> q [n], scale, zero
LB_PROBE probe_quantize(const char* isa, size_t n, const float* x, const float* smoothing, uint8_t* q, float* scale,
                        int32_t* zero) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  Rows rows(*kernels, 1, n);
  kernels->quantize(x, n, smoothing, rows.view, 0);
  for (size_t i = 0; i < n; i++) q[i] = rows.view.data[i * kernels->activation_bytes] ^ kernels->activation_flip;
  *scale = rows.scales.data[0];
  *zero = rows.zeros.data[0];
  return 0;
}

LB_PROBE probe_layer_norm(const char* isa, size_t n, float* x, const float* gamma, const float* beta, float eps) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  kernels->layer_norm(x, n, gamma, beta, eps);
  return 0;
}

LB_PROBE probe_activate(const char* isa, size_t n, float* x, int activation) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  kernels->activate(x, n, static_cast<Activation>(activation));
  return 0;
}

// q, k, v in rows of `stride` floats; out [queries, width]
LB_PROBE probe_attention(const char* isa, size_t length, size_t queries, size_t width, size_t stride, const float* q,
                         const float* k, const float* v, float* out, size_t int16) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  Buffer<float> scratch(kernels->attention_scratch(length, width));
  const AttentionCall call{
      q,           k,     v,   stride, length,
      queries,     width, out, width,  1.4426950408889634f / __builtin_sqrtf(static_cast<float>(width)),
      scratch.data};
  (int16 ? kernels->attention_int16 : kernels->attention)(call);
  return 0;
}

// The same with distances: `kind` 0 window, 1 biases, 2 disentangled. `bias` [2 reach + 1] by key - query; `keys` and
// `queries` [rows, width], or null, with rows that rise with key - query and with query - key; both lists
// [2 reach + 1], too, with the distance 0 in the middle.
LB_PROBE probe_attention_relative(const char* isa, size_t length, size_t queries, size_t width, size_t stride,
                                  const float* q, const float* k, const float* v, float* out, size_t kind,
                                  size_t window, size_t reach, const float* bias, size_t rows, const float* keys,
                                  const float* of_queries, const int32_t* after, const int32_t* before,
                                  const uint8_t* after_straight, const uint8_t* before_straight) {
  const Kernels* kernels = path(isa);
  if (!kernels) return 1;
  const size_t padded = (rows + 31) / 32 * 32;
  Buffer<int16_t> packed(2 * padded * width);
  RelativeHead head;
  if (kind == 2) {
    head.keys = packed.data;
    head.key_scale = kernels->pack_relative(keys, rows, width, head.keys) * 1.4426950408889634f;
    if (of_queries) {
      head.queries = packed.data + padded * width;
      head.query_scale = kernels->pack_relative(of_queries, rows, width, head.queries) * 1.4426950408889634f;
    }
    head.rows = padded;
    head.after = {after + reach, after_straight + reach};
    head.before = {before + reach, before_straight + reach};
  }
  Buffer<float> scratch(kernels->attention_scratch(length, width) + kernels->relative_scratch(length, rows));
  AttentionCall call{q,           k,     v,   stride, length,
                     queries,     width, out, width,  1.4426950408889634f / __builtin_sqrtf(static_cast<float>(width)),
                     scratch.data};
  call.window = window;
  call.bias = bias ? bias + reach : nullptr;
  call.relative = &head;
  const Attention kinds[] = {kernels->attention_window, kernels->attention_biased, kernels->attention_disentangled};
  kinds[kind](call);
  return 0;
}
