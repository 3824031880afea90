// Weight packing, sixteen columns at a time: the work is moving bytes, and wider registers would not help. Rows are
// outermost: as many streams of reads as a group has rows, and writes of whole cache lines into one panel after another.
// FinBERT's 85 MB take about 25 ms on two threads (Zen 4), most of it page faults.
#include "model/packing.h"

#include <cstring>

#if defined(__aarch64__)
#include "arm/bytes16.h"
#else
#include "x86/bytes16.h"
#endif

namespace leanbert {
namespace {

// Columns behind the last whole sixteen; what is beyond them is 0.
Bytes16 row_end(const int8_t* p, size_t columns) {
  int8_t copy[16] = {};
  std::memcpy(copy, p, columns);
  return load_bytes(copy);
}

}  // namespace

void pack_int8(const int8_t* weight, size_t k, size_t n, size_t panel, size_t group, int8_t* packed,
               int32_t* column_sum) {
  for (size_t c = 0; c < n; c++) column_sum[c] = 0;
  const size_t panel_bytes = k * panel;
  for (size_t i = 0; i < k; i += group) {
    for (size_t c = 0; c < n; c += 16) {
      Bytes16 rows[most_rows];
      for (size_t g = 0; g < group; g++) {
        const int8_t* row = weight + (i + g) * n + c;
        rows[g] = n - c >= 16 ? load_bytes(row) : row_end(row, n - c);
      }
      add_columns(rows, group, column_sum + c);
      store_columns(packed + c / panel * panel_bytes + i * panel + c % panel * group, rows, group);
    }
  }
}

void pack_f32(const float* weight, size_t k, size_t n, size_t panel, float* packed) {
  for (size_t c = 0; c < n; c += panel)
    for (size_t i = 0; i < k; i++)
      for (size_t j = 0; j < panel; j++) *packed++ = c + j < n ? weight[i * n + c + j] : 0.f;
}

}  // namespace leanbert
