// One group through embeddings, layers and head, for one member of the team. kernels.h says what the kernels do,
// workspace.h where the buffers lie.
//
// Layer:
//
//   a (u8) -qkv-> qkv f32 -attention-> context f32 -quantize-> c (u8) -output-> x += -norm, quantize-> a (u8)
//          -up, activation-> h f32 -quantize-> hq (u8) -down-> x += -norm, quantize-> a (u8)
//
// Where norms stand after (post-LN) they replace x. Where they stand before, x stays a sum, and a row's norm goes to
// `normed`; the norm behind a network is then the next layer's first. A gated network computes its gate into h, and the
// epilogue of the activated half multiplies by what is there.
//
// Up to `context` threads share heads, in every mode: a thread computes Q, K, V of its heads for all rows, a few heads
// at a time so that they are still in its second-level cache when attention reads them (BERT-base, 128 tokens: 1.2 MB
// for all heads, 100 KB for one). From `c` on threads share rows (or columns), in chunks of 28 rows, so that h (12 KB per
// row) stays in that cache too.
//
// In the last layer of a first-token model Q and everything after attention are computed for the first tokens alone
// (4 to 7% of a call).
#include "schedule/forward.h"

#include <cmath>
#include <cstring>

namespace leanbert {
namespace {

#if defined(LEANBERT_NATIVE_F32_ATTENTION)
constexpr bool int16_attention = false;
#else
constexpr bool int16_attention = true;
#endif

// The pieces of a stage that this member computes. Where it is alone, or each member's share is one piece, nobody asks anybody.
class Pieces {
 public:
  // Before the barrier that opens the stage.
  void offer(const Member& me, Deal Team::* deal, size_t n, size_t least, size_t most) {
    me.share(n, &from_, &to_);
    least_ = least;
    most_ = most;
    deal_ = me.count > 1 && n > most * me.count ? &(me.team->*deal) : nullptr;
    if (deal_) deal_->offer(me.index, from_, to_);
  }
  bool take(const Member& me, const Speeds::Work& work, size_t* from, size_t* to) {
    if (deal_)
      return deal_->take(me.index, most_, from, to) ||
             deal_->steal(me.index, Speeds::now(*me.split, me.index, work), *me.split, least_, most_, from, to);
    *from = from_;
    if (from_ == to_) return false;
    *to = from_ += Deal::part(to_ - from_, most_);
    return true;
  }
  size_t end() const { return to_; }    // of the own share
  bool dealt() const { return deal_; }  // other members may have computed pieces of the own share

 private:
  size_t from_ = 0, to_ = 0, least_ = 1, most_ = 1;
  Deal* deal_ = nullptr;
};

constexpr size_t rows_ahead = 3;  // embeddings are fetched so far ahead

class Forward {
 public:
  Forward(const Model& model, const Schedule& schedule, const Group& group, const Member& member, const Shared& shared,
          const Private& own, Speeds::Work (&done)[Speeds::kinds])
      : call_(*schedule.call),
        m_(model),
        k_(*model.kernels),
        me_(member),
        s_(shared),
        own_(own),
        group_(group),
        sequences_(schedule.sequences + group.first),
        done_(done) {}

  void run() {
    rows_ = group_.tokens;
    size_t from, to;
    me_.share(rows_, &from, &to);
    enter(Stage::embed);
    embed(from, to);
    for (size_t l = 0; l < m_.layer_count; l++) layer(l);
    enter(Stage::head);
    output();
  }

 private:
  size_t hidden_stride() const { return m_.hidden + pad_floats; }
  size_t context_stride() const { return (m_.hidden > m_.embedding ? m_.hidden : m_.embedding) + pad_floats; }
  size_t h_stride() const { return m_.intermediate + pad_floats; }
  float* x(size_t row) const { return s_.x + row * hidden_stride(); }
  float* normed(size_t row) const { return s_.normed + row * hidden_stride(); }  // x itself where norms stand after
  float* context(size_t row) const { return s_.context + row * context_stride(); }
  size_t panels(const Matmul& p) const { return p.columns / k_.panel; }
  const void* weights(const Matmul& p, size_t panel) const {
    return p.weight ? p.weight + panel * k_.panel * p.k : nullptr;
  }

