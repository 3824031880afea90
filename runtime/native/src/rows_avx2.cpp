// Row operations for avx2; the code is rows.inl.
#include "kernels.h"
#include "lanes_avx2.h"

namespace leanbert::avx2 {
#include "isa_functions.inl"

#include "functions.inl"
#include "rows.inl"
}  // namespace leanbert::avx2
