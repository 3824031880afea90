// Row operations for avx512; the code is rows.inl.
#include "kernels.h"
#include "lanes_avx512.h"

namespace leanbert::avx512 {
#include "isa_functions.inl"

#include "functions.inl"
#include "rows.inl"
}  // namespace leanbert::avx512