  // rows [0, rows) of the given buffers, panels [from, to); `out` is where column 0 goes
  void matmul(const Matmul& p, const QuantizedRows& in, const float* in_f32, size_t in_stride, size_t rows, size_t from,
              size_t to, float* out, size_t out_stride, Store store, float* ranges, const void* next) const {
    MatmulCall call{&p,         in,    in_f32,        in_stride, rows, from, to, out + from * k_.panel,
                    out_stride, store, m_.activation, ranges,    next};
    k_.matmul(call);
  }

  // The norm behind a residual sum, and the quantization for the matmul that reads it.
  void settle(size_t row, const Norm& norm, const float* smoothing, bool stays) const {
    float* to = x(row);
    if (stays) {
      to = normed(row);
      std::memcpy(to, x(row), m_.hidden * sizeof(float));
      if (!norm.present()) return k_.quantize(to, m_.hidden, smoothing, s_.a, row);
    }
    k_.layer_norm_quantize(to, m_.hidden, norm.gamma, norm.beta, m_.eps, smoothing, s_.a, row);
  }
  const Norm& middle_norm(const Layer& y) const { return m_.pre_norm ? y.ffn_norm : y.attention_norm; }
  const Norm& last_norm(const Layer& y, const Layer* after) const {
    return !m_.pre_norm ? y.ffn_norm : after ? after->attention_norm : m_.final_norm;
  }

  // Columns [from, to) of the network's inner numbers, in panels: activated, and multiplied by their gate.
  void up(const Layer& y, size_t row, size_t rows, size_t from, size_t to, float* h, float* ranges,
          const void* next) const {
    if (m_.gated) {
      const size_t gate = m_.intermediate / k_.panel;
      k_.matmul({&y.ffn_up, s_.a.from(row), normed(row), hidden_stride(), rows, gate + from, gate + to,
                 h + from * k_.panel, h_stride(), Store::plain, Activation::identity, nullptr,
                 weights(y.ffn_up, from)});
    }
    matmul(y.ffn_up, s_.a.from(row), normed(row), hidden_stride(), rows, from, to, h, h_stride(),
           m_.gated ? Store::gated : Store::activated, ranges, next);
  }
  size_t up_panels() const { return m_.intermediate / k_.panel; }
  const void* up_weights(const Layer& y, size_t panel) const {  // what `up` reads first
    return weights(y.ffn_up, (m_.gated ? up_panels() : 0) + panel);
  }

  static void reset_ranges(float* ranges, size_t rows) { std::memset(ranges, 0, rows * range_floats * sizeof(float)); }

