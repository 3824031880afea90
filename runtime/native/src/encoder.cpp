// A call: check, plan, compute.
//
// Plan. Texts are sorted by length and cut into groups of whole texts. How a group is computed depends on its size only
// for speed: every output bit is a function of its own text (row-wise operations, exact sums, attention within a text).
//
//   columns   few tokens (at most 7 a thread): every thread computes some columns of each product for all rows, so that
//             each weight is read by one core only; a barrier after every stage. Bound by memory.
//   rows      the team shares a group: every thread has some rows; two barriers a layer.
//   alone     every thread takes whole groups: no barriers. What remains unbalanced is computed by rows at the end.
//
// Layer (post-LN):
//
//   a (u8) -qkv-> qkv f32 -attention-> context f32 -quantize-> c (u8) -output-> x += -norm, quantize-> a (u8)
//          -up, activation-> h f32 -quantize-> hq (u8) -down-> x += -norm, quantize-> a (u8)
//
// Up to `context` threads share heads, in every mode: a thread computes Q, K, V of its heads for all rows, a few heads
// at a time so that they are still in its second-level cache when attention reads them (BERT-base, 128 tokens: 1.2 MB
// for all heads, 100 KB for one). From `c` on threads share rows (or columns), in chunks of 28 rows, so that h (12 KB a
// row) stays in that cache too.
//
// In the last layer of a first-token model Q and everything after attention are computed for the first tokens alone.
#include "encoder.h"

#include <sys/types.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

