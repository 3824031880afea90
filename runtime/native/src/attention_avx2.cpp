// Attention for AVX2; the code is attention.inl.
// Score and value blocks of 6 rows x 16 lanes: 12 ymm of sums, 2 of keys or values, 1 broadcast.
#include "kernels.h"
#include "lanes_avx2.h"

namespace leanbert::avx2 {
#include "isa_functions.inl"

#include "functions.inl"

constexpr size_t key_vectors = 1;
constexpr size_t query_rows = 6;
constexpr size_t value_vectors = 1;
constexpr size_t value_rows(size_t) { return 6; }
#define LB_VALUE_VECTORS(v, ...) \
  static_cast<void>(v);          \
  value_rows_of<1>(__VA_ARGS__);
#include "attention.inl"
#define LB_VALUE_VECTORS16(v, ...) \
  static_cast<void>(v);            \
  value_rows16_of<1>(__VA_ARGS__);
#include "attention_int16.inl"
}  // namespace leanbert::avx2