  void embed(size_t from, size_t to) {
    const float* smoothing = m_.projection.present() ? m_.projection.smoothing : m_.layers[0].smoothing();
    const size_t word_bytes = m_.embedding * (m_.words.is_int8() ? 1 : sizeof(float));
    size_t sequence = 0, start = 0;
    for (size_t row = from; row < to; row++) {
      while (start + sequences_[sequence].length <= row) start += sequences_[sequence++].length;
      const uint64_t token = sequences_[sequence].first + (row - start);
      const size_t id = static_cast<size_t>(call_.ids[token]), position = m_.position_offset + (row - start);
      if (row + rows_ahead < to &&
          row + rows_ahead < start + sequences_[sequence].length) {  // from a table beyond caches
        const char* word = static_cast<const char*>(m_.words.row(static_cast<size_t>(call_.ids[token + rows_ahead])));
        for (size_t i = 0; i < word_bytes; i += 64) __builtin_prefetch(word + i);
      }
      const size_t type = call_.types ? static_cast<size_t>(call_.types[token]) : 0;
      float* to_row = m_.projection.present() ? context(row) : x(row);
      k_.embed(to_row, m_.embedding, m_.words.row(id), m_.words.is_int8(), m_.words.row_scale(id),
               m_.positions.data ? m_.positions.row(position) : nullptr, m_.positions.is_int8(),
               m_.positions.row_scale(position), m_.token_types ? m_.token_types + type * m_.embedding : nullptr);
      k_.layer_norm_quantize(to_row, m_.embedding, m_.embedding_norm.gamma, m_.embedding_norm.beta, m_.eps, smoothing,
                             m_.projection.present() ? s_.c : s_.a, row);
      if (m_.pre_norm && !m_.projection.present()) settle(row, m_.layers[0].attention_norm, smoothing, true);
    }
    if (!m_.projection.present() || from == to) return;
    matmul(m_.projection, s_.c.from(from), context(from), context_stride(), to - from, 0, panels(m_.projection),
           x(from), hidden_stride(), Store::plain, nullptr, nullptr);
    for (size_t row = from; row < to; row++) {
      if (m_.pre_norm)
        settle(row, m_.layers[0].attention_norm, m_.layers[0].smoothing(), true);
      else
        k_.quantize(x(row), m_.hidden, m_.layers[0].smoothing(), s_.a, row);
    }
  }

  // The smoothing of the matmul that reads a layer's result.
  const float* after_smoothing(const Layer* after) const {
    return after ? after->smoothing() : m_.head_dense.smoothing;
  }

  void layer(size_t l) {
    const Layer& y = m_.layers[l];
    const bool first_only = m_.head == LB_HEAD_FIRST_TOKEN && l + 1 == m_.layer_count;
    const size_t unit = heads_per_unit(m_), rows = first_only ? group_.count : rows_;
    const bool columns = me_.count > 1 && rows <= s_.column_rows;
    heads_.offer(me_, &Team::heads, m_.heads / unit, 1, heads_per_block(m_, rows_) / unit);
    me_.wait();  // `a` is complete
    attend(y, first_only);
    chunks_ = Pieces();
    if (!columns) chunks_.offer(me_, &Team::rows, rows, chunk_rows / 4, chunk_rows);
    me_.wait();
    if (first_only) {
      enter(Stage::other);
      if (me_.index == 0) {  // a row's new place is never behind its old one
        size_t start = 0;
        for (size_t i = 0; i < group_.count; start += sequences_[i++].length)
          if (start != i) std::memcpy(x(i), x(start), m_.hidden * sizeof(float));
      }
      rows_ = rows;
      me_.wait();
    }
    const Layer* after = l + 1 < m_.layer_count ? &m_.layers[l + 1] : nullptr;
    if (columns)
      finish_by_columns(y, after);
    else
      finish_by_rows(y, after);
  }

