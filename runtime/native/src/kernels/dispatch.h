// From numbers known at run time to template arguments, and from many rows to blocks of equal size.
#pragma once

#include <type_traits>

#include "kernels/lanes.h"

namespace leanbert {
namespace {

// Calls f(std::integral_constant<size_t, m>) for the run-time m, 1 <= m <= Max. The largest is tried first: blocks are
// full more often than not.
template <size_t Max, class Function>
LB_INLINE void dispatch(size_t m, const Function& f) {
  if constexpr (Max > 1) {
    if (m < Max) return dispatch<Max - 1>(m, f);
  }
  f(std::integral_constant<size_t, Max>{});
}

// Calls f(row, count, i, blocks) for the i-th of as few blocks as hold `rows` rows, at most `most` in each. 16 rows in
// blocks of at most 14 are 8 + 8, not 14 + 2: a block of 2 waits for its own sums.
template <class Function>
LB_INLINE void equal_blocks(size_t rows, size_t most, const Function& f) {
  const size_t blocks = (rows + most - 1) / most;
  for (size_t row = 0, i = 0; i < blocks; i++) {
    const size_t count = (rows - row + blocks - i - 1) / (blocks - i);
    f(row, count, i, blocks);
    row += count;
  }
}

}  // namespace
}  // namespace leanbert