namespace leanbert {
namespace {

constexpr size_t chunk_rows = 28;  // two full register blocks on AVX-512; 64 rows: 5% slower at 8 x 128, 42: 1.5%
constexpr size_t group_tokens = 128;
#if defined(LEANBERT_NATIVE_NO_COLUMNS)
constexpr size_t column_rows_per_thread = 0;
#else
constexpr size_t column_rows_per_thread = 7;
#endif
constexpr size_t head_rows = 16;
constexpr size_t pad_floats = 16;  // between rows: their distance must not be a multiple of the cache's set period
constexpr size_t pad_bytes = 64;

#if defined(LEANBERT_NATIVE_F32_ATTENTION)
constexpr bool int16_attention = false;
#else
constexpr bool int16_attention = true;
#endif

struct Sequence {
  uint64_t first;  // its first token in the call
  uint64_t index;  // its place in the call
  uint32_t length;
};

struct Group {
  size_t first, count;  // sequences, in sorted order
  size_t tokens;
};

struct Shared {  // memory of a group; `row` is a token
  float* x;
  float* context;
  QuantizedRows a, c;
  float* h;  // columns mode only
  QuantizedRows hq;
  float* ranges;  // [member][row][range_floats]
  size_t column_rows;
};

struct Private {  // memory of a thread
  float* qkv;     // [row][Q | K | V of a block of heads]
  float* h;
  QuantizedRows hq;
  float* ranges;
  float* attention;
  float* logits;
  Shared alone;
};

struct Member {
  size_t count, index;
  Barrier* barrier;
  void wait() const {
    if (count > 1) barrier->wait(index, count);
  }
  void share(size_t n, size_t* from, size_t* to) const {
    *from = n * index / count;
    *to = n * (index + 1) / count;
  }
};

struct Sizes {
  size_t team_tokens, alone_tokens, column_rows, longest, threads;
};

struct Plan {
  const Model* model;
  const Call* call;
  Sequence* sequences;
  Group* groups;
  size_t alone_count;  // groups [0, alone_count) are taken by single threads
  Group team_group;    // tokens = 0: none
  size_t members;
  Barrier* barrier;
  Shared team;
  Private own[max_team];
  alignas(128) std::atomic<size_t> next{0};
};

double cost(size_t length) {  // attention grows with the square; 1600 tokens double the cost of BERT-base's token
  return static_cast<double>(length) * (1. + static_cast<double>(length) / 1600.);
}

// ---- working memory ---------------------------------------------------------------------------------------------

// Runs twice over the same code: first counting (base null), then handing out.
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

// Heads whose columns fill whole panels, for any head size: the smallest block that a product can compute.
size_t heads_per_unit(const Model& m) {
  size_t unit = 1;
  while (unit * m.head_width % 32) unit++;
  return unit;
}

// Heads of one block: whole units, few enough that Q, K, V of `rows` tokens stay in the second-level cache.
constexpr size_t qkv_cache = size_t{256} << 10;
size_t heads_per_block(const Model& m, size_t rows) {
  const size_t unit = heads_per_unit(m), bytes = rows * 3 * unit * m.head_width * sizeof(float);
  const size_t units = bytes < qkv_cache ? qkv_cache / bytes : 1;
  return units * unit < m.heads ? units * unit : m.heads;
}

// Enough for any group of at most `rows` tokens: a smaller group may take a larger block of heads.
size_t qkv_floats(const Model& m, size_t rows) {
  const size_t one_unit = rows * 3 * heads_per_unit(m) * m.head_width, whole = rows * 3 * m.hidden,
               cached = qkv_cache / sizeof(float);
  const size_t most = one_unit > cached ? one_unit : cached;
  return (most < whole ? most : whole) + rows * pad_floats;
}

void carve(Carver& carver, const Model& m, const Sizes& sizes, Shared* team, Private* own) {
  *team = carve_shared(carver, m, sizes.team_tokens, sizes.column_rows, sizes.threads);
  for (size_t i = 0; i < sizes.threads; i++) {
    Private& p = own[i];
    p.alone = carve_shared(carver, m, sizes.alone_tokens, 0, 0);
    const size_t of_team = qkv_floats(m, sizes.team_tokens), of_alone = qkv_floats(m, sizes.alone_tokens);
    p.qkv = carver.take<float>(of_team > of_alone ? of_team : of_alone);
    p.h = carver.take<float>(chunk_rows * (m.intermediate + pad_floats));
    p.hq = carver.rows(chunk_rows, m.intermediate, m.kernels->activation_bytes);
    p.ranges = carver.take<float>(chunk_rows * range_floats);
    p.attention = carver.take<float>(m.kernels->attention_scratch(sizes.longest, m.head_width));
    p.logits = carver.take<float>(head_rows * (m.classifier.columns + pad_floats));
  }
}

// ---- one group --------------------------------------------------------------------------------------------------

class Pass {
 public:
  Pass(const Plan& plan, const Member& member, const Shared& shared, const Private& own, const Group& group)
      : plan_(plan),
        m_(*plan.model),
        k_(*m_.kernels),
        me_(member),
        s_(shared),
        own_(own),
        group_(group),
        sequences_(plan.sequences + group.first) {}

  void run() {
    rows_ = group_.tokens;
    size_t from, to;
    me_.share(rows_, &from, &to);
    embed(from, to);
    for (size_t l = 0; l < m_.layer_count; l++) layer(l);
    output();
  }

 private:
  size_t hidden_stride() const { return m_.hidden + pad_floats; }
  size_t context_stride() const { return (m_.hidden > m_.embedding ? m_.hidden : m_.embedding) + pad_floats; }
  size_t h_stride() const { return m_.intermediate + pad_floats; }
  float* x(size_t row) const { return s_.x + row * hidden_stride(); }
  float* context(size_t row) const { return s_.context + row * context_stride(); }
  size_t panels(const Product& p) const { return p.columns / k_.panel; }
  const void* weights(const Product& p, size_t panel) const {
    return p.weight ? p.weight + panel * k_.panel * p.k : nullptr;
  }

  // rows [0, rows) of the given buffers, panels [from, to); `out` is where column 0 goes
  void product(const Product& p, const QuantizedRows& in, const float* in_f32, size_t in_stride, size_t rows,
               size_t from, size_t to, float* out, size_t out_stride, Store store, float* ranges,
               const void* next) const {
    ProductCall call{&p,         in,    in_f32,        in_stride, rows, from, to, out + from * k_.panel,
                     out_stride, store, m_.activation, ranges,    next};
    k_.product(call);
  }