  // This thread's heads of the layer: Q, K, V, attention.
  void attend(const Layer& y, bool first_only) {
    const Attention plain = y.qkv.is_int8() && int16_attention ? k_.attention_int16 : k_.attention;
    const Attention whole = y.relative ? k_.attention_disentangled : m_.relative.bias ? k_.attention_biased : plain;
    const size_t unit = heads_per_unit(m_), width = m_.head_width, panels_of_part = m_.hidden / k_.panel;
    const float scale =
        1.4426950408889634f / std::sqrt(static_cast<float>(y.relative ? (y.position_query ? 3 : 2) * width : width));
    size_t from_unit, to_unit;
    while (heads_.take(me_, done_[Speeds::rows], &from_unit, &to_unit)) {
      const size_t head = from_unit * unit, heads = (to_unit - from_unit) * unit, columns = heads * width,
                   stride = 3 * columns + pad_floats;
      const size_t first_panel = head * width / k_.panel, count = columns / k_.panel;
      enter(Stage::qkv);
      for (size_t part = 0; part < 3; part++) {  // Q, K, V
        const bool apart = y.query.present();
        const size_t from = (apart && part ? part - 1 : part) * panels_of_part + first_panel;
        const void* next = part == 0 && apart       ? weights(y.qkv, first_panel)
                           : part < 2               ? weights(y.qkv, from + panels_of_part)
                           : to_unit < heads_.end() ? weights(y.first(), first_panel + count)
                                                    : weights(y.attention_output, 0);
        MatmulCall call{
            part ? &y.qkv : &y.first(), s_.a,   s_.normed,    hidden_stride(),      rows_,   from, from + count,
            own_.qkv + part * columns,  stride, Store::plain, Activation::identity, nullptr, next};
        if (part > 0 || !first_only) {
          k_.matmul(call);
          continue;
        }
        call.rows = 1;  // queries are needed for the first tokens alone
        for (size_t i = 0, start = 0; i < group_.count; start += sequences_[i++].length) {
          call.input = s_.a.from(start);
          call.input_f32 = normed(start);
          call.out = own_.qkv + start * stride;
          k_.matmul(call);
        }
      }
      enter(Stage::attention);
      size_t start = 0;
      for (size_t i = 0; i < group_.count; start += sequences_[i++].length) {
        const size_t length = sequences_[i].length, queries = first_only ? 1 : length;
        // A window that no token sees the end of is none.
        const Attention attention = y.window && length > y.window + 1 ? k_.attention_window : whole;
        if (y.rotary) rotate(y.rotary - 1, own_.qkv + start * stride, stride, columns, length, queries);
        for (size_t h = 0; h < heads; h++) {
          const float* q = own_.qkv + start * stride + h * width;
          const AttentionCall call{q,
                                   q + columns,
                                   q + 2 * columns,
                                   stride,
                                   length,
                                   queries,
                                   width,
                                   context(first_only ? i : start) + (head + h) * width,
                                   context_stride(),
                                   scale,
                                   own_.attention,
                                   y.window,
                                   m_.relative.bias ? m_.relative.bias + (head + h) * m_.relative.bias_stride : nullptr,
                                   y.relative ? y.relative + head + h : nullptr};
          attention(call);
        }
      }
    }
  }

  // Rotates the queries and keys of a text's heads.
  void rotate(size_t table, float* rows, size_t stride, size_t columns, size_t length, size_t queries) const {
    const size_t half = m_.head_width / 2, heads = columns / m_.head_width;
    for (size_t i = 0; i < length; i++, rows += stride) {
      const size_t at = (m_.position_offset + i) * half;
      for (size_t part = i < queries ? 0 : 1; part < 2; part++)
        k_.rotate(rows + part * columns, heads, m_.head_width, m_.cosines[table] + at, m_.sines[table] + at);
    }
  }

  void finish_by_rows(const Layer& y, const Layer* after) {
    const bool stays = m_.pre_norm;
    size_t row, to;
    const uint64_t start = platform::ticks_now();
    while (chunks_.take(me_, done_[Speeds::rows], &row, &to)) {
      const size_t rows = to - row;
      const void* next = to < chunks_.end() ? weights(y.attention_output, 0)
                         : after            ? weights(after->first(), 0)
                                            : nullptr;
      enter(Stage::quantize);
      for (size_t r = row; r < row + rows; r++)
        k_.quantize(context(r), m_.hidden, y.attention_output.smoothing, s_.c, r);
      enter(Stage::output);
      matmul(y.attention_output, s_.c.from(row), context(row), context_stride(), rows, 0, panels(y.attention_output),
             x(row), hidden_stride(), Store::residual, nullptr, up_weights(y, 0));
      enter(Stage::norm);
      for (size_t r = row; r < row + rows; r++) settle(r, middle_norm(y), y.ffn_up.smoothing, stays);
      enter(Stage::up);
      reset_ranges(own_.ranges, rows);
      up(y, row, rows, 0, up_panels(), own_.h, own_.ranges, weights(y.ffn_down, 0));
      enter(Stage::quantize);
      for (size_t r = 0; r < rows; r++)
        k_.quantize_ranged(own_.h + r * h_stride(), m_.intermediate, own_.ranges + r * range_floats, 0, 1, own_.hq, r);
      enter(Stage::down);
      matmul(y.ffn_down, own_.hq, own_.h, h_stride(), rows, 0, panels(y.ffn_down), x(row), hidden_stride(),
             Store::residual, nullptr, next);
      enter(Stage::norm);
      for (size_t r = row; r < row + rows; r++) settle(r, last_norm(y, after), after_smoothing(after), stays && after);
      done_[Speeds::rows].rows += static_cast<double>(rows);
    }
    enter(Stage::other);
    done_[Speeds::rows].ticks += platform::ticks_now() - start;
  }

