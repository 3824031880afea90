// From the bundle's row-major weights to the panels of kernels.h, with the column sums that asymmetric activations
// need.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leanbert {

// int8 [k, n] -> panels of `panel` columns, `group` k-values side by side. k is a multiple of 32, group a power of
// 2 that the architecture's paths use,
// panel 16 or 32. Also writes column_sum[n]. Reads and writes one cache line after another: bound by memory.
void pack_int8(const int8_t* weight, size_t k, size_t n, size_t panel, size_t group, int8_t* packed,
               int32_t* column_sum);

// f32 [k, n] -> panels; columns beyond n are zeros.
void pack_f32(const float* weight, size_t k, size_t n, size_t panel, float* packed);

}  // namespace leanbert