  static void reset_ranges(float* ranges, size_t rows) { std::memset(ranges, 0, rows * range_floats * sizeof(float)); }

  void embed(size_t from, size_t to) {
    const float* smoothing = m_.projection.present() ? m_.projection.smoothing : m_.layers[0].smoothing();
    size_t sequence = 0, start = 0;
    for (size_t row = from; row < to; row++) {
      while (start + sequences_[sequence].length <= row) start += sequences_[sequence++].length;
      const uint64_t token = sequences_[sequence].first + (row - start);
      const size_t id = static_cast<size_t>(plan_.call->ids[token]), position = m_.position_offset + (row - start);
      const size_t type = plan_.call->types ? static_cast<size_t>(plan_.call->types[token]) : 0;
      float* to_row = m_.projection.present() ? context(row) : x(row);
      k_.embed(to_row, m_.embedding, m_.words.row(id), m_.words.is_int8(), m_.words.row_scale(id),
               m_.positions.row(position), m_.positions.is_int8(), m_.positions.row_scale(position),
               m_.token_types ? m_.token_types + type * m_.embedding : nullptr);
      k_.layer_norm_quantize(to_row, m_.embedding, m_.embedding_norm.gamma, m_.embedding_norm.beta, m_.eps, smoothing,
                             m_.projection.present() ? s_.c : s_.a, row);
    }
    if (!m_.projection.present() || from == to) return;
    product(m_.projection, s_.c.from(from), context(from), context_stride(), to - from, 0, panels(m_.projection),
            x(from), hidden_stride(), Store::plain, nullptr, nullptr);
    for (size_t row = from; row < to; row++) k_.quantize(x(row), m_.hidden, m_.layers[0].smoothing(), s_.a, row);
  }

  // of the product that reads a layer's result
  const float* after_smoothing(const Layer* after) const {
    return after ? after->smoothing() : m_.head_dense.smoothing;
  }

  void layer(size_t l) {
    const Layer& y = m_.layers[l];
    const bool first_only = m_.head == LB_HEAD_FIRST_TOKEN && l + 1 == m_.layer_count;
    me_.wait();  // `a` is complete
    attend(y, first_only);
    me_.wait();
    if (first_only) {
      if (me_.index == 0) {  // rows only move forward
        size_t start = 0;
        for (size_t i = 0; i < group_.count; start += sequences_[i++].length)
          if (start != i) std::memcpy(x(i), x(start), m_.hidden * sizeof(float));
      }
      rows_ = group_.count;
      me_.wait();
    }
    const Layer* after = l + 1 < m_.layer_count ? &m_.layers[l + 1] : nullptr;
    if (me_.count > 1 && rows_ <= s_.column_rows)
      finish_by_columns(y, after);
    else
      finish_by_rows(y, after);
  }