  // Every matmul by columns, and row operations by rows. Ends with the norm of this thread's rows.
  void finish_by_columns(const Layer& y, const Layer* after) {
    const bool stays = m_.pre_norm;
    size_t from, to, first, last, next;
    me_.share(rows_, &from, &to);
    enter(Stage::quantize);
    for (size_t r = from; r < to; r++) k_.quantize(context(r), m_.hidden, y.attention_output.smoothing, s_.c, r);
    me_.wait();
    enter(Stage::output);
    me_.share(up_panels(), &next, &last);
    const void* network = up_weights(y, next);
    me_.share(panels(y.attention_output), &first, &last);
    matmul(y.attention_output, s_.c, s_.context, context_stride(), rows_, first, last, s_.x, hidden_stride(),
           Store::residual, nullptr, network);
    me_.wait();
    enter(Stage::norm);
    for (size_t r = from; r < to; r++) settle(r, middle_norm(y), y.ffn_up.smoothing, stays);
    me_.wait();
    enter(Stage::up);
    const size_t range_stride = s_.column_rows * range_floats;
    float* ranges = s_.ranges + me_.index * range_stride;
    reset_ranges(ranges, rows_);
    me_.share(panels(y.ffn_down), &next, &last);
    const void* down = weights(y.ffn_down, next);
    me_.share(up_panels(), &first, &last);
    const uint64_t start = platform::ticks_now();
    up(y, 0, rows_, first, last, s_.h, ranges, down);
    enter(Stage::other);
    if (last > first) {
      done_[Speeds::columns].ticks += platform::ticks_now() - start;
      done_[Speeds::columns].rows += static_cast<double>(rows_ * (last - first)) / static_cast<double>(up_panels());
    }
    me_.wait();
    // By columns, unlike other row operations: what a core wrote to h it reads itself, and only the bytes of hq go from
    // core to core. Every member keeps the scale and zero point of each row for itself.
    enter(Stage::quantize);
    const QuantizedRows hq{s_.hq.data, s_.hq.stride, own_.scale, own_.zero};
    QuantizedRows mine = hq;
    mine.data += first * k_.panel * k_.activation_bytes;
    for (size_t r = 0; r < rows_; r++)  // without columns of its own a member still needs scale and zero
      k_.quantize_ranged(s_.h + r * h_stride() + first * k_.panel, (last - first) * k_.panel,
                         s_.ranges + r * range_floats, range_stride, me_.count, mine, r);
    me_.wait();
    enter(Stage::down);
    const void* qkv = nullptr;
    if (after) {
      me_.share(m_.heads / heads_per_unit(m_), &next, &last);
      qkv = weights(after->first(), next * heads_per_unit(m_) * m_.head_width / k_.panel);
    }
    me_.share(panels(y.ffn_down), &first, &last);
    matmul(y.ffn_down, hq, s_.h, h_stride(), rows_, first, last, s_.x, hidden_stride(), Store::residual, nullptr, qkv);
    me_.wait();
    enter(Stage::norm);
    for (size_t r = from; r < to; r++) settle(r, last_norm(y, after), after_smoothing(after), stays && after);
  }

