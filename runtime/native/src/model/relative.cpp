// Relative positions, expanded and packed; relative.h says into what.
#include "model/relative.h"

#include <cstring>

namespace leanbert {
namespace {

constexpr size_t beyond = 32;
constexpr float log2_e = 1.4426950408889634f;

size_t distances(const Model& m) { return 2 * (m.longest + beyond) - 1; }
size_t middle(const Model& m) { return m.longest + beyond - 1; }
size_t padded_rows(const Model& m) { return (m.relative.rows + 31) / 32 * 32; }
size_t packed_rows(const Model& m) { return padded_rows(m) * m.head_width; }

// The row for distance i - middle, key - query.
size_t row_of(const Model& m, size_t i) {
  const Relative& r = m.relative;
  const ptrdiff_t ends = static_cast<ptrdiff_t>(r.bucket_count / 2);
  const ptrdiff_t distance = static_cast<ptrdiff_t>(i) - static_cast<ptrdiff_t>(middle(m));
  return r.buckets[(distance < -ends ? -ends : distance > ends ? ends : distance) + ends];
}

// Finds where sixteen rows follow one another.
RowOfDistance finished(const Model& m, const int32_t* rows, uint8_t* straight) {
  const size_t count = distances(m);
  for (size_t i = 0, run = 0; i < count; i++) {  // from the last one
    const size_t at = count - 1 - i;
    run = i && rows[at + 1] == rows[at] + 1 ? run + 1 : 0;
    straight[at] = run >= 15;
  }
  return {rows + middle(m), straight + middle(m)};
}

}  // namespace

size_t relative_bytes(const Model& m) {
  if (!m.relative.bucket_count) return 0;
  if (!m.relative.disentangled) return Region::piece<float>(m.heads * distances(m));
  return 2 * (Region::piece<int32_t>(distances(m)) + Region::piece<uint8_t>(distances(m))) +
         m.layer_count * (Region::piece<RelativeHead>(m.heads) + 2 * Region::piece<int16_t>(m.heads * packed_rows(m)));
}

void make_distances(Model& m, Region& region) {
  Relative& r = m.relative;
  if (!r.bucket_count) return;
  const size_t count = distances(m);
  if (!r.disentangled) {
    float* bias = region.take<float>(m.heads * count);
    for (size_t h = 0; h < m.heads; h++)
      for (size_t i = 0; i < count; i++) bias[h * count + i] = r.bias_rows[row_of(m, i) * m.heads + h] * log2_e;
    r.bias = bias + middle(m);
    r.bias_stride = count;
    return;
  }
  int32_t* after = region.take<int32_t>(count);
  int32_t* before = region.take<int32_t>(count);
  for (size_t i = 0; i < count; i++) {
    after[i] = static_cast<int32_t>(r.rows - 1 - row_of(m, i));
    before[i] = static_cast<int32_t>(row_of(m, count - 1 - i));
  }
  r.after = finished(m, after, region.take<uint8_t>(count));
  r.before = finished(m, before, region.take<uint8_t>(count));
  for (size_t l = 0; l < m.layer_count; l++) {
    RelativeHead* heads = region.take<RelativeHead>(m.heads);
    int16_t* keys = region.take<int16_t>(m.heads * packed_rows(m));
    int16_t* queries = m.layers[l].position_query ? region.take<int16_t>(m.heads * packed_rows(m)) : nullptr;
    for (size_t h = 0; h < m.heads; h++)
      heads[h] = {keys + h * packed_rows(m),
                  queries ? queries + h * packed_rows(m) : nullptr,
                  0,
                  0,
                  padded_rows(m),
                  r.after,
                  r.before};
    m.layers[l].relative = heads;
  }
}

bool pack_tables(const Model& m, const Layer& layer) {
  const size_t rows = m.relative.rows, width = m.head_width;
  Region memory;
  if (!memory.allocate(Region::piece<float>(rows * width))) return false;
  float* of_head = memory.take<float>(rows * width);
  const auto pack = [&](const float* table, bool turned, int16_t* out) {
    for (size_t i = 0; i < rows; i++)
      std::memcpy(of_head + (turned ? rows - 1 - i : i) * width, table + i * m.hidden, width * sizeof(float));
    return m.kernels->pack_relative(of_head, rows, width, out) * log2_e;
  };
  for (size_t h = 0; h < m.heads; h++) {
    RelativeHead& head = layer.relative[h];
    head.key_scale = pack(layer.position_key + h * width, true, head.keys);
    if (head.queries) head.query_scale = pack(layer.position_query + h * width, false, head.queries);
  }
  return true;
}

}  // namespace leanbert
