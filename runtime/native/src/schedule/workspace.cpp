// Counts and cuts working memory; workspace.h has the drawing.
#include "schedule/workspace.h"

namespace leanbert {
namespace {

constexpr size_t qkv_cache = size_t{256} << 10;  // bytes of the second-level cache for Q, K, V of a block of heads

struct Sizes {
  size_t team_tokens, alone_tokens, column_rows, longest, threads;
};

Sizes sizes_of(const Schedule& schedule) {
  Sizes sizes{schedule.team_group.tokens, 0, 0, schedule.sequences[0].length, schedule.members};
  for (size_t i = 0; i < schedule.alone_count; i++)
    if (schedule.groups[i].tokens > sizes.alone_tokens) sizes.alone_tokens = schedule.groups[i].tokens;
  if (schedule.team_group.tokens) {
    const size_t most = column_rows_per_thread * schedule.members;
    sizes.column_rows = schedule.team_group.tokens < most ? schedule.team_group.tokens : most;
  }
  return sizes;
}

// Goes over the same code twice: without a region it counts bytes, with one it hands out pieces.
class Carver {
 public:
  explicit Carver(Region* region) : region_(region) {}
  template <class T>
  T* take(size_t count) {
    bytes_ += Region::piece<T>(count);
    return region_ ? region_->take<T>(count) : nullptr;
  }
  QuantizedRows rows(size_t count, size_t width, size_t element) {
    QuantizedRows r;
    r.stride = width * element + pad_bytes;
    r.data = take<uint8_t>(count * r.stride);
    r.scale = take<float>(count);
    r.zero = take<int32_t>(count);
    return r;
  }
  size_t bytes() const { return bytes_; }

 private:
  Region* region_;
  size_t bytes_ = 0;
};

Shared carve_shared(Carver& carver, const Model& m, size_t tokens, size_t column_rows, size_t members) {
  const size_t element = m.kernels->activation_bytes, widest = m.hidden > m.embedding ? m.hidden : m.embedding;
  Shared s{};
  if (!tokens) return s;
  s.x = carver.take<float>(tokens * (m.hidden + pad_floats));
  s.normed = m.pre_norm ? carver.take<float>(tokens * (m.hidden + pad_floats)) : s.x;
  s.context = carver.take<float>(tokens * (widest + pad_floats));
  s.a = carver.rows(tokens, m.hidden, element);
  s.c = carver.rows(tokens, widest, element);
  s.column_rows = column_rows;
  if (column_rows) {
    s.h = carver.take<float>(column_rows * (m.intermediate + pad_floats));
    s.hq = carver.rows(column_rows, m.intermediate, element);
    s.ranges = carver.take<float>(members * column_rows * range_floats);
  }
  return s;
}

// Enough for every group of at most `rows` tokens, for a smaller group may have larger blocks of heads.
size_t qkv_floats(const Model& m, size_t rows) {
  const size_t one_unit = rows * 3 * heads_per_unit(m) * m.head_width, whole = rows * 3 * m.hidden,
               cached = qkv_cache / sizeof(float);
  const size_t most = one_unit > cached ? one_unit : cached;
  return (most < whole ? most : whole) + rows * pad_floats;
}

void carve(Carver& carver, const Model& m, const Sizes& sizes, Workspace* to) {
  to->team = carve_shared(carver, m, sizes.team_tokens, sizes.column_rows, sizes.threads);
  for (size_t i = 0; i < sizes.threads; i++) {
    Private& p = to->own[i];
    p.alone = carve_shared(carver, m, sizes.alone_tokens, 0, 0);
    const size_t of_team = qkv_floats(m, sizes.team_tokens), of_alone = qkv_floats(m, sizes.alone_tokens);
    p.qkv = carver.take<float>(of_team > of_alone ? of_team : of_alone);
    p.h = carver.take<float>(chunk_rows * (m.intermediate + pad_floats));
    p.hq = carver.rows(chunk_rows, m.intermediate, m.kernels->activation_bytes);
    p.ranges = carver.take<float>(chunk_rows * range_floats);
    p.scale = carver.take<float>(sizes.column_rows);
    p.zero = carver.take<int32_t>(sizes.column_rows);
    const size_t relative = m.relative.disentangled ? m.kernels->relative_scratch(sizes.longest, m.relative.rows) : 0;
    p.attention = carver.take<float>(m.kernels->attention_scratch(sizes.longest, m.head_width) + relative);
    p.logits = carver.take<float>(head_rows * (m.classifier.columns + pad_floats));
  }
}

}  // namespace

size_t heads_per_unit(const Model& m) {
  size_t unit = 1;
  while (unit * m.head_width % 32) unit++;
  return unit;
}

size_t heads_per_block(const Model& m, size_t rows) {
  const size_t unit = heads_per_unit(m), bytes = rows * 3 * unit * m.head_width * sizeof(float);
  const size_t units = bytes < qkv_cache ? qkv_cache / bytes : 1;
  return units * unit < m.heads ? units * unit : m.heads;
}

size_t workspace_bytes(const Model& model, const Schedule& schedule) {
  Carver counter(nullptr);
  Workspace none;
  carve(counter, model, sizes_of(schedule), &none);
  return counter.bytes();
}

void make_workspace(const Model& model, const Schedule& schedule, Region& region, Workspace* to) {
  region.rewind();
  Carver carver(&region);
  carve(carver, model, sizes_of(schedule), to);
}

}  // namespace leanbert