  // The mean of each text in the place of its first rows. Means wait in `context` until no one reads x any more.
  void pool() {
    me_.wait();
    enter(Stage::head);
    size_t from, to, start = 0;
    me_.share(group_.count, &from, &to);
    for (size_t i = 0; i < to; start += sequences_[i++].length)
      if (i >= from) k_.mean(context(i), x(start), hidden_stride(), sequences_[i].length, m_.hidden);
    me_.wait();
    enter(Stage::head);
    for (size_t i = from; i < to; i++) {
      std::memcpy(x(i), context(i), m_.hidden * sizeof(float));
      k_.quantize(x(i), m_.hidden, m_.head_dense.smoothing, s_.a, i);
    }
    rows_ = group_.count;
  }

  // The head, for this thread's rows.
  void output() {
    size_t from, to;
    float* out = call_.out;
    const size_t width = m_.output_width();
    if (m_.head == LB_HEAD_MEAN) {
      pool();
      chunks_ = Pieces();
    }
    // By columns below; or the rows of this member's share may have been computed by others.
    if (m_.one_per_text() && m_.head_dense.present() ? me_.count > 1 : chunks_.dealt()) me_.wait();
    enter(Stage::head);
    me_.share(rows_, &from, &to);
    const float* features = s_.x;
    size_t stride = hidden_stride();
    if (m_.head != LB_HEAD_NONE && m_.head_dense.present()) {
      // A head with a row per text has few rows: its dense matmul is shared by columns, as in finish_by_columns.
      const bool by_columns = m_.one_per_text() && me_.count > 1;
      size_t first = 0, last = panels(m_.head_dense), row = from, rows = to - from;
      if (by_columns) {
        me_.share(panels(m_.head_dense), &first, &last);
        row = 0;
        rows = rows_;
      }
      matmul(m_.head_dense, s_.a.from(row), x(row), hidden_stride(), rows, first, last, context(row), context_stride(),
             Store::plain, nullptr, nullptr);
      if (by_columns) me_.wait();
      enter(Stage::head);
      for (size_t r = from; r < to; r++) {
        k_.activate(context(r), m_.head_size, m_.head_activation);
        if (m_.head_norm.present())
          k_.layer_norm(context(r), m_.head_size, m_.head_norm.gamma, m_.head_norm.beta, m_.eps);
      }
      features = s_.context;
      stride = context_stride();
    }
    const bool int8 = m_.classifier.is_int8();  // a classifier over the words of a vocabulary
    for (size_t r = from; int8 && r < to; r++)
      k_.quantize(features + r * stride, m_.head_size, m_.classifier.smoothing, s_.c, r);
    const size_t logits_stride = m_.classifier.columns + pad_floats;
    size_t sequence = 0, start = 0;
    for (size_t row = from; row < to; row++) {
      const float* result = features + row * stride;
      if (m_.head != LB_HEAD_NONE) {
        if ((row - from) % head_rows == 0)
          matmul(m_.classifier, int8 ? s_.c.from(row) : QuantizedRows{}, result, stride,
                 to - row < head_rows ? to - row : head_rows, 0, panels(m_.classifier), own_.logits, logits_stride,
                 Store::plain, nullptr, nullptr);
        result = own_.logits + (row - from) % head_rows * logits_stride;
      }
      uint64_t place = 0;
      if (m_.one_per_text()) {
        place = sequences_[row].index;
      } else {
        while (start + sequences_[sequence].length <= row) start += sequences_[sequence++].length;
        place = sequences_[sequence].first + (row - start);
      }
      std::memcpy(out + place * width, result, width * sizeof(float));
    }
  }

  const Call& call_;
  const Model& m_;
  const Kernels& k_;
  const Member me_;
  const Shared& s_;
  const Private& own_;
  const Group& group_;
  const Sequence* sequences_;
  Speeds::Work (&done_)[Speeds::kinds];
  size_t rows_ = 0;
  Pieces heads_, chunks_;
};

}  // namespace

void compute_group(const Model& model, const Schedule& schedule, const Group& group, const Member& member,
                   const Shared& shared, const Private& own, Speeds::Work (&done)[Speeds::kinds]) {
  Forward(model, schedule, group, member, shared, own, done).run();
}

}  // namespace leanbert