  // This thread's heads of the layer: Q, K, V, attention.
  void attend(const Layer& y, bool first_only) {
    const auto attention = y.qkv.is_int8() && int16_attention ? k_.attention_int16 : k_.attention;
    const size_t unit = heads_per_unit(m_), width = m_.head_width, panels_of_part = m_.hidden / k_.panel;
    const float scale = 1.4426950408889634f / std::sqrt(static_cast<float>(width));
    size_t head, last;
    me_.share(m_.heads / unit, &head, &last);
    head *= unit;
    last *= unit;
    const size_t most = heads_per_block(m_, rows_);
    while (head < last) {
      const size_t heads = last - head < most ? last - head : most, columns = heads * width,
                   stride = 3 * columns + pad_floats;
      const size_t first_panel = head * width / k_.panel, count = columns / k_.panel;
      for (size_t part = 0; part < 3; part++) {  // Q, K, V
        const bool apart = y.query.present();
        const size_t from = (apart && part ? part - 1 : part) * panels_of_part + first_panel;
        const void* next = part == 0 && apart    ? weights(y.qkv, first_panel)
                           : part < 2            ? weights(y.qkv, from + panels_of_part)
                           : head + heads < last ? weights(y.first(), first_panel + count)
                                                 : weights(y.attention_output, 0);
        ProductCall call{
            part ? &y.qkv : &y.first(), s_.a,   s_.x,         hidden_stride(),      rows_,   from, from + count,
            own_.qkv + part * columns,  stride, Store::plain, Activation::identity, nullptr, next};
        if (part > 0 || !first_only) {
          k_.product(call);
          continue;
        }
        call.rows = 1;  // only first tokens ask
        for (size_t i = 0, start = 0; i < group_.count; start += sequences_[i++].length) {
          call.input = s_.a.from(start);
          call.input_f32 = x(start);
          call.out = own_.qkv + start * stride;
          k_.product(call);
        }
      }
      size_t start = 0;
      for (size_t i = 0; i < group_.count; start += sequences_[i++].length) {
        const size_t length = sequences_[i].length;
        for (size_t h = 0; h < heads; h++) {
          const float* q = own_.qkv + start * stride + h * width;
          const AttentionCall call{q,
                                   q + columns,
                                   q + 2 * columns,
                                   stride,
                                   length,
                                   first_only ? 1 : length,
                                   width,
                                   context(first_only ? i : start) + (head + h) * width,
                                   context_stride(),
                                   scale,
                                   own_.attention};
          attention(call);
        }
      }
      head += heads;
    }
  }

  void finish_by_rows(const Layer& y, const Layer* after) {
    size_t from, to;
    me_.share(rows_, &from, &to);
    const size_t n = to - from, chunks = (n + chunk_rows - 1) / chunk_rows;
    for (size_t i = 0; i < chunks; i++) {
      const size_t row = from + n * i / chunks, rows = from + n * (i + 1) / chunks - row;
      const void* next = i + 1 < chunks ? weights(y.attention_output, 0) : after ? weights(after->first(), 0) : nullptr;
      for (size_t r = row; r < row + rows; r++)
        k_.quantize(context(r), m_.hidden, y.attention_output.smoothing, s_.c, r);
      product(y.attention_output, s_.c.from(row), context(row), context_stride(), rows, 0, panels(y.attention_output),
              x(row), hidden_stride(), Store::residual, nullptr, weights(y.ffn_up, 0));
      for (size_t r = row; r < row + rows; r++)
        k_.layer_norm_quantize(x(r), m_.hidden, y.attention_norm.gamma, y.attention_norm.beta, m_.eps,
                               y.ffn_up.smoothing, s_.a, r);
      reset_ranges(own_.ranges, rows);
      product(y.ffn_up, s_.a.from(row), x(row), hidden_stride(), rows, 0, panels(y.ffn_up), own_.h, h_stride(),
              Store::activated, own_.ranges, weights(y.ffn_down, 0));
      for (size_t r = 0; r < rows; r++)
        k_.quantize_ranged(own_.h + r * h_stride(), m_.intermediate, own_.ranges + r * range_floats, 0, 1, own_.hq, r);
      product(y.ffn_down, own_.hq, own_.h, h_stride(), rows, 0, panels(y.ffn_down), x(row), hidden_stride(),
              Store::residual, nullptr, next);
      for (size_t r = row; r < row + rows; r++)
        k_.layer_norm_quantize(x(r), m_.hidden, y.ffn_norm.gamma, y.ffn_norm.beta, m_.eps, after_smoothing(after), s_.a,
                               r);
    }
  }

