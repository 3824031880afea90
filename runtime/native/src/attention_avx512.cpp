// Attention for AVX-512; the code is attention.inl.
// Score block 12 rows x 32 keys: 24 zmm of sums, 2 of keys, 1 broadcast. Value block 6 rows x 64 columns: 24, 4, 1.
#include "kernels.h"
#include "lanes_avx512.h"

namespace leanbert::avx512 {
#include "isa_functions.inl"

#include "functions.inl"

constexpr size_t key_vectors = 2;
constexpr size_t query_rows = 12;
constexpr size_t value_vectors = 4;
constexpr size_t value_rows(size_t vectors) { return vectors <= 2 ? 12 : 24 / vectors; }
#define LB_VALUE_VECTORS(v, ...)                   \
  switch (v) {                                     \
    case 1: value_rows_of<1>(__VA_ARGS__); break;  \
    case 2: value_rows_of<2>(__VA_ARGS__); break;  \
    case 3: value_rows_of<3>(__VA_ARGS__); break;  \
    default: value_rows_of<4>(__VA_ARGS__); break; \
  }
#include "attention.inl"
#define LB_VALUE_VECTORS16(v, ...)                   \
  switch (v) {                                       \
    case 1: value_rows16_of<1>(__VA_ARGS__); break;  \
    case 2: value_rows16_of<2>(__VA_ARGS__); break;  \
    case 3: value_rows16_of<3>(__VA_ARGS__); break;  \
    default: value_rows16_of<4>(__VA_ARGS__); break; \
  }
#include "attention_int16.inl"
}  // namespace leanbert::avx512
