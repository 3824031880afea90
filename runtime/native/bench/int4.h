// Matmuls whose weights have 4 bits: a prototype that no handle uses. int4.cpp measures it, docs/fidelity.md says why.
//
// Layout: panels of 32 columns, all K inputs of a panel in one piece, four k-values of a column adjacent. A cache line
// has four k-values of a whole panel, the first 16 columns in its low nibbles, the others in its high nibbles:
//
//   line of panel p, step t:   byte 4 c + i   = low: W[4 t + i][32 p + c],  high: W[4 t + i][32 p + 16 + c]
//
// A nibble is a signed level, -8 to 7. What the kernel takes out of a line is 16 times the level, which needs no
// subtraction:  first = (line << 4) & 0xf0,  others = line & 0xf0.  Scales are for those, a sixteenth of a level's.
//
// Scales:  one f32 per column (then sums stay integers over the whole of K), or one f16 per column for each group of
// k-values: [panel][group of k][32]. The group's sums are integers; sums over groups are f32 in the order of k.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace leanbert {

struct Int4Matmul {
  Matmul matmul;                        // weight: the nibbles; column_sum and scale: of one scale per column alone
  const uint16_t* scales = nullptr;     // f16, or null where there is one scale per column
  const float* compensation = nullptr;  // f32 [N] beside `scales`: sum over k of 16 * level * scale of its group
  size_t group = 0;                     // k-values that share a scale, a multiple of 8
};

// levels [k][n] of -8..7 -> the layout above; k a multiple of 8, n of 32
void pack_int4(const int8_t* levels, size_t k, size_t n, uint8_t* packed);

// As Kernels::matmul, on CPUs with AVX-512 VNNI. `call.matmul` is not read.
void matmul_int4(const Int4Matmul& weights, const MatmulCall& call);

}  // namespace leanbert