  // Every product by columns, every row operation by rows. Ends with the norm of this thread's rows.
  void finish_by_columns(const Layer& y, const Layer* after) {
    size_t from, to, first, last, next;
    me_.share(rows_, &from, &to);
    for (size_t r = from; r < to; r++) k_.quantize(context(r), m_.hidden, y.attention_output.smoothing, s_.c, r);
    me_.wait();
    me_.share(panels(y.ffn_up), &next, &last);
    const void* up = weights(y.ffn_up, next);
    me_.share(panels(y.attention_output), &first, &last);
    product(y.attention_output, s_.c, s_.context, context_stride(), rows_, first, last, s_.x, hidden_stride(),
            Store::residual, nullptr, up);
    me_.wait();
    for (size_t r = from; r < to; r++)
      k_.layer_norm_quantize(x(r), m_.hidden, y.attention_norm.gamma, y.attention_norm.beta, m_.eps, y.ffn_up.smoothing,
                             s_.a, r);
    me_.wait();
    const size_t range_stride = s_.column_rows * range_floats;
    float* ranges = s_.ranges + me_.index * range_stride;
    reset_ranges(ranges, rows_);
    me_.share(panels(y.ffn_down), &next, &last);
    const void* down = weights(y.ffn_down, next);
    me_.share(panels(y.ffn_up), &first, &last);
    product(y.ffn_up, s_.a, s_.x, hidden_stride(), rows_, first, last, s_.h, h_stride(), Store::activated, ranges,
            down);
    me_.wait();
    for (size_t r = from; r < to; r++)
      k_.quantize_ranged(s_.h + r * h_stride(), m_.intermediate, s_.ranges + r * range_floats, range_stride, me_.count,
                         s_.hq, r);
    me_.wait();
    const void* qkv = nullptr;
    if (after) {
      me_.share(m_.heads / heads_per_unit(m_), &next, &last);
      qkv = weights(after->first(), next * heads_per_unit(m_) * m_.head_width / k_.panel);
    }
    me_.share(panels(y.ffn_down), &first, &last);
    product(y.ffn_down, s_.hq, s_.h, h_stride(), rows_, first, last, s_.x, hidden_stride(), Store::residual, nullptr,
            qkv);
    me_.wait();
    for (size_t r = from; r < to; r++)
      k_.layer_norm_quantize(x(r), m_.hidden, y.ffn_norm.gamma, y.ffn_norm.beta, m_.eps, after_smoothing(after), s_.a,
                             r);
  }

  // The head, for this thread's rows.
  void output() {
    size_t from, to;
    float* out = plan_.call->out;
    const size_t width = m_.output_width();
    if (m_.head == LB_HEAD_FIRST_TOKEN && m_.head_dense.present() && me_.count > 1) me_.wait();  // by columns below
    me_.share(rows_, &from, &to);
    const float* features = s_.x;
    size_t stride = hidden_stride();
    if (m_.head != LB_HEAD_NONE && m_.head_dense.present()) {
      // A first-token head has few rows: its dense product is shared by columns, as in finish_by_columns.
      const bool by_columns = m_.head == LB_HEAD_FIRST_TOKEN && me_.count > 1;
      size_t first = 0, last = panels(m_.head_dense), row = from, rows = to - from;
      if (by_columns) {
        me_.share(panels(m_.head_dense), &first, &last);
        row = 0;
        rows = rows_;
      }
      product(m_.head_dense, s_.a.from(row), x(row), hidden_stride(), rows, first, last, context(row), context_stride(),
              Store::plain, nullptr, nullptr);
      if (by_columns) me_.wait();
      for (size_t r = from; r < to; r++) {
        k_.activate(context(r), m_.hidden, m_.head_activation);
        if (m_.head_norm.present()) k_.layer_norm(context(r), m_.hidden, m_.head_norm.gamma, m_.head_norm.beta, m_.eps);
      }
      features = s_.context;
      stride = context_stride();
    }
    const size_t logits_stride = m_.classifier.columns + pad_floats;
    size_t sequence = 0, start = 0;
    for (size_t row = from; row < to; row++) {
      const float* result = features + row * stride;
      if (m_.head != LB_HEAD_NONE) {
        if ((row - from) % head_rows == 0)
          product(m_.classifier, {}, result, stride, to - row < head_rows ? to - row : head_rows, 0,
                  panels(m_.classifier), own_.logits, logits_stride, Store::plain, nullptr, nullptr);
        result = own_.logits + (row - from) % head_rows * logits_stride;
      }
      uint64_t place = 0;
      if (m_.head == LB_HEAD_FIRST_TOKEN) {
        place = sequences_[row].index;
      } else {
        while (start + sequences_[sequence].length <= row) start += sequences_[sequence++].length;
        place = sequences_[sequence].first + (row - start);
      }
      std::memcpy(out + place * width, result, width * sizeof(float));
    }
  }

