// One path: the shared kernels for the lanes and register blocks of an instruction set. The file of an instruction set
// includes this, describes its path `V` (matmul.h, attention.h and lanes.h say what a path has) and defines its Kernels:
//
//   const Kernels avx2_kernels = kernels_of<Avx2>("avx2", [] { return cpu().avx2; });
#pragma once

#include "kernels/attention.h"
#include "kernels/attention_int16.h"
#include "kernels/attention_relative.h"
#include "kernels/matmul.h"
#include "kernels/rows.h"

namespace leanbert {
namespace {

template <class V>
constexpr Kernels kernels_of(const char* name, bool (*runs_here)()) {
  return {name,
          runs_here,
          V::panel,
          V::group,
          V::quantized_bytes,
          V::quantized_flip,
          V::block_rows,
          matmul<V>,
          quantize<V>,
          quantize_ranged<V>,
          layer_norm<V>,
          layer_norm_quantize<V>,
          mean<V>,
          activate<V>,
          embed<V>,
          rotate<V>,
          attention<V>,
          attention_int16<V>,
          attention_scratch<V>,
          attention_window<V>,
          attention_biased<V>,
          attention_disentangled<V>,
          relative_scratch<V>,
          pack_relative<V>,
          roof<V>};
}

}  // namespace
}  // namespace leanbert
