// One matmul with random weights of 8 or 4 bits, and rows for it: what int4.cpp checks and measures.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "int4.h"
#include "model/packing.h"
#include "platform/memory.h"

namespace leanbert {

inline std::mt19937 generator(1);

inline void allocate(Region& region, size_t bytes) {
  if (!region.allocate(bytes + 4096)) {
    std::fprintf(stderr, "no memory\n");
    std::exit(1);
  }
}
template <class T>
T* taken(Region& region, size_t n) {
  allocate(region, Region::piece<T>(n));
  return region.take<T>(n);
}

// A random f16 from 2^-8 to 2^-7 as its bits, and as a number.
inline uint16_t random_half() { return static_cast<uint16_t>(7 << 10 | generator() % 1024); }
inline float number_of(uint16_t half) {
  return std::ldexp(1.f + static_cast<float>(half & 1023) / 1024.f, (half >> 10) - 15);
}

enum class Weights { int8, per_column, group128, group64, group32 };
constexpr struct {
  Weights weights;
  const char* name;
  size_t group;
} variants[] = {{Weights::int8, "int8", 0},
                {Weights::per_column, "int4 per column", 0},
                {Weights::group128, "int4 groups of 128", 128},
                {Weights::group64, "int4 groups of 64", 64},
                {Weights::group32, "int4 groups of 32", 32}};

// One matmul with random weights in one of the variants. What it reads lies in `region`, which has `bytes` for it.
class Linear {
 public:
  static size_t bytes(Weights variant, size_t group, size_t k, size_t n) {
    return Region::piece<uint8_t>(variant == Weights::int8 ? k * n : k * n / 2) + Region::piece<float>(4 * n) +
           (group ? Region::piece<uint16_t>((k + group - 1) / group * n) : 0);
  }

  Linear(const Kernels& kernels, Weights variant, size_t group, size_t k, size_t n, Region& region)
      : variant_(variant) {
    const bool int8 = variant == Weights::int8;
    levels.resize(k * n);
    const uint32_t count = int8 ? 255 : 16;
    for (int8_t& level : levels) level = static_cast<int8_t>(static_cast<int>(generator() % count) - (int8 ? 127 : 8));
    uint8_t* packed = region.take<uint8_t>(int8 ? k * n : k * n / 2);
    std::vector<float> scale(n), bias(n);
    for (float& x : scale) x = number_of(random_half());
    for (float& x : bias) x = number_of(random_half());
    float* small = region.take<float>(4 * n);
    std::memcpy(small, scale.data(), n * sizeof(float));
    std::memcpy(small + n, bias.data(), n * sizeof(float));
    float* compensation = small + 2 * n;
    int32_t* column_sum = reinterpret_cast<int32_t*>(small + 3 * n);
    std::vector<double> sums(n);
    if (int8) {
      pack_int8(levels.data(), k, n, kernels.panel, kernels.group, reinterpret_cast<int8_t*>(packed), column_sum);
    } else {
      pack_int4(levels.data(), k, n, packed);
      for (size_t i = 0; i < k * n; i++) column_sum[i % n] += 16 * levels[i];
    }
    if (group) {
      const size_t groups = (k + group - 1) / group;
      scales = region.take<uint16_t>(groups * n);
      for (size_t i = 0; i < groups * n; i++) scales[i] = random_half();
      for (size_t i = 0; i < k; i++)
        for (size_t c = 0; c < n; c++)
          sums[c] += 16. * levels[i * n + c] * number_of(scales[(c / 32 * groups + i / group) * 32 + c % 32]);
      for (size_t c = 0; c < n; c++) compensation[c] = static_cast<float>(sums[c]);
    }
    Matmul& m = int4.matmul;
    m.weight = reinterpret_cast<const int8_t*>(packed);
    m.column_sum = column_sum;
    m.scale = small;
    m.bias = small + n;
    m.k = static_cast<uint32_t>(k);
    m.n = m.columns = static_cast<uint32_t>(n);
    int4.scales = scales;
    int4.compensation = compensation;
    int4.group = group;
    kernel_ = kernels.matmul;
  }

  void run(MatmulCall call) const {
    call.matmul = &int4.matmul;
    if (variant_ == Weights::int8)
      kernel_(call);
    else
      matmul_int4(int4, call);
  }

  // how many weights lie in a byte
  size_t per_byte() const { return variant_ == Weights::int8 ? 1 : 2; }

  Int4Matmul int4;             // of int8 weights only `matmul`
  std::vector<int8_t> levels;  // [k][n]
  uint16_t* scales = nullptr;

 private:
  Weights variant_;
  void (*kernel_)(const MatmulCall&);
};

// Rows of random activations, and where results go.
class Rows {
 public:
  Rows(size_t rows, size_t k, size_t n) : out_stride(n + 16) {
    in.stride = k + 64;
    in.data = taken<uint8_t>(data_, rows * in.stride);
    for (size_t i = 0; i < rows * in.stride; i++) in.data[i] = static_cast<uint8_t>(generator());
    in.scale = taken<float>(scale_, rows);
    in.zero = taken<int32_t>(zero_, rows);
    for (size_t i = 0; i < rows; i++) {
      in.scale[i] = number_of(random_half());
      in.zero[i] = static_cast<int32_t>(generator() % 256);
    }
    out = taken<float>(out_, rows * out_stride);
    range = taken<float>(range_, rows * range_floats);
  }
  // columns [from, to), in panels of 32
  MatmulCall call(size_t rows, size_t from, size_t to, Store store, const void* next) const {
    return {nullptr, in, nullptr, 0, rows, from, to, out + from * 32, out_stride, store, Activation::gelu, range, next};
  }

  QuantizedRows in;
  size_t out_stride;
  float* out;
  float* range;

 private:
  Region data_, scale_, zero_, out_, range_;
};

}  // namespace leanbert