  const Plan& plan_;
  const Model& m_;
  const Kernels& k_;
  const Member me_;
  const Shared& s_;
  const Private& own_;
  const Group& group_;
  const Sequence* sequences_;
  size_t rows_ = 0;
};

// Every float operation of a call runs with rounding to nearest and denormals flushed, whatever the caller's thread
// has set: the same bits everywhere, and no slow path for tiny numbers.
class FloatMode {
 public:
  FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
  ~FloatMode() { _mm_setcsr(before_); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  const unsigned before_;
};

void work(void* context, size_t index) {
  const FloatMode mode;
  Plan& plan = *static_cast<Plan*>(context);
  const Member alone{1, 0, nullptr};
  for (;;) {
    const size_t i = plan.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= plan.alone_count) break;
    Pass(plan, alone, plan.own[index].alone, plan.own[index], plan.groups[i]).run();
  }
  if (plan.team_group.tokens)
    Pass(plan, Member{plan.members, index, plan.barrier}, plan.team, plan.own[index], plan.team_group).run();
}

// ---- plan -------------------------------------------------------------------------------------------------------

int longer_first(const void* a, const void* b) {
  const Sequence &x = *static_cast<const Sequence*>(a), &y = *static_cast<const Sequence*>(b);
  if (x.length != y.length) return x.length > y.length ? -1 : 1;
  return x.index < y.index ? -1 : 1;
}

double group_cost(const Plan& plan, const Group& group) {
  double sum = 0;
  for (size_t i = 0; i < group.count; i++) sum += cost(plan.sequences[group.first + i].length);
  return sum;
}

// Cuts the sorted texts into groups of about `target` tokens; returns their number.
size_t cut(Plan& plan, size_t target) {
  size_t count = 0;
  for (size_t i = 0; i < plan.call->n_sequences;) {
    Group& group = plan.groups[count++];
    group = {i, 0, 0};
    do {
      group.tokens += plan.sequences[i++].length;
      group.count++;
    } while (i < plan.call->n_sequences && group.tokens + plan.sequences[i].length <= target);
  }
  return count;
}

// How many of the last groups the team should share, so that all finish together: tries up to two a thread.
size_t shared_groups(const Plan& plan, size_t count) {
  constexpr double sharing = 1.06;  // barriers, and every thread reads every weight
  double best = 1e300;
  size_t best_shared = 0;
  for (size_t shared = 0; shared <= count && shared <= 2 * plan.members; shared++) {
    double load[max_team] = {}, most = 0, together = 0;
    for (size_t i = 0; i + shared < count; i++) {
      size_t least = 0;
      for (size_t t = 1; t < plan.members; t++)
        if (load[t] < load[least]) least = t;
      load[least] += group_cost(plan, plan.groups[i]);
    }
    for (size_t t = 0; t < plan.members; t++)
      if (load[t] > most) most = load[t];
    for (size_t i = count - shared; i < count; i++) together += group_cost(plan, plan.groups[i]);
    const double total = most + sharing * together / static_cast<double>(plan.members);
    if (total < best) {
      best = total;
      best_shared = shared;
    }
  }
  return best_shared;
}

void make_plan(Plan& plan) {
  const size_t tokens = plan.call->n_tokens, threads = plan.members;
  size_t target = (tokens + threads - 1) / threads;
  if (target > group_tokens) target = group_tokens;
  if (threads > 1 && tokens <= column_rows_per_thread * threads) target = tokens;
  const size_t count = cut(plan, target);
  size_t shared = 0;
  if (threads > 1) shared = count == 1 ? 1 : shared_groups(plan, count);
  plan.alone_count = count - shared;
  plan.team_group = {0, 0, 0};
  for (size_t i = plan.alone_count; i < count; i++) {
    if (!plan.team_group.tokens) plan.team_group.first = plan.groups[i].first;
    plan.team_group.count += plan.groups[i].count;
    plan.team_group.tokens += plan.groups[i].tokens;
  }
}

}  // namespace

// ---- Encoder ----------------------------------------------------------------------------------------------------

Encoder* Encoder::create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 128, sizeof(Encoder)) != 0) {
    *status = error.fail(LB_NO_MEMORY, "out of memory");
    return nullptr;
  }
  Encoder* encoder = new (memory) Encoder(desc.threads >= 1 && desc.threads <= max_team ? desc.threads : 1);
  encoder->process_.store(getpid());
  *status = encoder->model_.open(desc, kernels, error);
  if (*status == LB_OK) return encoder;
  destroy(encoder);
  return nullptr;
}

void Encoder::destroy(Encoder* encoder) {
  if (!encoder) return;
  encoder->adopt_process();  // a forked child has no workers to join
  encoder->~Encoder();
  std::free(encoder);
}

// A fork copies this thread only: workers, and calls of other threads, exist in the parent alone. Their marks are
// cleared before the first call in the child; the slots of those calls stay busy (memory of the child lost, no harm).
void Encoder::adopt_process() {
  const int me = getpid();
  int owner = process_.load(std::memory_order_acquire);
  while (owner != me) {
    if (owner != -1 && process_.compare_exchange_strong(owner, -1, std::memory_order_acq_rel)) {
      team_.forget();
      under_way_.store(0, std::memory_order_relaxed);
      team_busy_.store(false, std::memory_order_relaxed);
      process_.store(me, std::memory_order_release);
      return;
    }
    relax();
    owner = process_.load(std::memory_order_acquire);
  }
}

int Encoder::check(const Call& call, Error& error) const {
  const Model& m = model_;
  if (call.n_sequences && (!call.lengths || !call.ids || !call.out))
    return error.fail(LB_INVALID_ARGUMENT, "lengths, input_ids or out is NULL");
  if (call.n_sequences > (uint64_t{1} << 40) || call.n_tokens > (uint64_t{1} << 40))
    return error.fail(LB_INVALID_ARGUMENT, "too many sequences or tokens");
  uint64_t sum = 0;
  for (uint64_t i = 0; i < call.n_sequences; i++) {
    const int32_t length = call.lengths[i];
    if (length < 1 || static_cast<uint64_t>(length) > m.longest)
      return error.fail(LB_INVALID_ARGUMENT, "lengths[%llu] is %d: must be 1 to %zu",
                        static_cast<unsigned long long>(i), length, m.longest);
    sum += static_cast<uint64_t>(length);
  }
  if (sum != call.n_tokens)
    return error.fail(LB_INVALID_ARGUMENT, "n_tokens is %llu, the lengths add up to %llu",
                      static_cast<unsigned long long>(call.n_tokens), static_cast<unsigned long long>(sum));
  const uint64_t floats = m.output_rows(call.n_sequences, call.n_tokens) * m.output_width();
  if (call.out_floats != floats)
    return error.fail(LB_INVALID_ARGUMENT, "out has %llu floats, %llu are needed",
                      static_cast<unsigned long long>(call.out_floats), static_cast<unsigned long long>(floats));
  for (uint64_t i = 0; i < call.n_tokens; i++) {
    if (call.ids[i] < 0 || static_cast<uint64_t>(call.ids[i]) >= m.vocabulary)
      return error.fail(LB_INVALID_ARGUMENT, "input_ids[%llu] is %d: must be 0 to %zu",
                        static_cast<unsigned long long>(i), call.ids[i], m.vocabulary - 1);
  }
  if (call.types) {
    const uint64_t types = m.types ? m.types : 1;
    for (uint64_t i = 0; i < call.n_tokens; i++)
      if (call.types[i] < 0 || static_cast<uint64_t>(call.types[i]) >= types)
        return error.fail(LB_INVALID_ARGUMENT, "token_type_ids[%llu] is %d: must be 0 to %llu",
                          static_cast<unsigned long long>(i), call.types[i],
                          static_cast<unsigned long long>(types - 1));
  }
  return LB_OK;
}

int Encoder::run(const Call& call, Error& error) {
  if (int status = check(call, error)) return status;
  if (call.n_sequences == 0) return LB_OK;
  adopt_process();

  Plan plan;
  plan.model = &model_;
  plan.call = &call;
  plan.barrier = &team_.barrier;
  // Sequences and their groups (at most as many).
  const size_t n = call.n_sequences;
  plan.sequences = static_cast<Sequence*>(std::malloc(n * sizeof(Sequence)));
  plan.groups = static_cast<Group*>(std::malloc(n * sizeof(Group)));
  int status = LB_OK;
  if (!plan.sequences || !plan.groups) {
    status = error.fail(LB_NO_MEMORY, "out of memory for %zu sequences", n);
  } else {
    uint64_t first = 0;
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
      const uint32_t length = static_cast<uint32_t>(call.lengths[i]);
      plan.sequences[i] = {first, i, length};
      first += length;
      if (length > longest) longest = length;
    }
    if (n > 1) std::qsort(plan.sequences, n, sizeof(Sequence), longer_first);

    // The team serves a call that is alone; two calls at once run best on one thread each.
    const bool only = under_way_.fetch_add(1, std::memory_order_acq_rel) == 0;
    bool team = only && team_.size() > 1 && !team_busy_.exchange(true, std::memory_order_acquire);

    Slot* slot = nullptr;
    for (size_t i = 0; i < slots && !slot; i++)
      if (!slots_[i].busy.load(std::memory_order_relaxed) && !slots_[i].busy.exchange(true, std::memory_order_acquire))
        slot = &slots_[i];
    Slot spare;
    if (!slot) slot = &spare;

    for (;;) {
      plan.members = team ? team_.size() : 1;
      plan.next.store(0, std::memory_order_relaxed);
      make_plan(plan);
      Sizes sizes{plan.team_group.tokens, 0, 0, longest, plan.members};
      for (size_t i = 0; i < plan.alone_count; i++)
        if (plan.groups[i].tokens > sizes.alone_tokens) sizes.alone_tokens = plan.groups[i].tokens;
      if (plan.team_group.tokens) {
        const size_t most = column_rows_per_thread * plan.members;
        sizes.column_rows = plan.team_group.tokens < most ? plan.team_group.tokens : most;
      }
      Carver counter(nullptr);
      carve(counter, model_, sizes, &plan.team, plan.own);
      if (counter.bytes() > slot->memory.bytes() && !slot->memory.allocate(counter.bytes())) {
        status = error.fail(LB_NO_MEMORY, "out of memory for %zu bytes of working memory", counter.bytes());
        break;
      }
      slot->memory.rewind();
      Carver carver(&slot->memory);
      carve(carver, model_, sizes, &plan.team, plan.own);
      if (!team) {
        work(&plan, 0);
        break;
      }
      if (team_.run(work, &plan)) break;
      team_busy_.store(false, std::memory_order_release);  // no threads to be had: compute alone
      team = false;
    }
    if (slot != &spare) slot->busy.store(false, std::memory_order_release);
    if (team) team_busy_.store(false, std::memory_order_release);
    under_way_.fetch_sub(1, std::memory_order_acq_rel);
  }
  std::free(plan.sequences);
  std::free(plan.groups);
  return status;
}

}  // namespace leanbert
