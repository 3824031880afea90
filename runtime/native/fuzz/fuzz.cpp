// Any description, any weights, any call: libFuzzer's entry (fuzz/README.md says how to run it).
//
// The input's first bytes choose a small sound model (shape, head, int8 or f32 matmuls, which optional records are
// there; norms before or after, gates, windows, positions by a table, by rotation or by distance), the next ones change words of its description and of its layers, the rest is a call. What the caller itself
// promises stays true: pointers, the number of layers, the buffers' sizes. Every buffer is an allocation of its own, so
// that the address sanitizer sees one byte too far. A model that nothing was changed in must open, and must give each
// text the same bits alone and in company.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "leanbert_native.h"

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : p_(data), end_(data + size) {}
  uint32_t byte() { return p_ < end_ ? *p_++ : 0; }
  uint32_t below(uint32_t n) { return byte() % n; }
  uint32_t word() {
    const uint32_t a = byte(), b = byte(), c = byte();
    return a | b << 8 | c << 16 | byte() << 24;
  }
  bool left() const { return p_ < end_; }

 private:
  const uint8_t* p_;
  const uint8_t* end_;
};

class Model {
 public:
  explicit Model(Input& in) {
    const uint32_t h = 32 * (1 + in.below(3)), f = 32 * (1 + in.below(3)), options = in.word(), family = in.word();
    const bool before = family & 1, gated = family & 2;
    const uint32_t placed = family >> 2 & 3;  // positions: a table, rotary, biases, tables of distances
    sane_ = options >> 31 == 0;
    int8_ = options & 1;
    const bool smooth = options & 2, query = options & 4, projection = options & 8, types = options & 16;
    const uint32_t e = projection ? 32 : h, count = 1 + (options >> 5 & 1), vocabulary = 8, positions = 40;
    const auto smoothing = [&](uint32_t k) { return smooth && int8_ ? tensor(LB_FLOAT32, 1, k) : lb_tensor{}; };
    desc.struct_size = sizeof desc;
    desc.layer_size = sizeof(lb_layer);
    desc.threads = 1 + (options >> 6 & 1);
    desc.hidden_size = h;
    desc.num_attention_heads = h / 16 / (1 + (options >> 7 & 1 && h % 64 == 0));
    desc.intermediate_size = f;
    desc.embedding_size = e;
    desc.vocab_size = vocabulary;
    desc.max_positions = positions;
    desc.position_offset = options >> 8 & 3;
    desc.type_vocab_size = types ? 2 : 0;
    desc.activation = options >> 25 & 1 ? LB_SILU : LB_GELU + (options >> 10) % 3;
    desc.layer_norm_eps = 1e-12f;
    desc.word = tensor(LB_INT8, vocabulary, e);
    desc.word_scale = tensor(LB_FLOAT32, 1, vocabulary);
    if (placed == 0 || family >> 4 & 1) {
      desc.position = tensor(options >> 12 & 1 ? LB_INT8 : LB_FLOAT32, positions, e);
      if (options >> 12 & 1) desc.position_scale = tensor(LB_FLOAT32, 1, positions);
    }
    desc.pre_norm = before;
    desc.gated = gated;
    if (before) desc.final_norm = norm(h, family >> 5 & 1);
    const uint32_t half = h / desc.num_attention_heads / 2, rows = 1 + (family >> 6) % 70, ends = (family >> 12) % 50;
    for (int i = 0; placed == 1 && i < 2; i++) {
      desc.rotary_cos[i] = tensor(LB_FLOAT32, positions, half);
      desc.rotary_sin[i] = tensor(LB_FLOAT32, positions, half);
    }
    for (uint32_t i = 0; placed > 1 && i < 2 * ends + 1; i++)
      buckets.push_back(rows - 1 - i * (rows - 1) / (2 * ends + 1));
    if (placed == 2) desc.relative_bias = tensor(LB_FLOAT32, rows, desc.num_attention_heads);
    if (types) desc.token_type = tensor(LB_FLOAT32, 2, e);
    desc.embedding_norm = norm(e);
    if (projection) desc.projection = matmul(e, h, h, smoothing(e));
    for (uint32_t i = 0; i < count; i++) {
      lb_layer layer{};
      const lb_tensor s = smoothing(h);
      const bool apart = query && i + 1 == count;
      if (apart) layer.query = matmul(h, h, h, s);
      layer.qkv = matmul(h, apart ? 2 * h : 3 * h, options >> 13 & 1 ? h : 0, s);
      layer.attention_output = matmul(h, h, h, {});
      if (!before || family >> 18 & 1) layer.attention_norm = norm(h, family >> 5 & 1);
      layer.ffn_up = matmul(h, gated ? 2 * f : f, f, smoothing(h));
      layer.ffn_down = matmul(f, h, h, {});
      layer.ffn_norm = norm(h, family >> 5 & 1);
      if (placed == 3) layer.position_key = tensor(LB_FLOAT32, rows, h);
      if (placed == 3 && family >> 19 & 1) layer.position_query = tensor(LB_FLOAT32, rows, h);
      if (placed < 2) layer.window = (family >> 20) % 45;
      if (placed == 1) layer.rotary = (family >> 24) % 3;
      layers.push_back(options >> 14 & 1 && i && !apart ? layers[0] : layer);
    }
    desc.num_layers = count;
    desc.head = (options >> 15) % 4;
    desc.head_activation = (options >> 17) % 6;
    if (desc.head != LB_HEAD_NONE) {
      // a vocabulary's classifier is int8, of the embeddings' width where the dense matmul returns to it
      const bool dense = options >> 20 & 1, words = options >> 23 & 1;
      const uint32_t width = dense && options >> 24 & 1 ? e : h, labels = 1 + (options >> 22) % 40;
      if (dense) desc.head_dense = matmul(h, width, width, smoothing(h));
      if (options >> 21 & 1 && dense) desc.head_norm = norm(width);
      int8_ = int8_ && words;
      desc.classifier = matmul(width, labels, labels, {});
    }
    // exactly as long as the description says
    data = static_cast<char*>(std::malloc(content_.size()));
    std::memcpy(data, content_.data(), content_.size());
    desc.data = data;
    desc.data_bytes = content_.size();
    desc.num_relative_buckets = static_cast<uint32_t>(buckets.size());
  }
  ~Model() { std::free(data); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  lb_model_desc desc{};
  std::vector<lb_layer> layers;
  std::vector<uint32_t> buckets;
  char* data;

 private:
  uint32_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }
  lb_tensor tensor(uint32_t dtype, uint32_t rows, uint32_t cols) {
    content_.resize((content_.size() + 3) / 4 * 4);
    const size_t count = size_t{rows} * cols, at = content_.size();
    const lb_tensor t{at, count * (dtype == LB_INT8 ? 1 : 4), dtype, rows, cols, 0};
    content_.resize(at + t.bytes);
    for (size_t i = 0; i < count; i++) {
      const uint32_t bits = random();
      const float value = .2f + static_cast<float>(bits >> 8) * 0x1p-24f;
      if (dtype == LB_INT8)
        content_[at + i] = static_cast<char>(bits >> 24);
      else
        std::memcpy(content_.data() + at + 4 * i, sane_ ? static_cast<const void*>(&value) : &bits, 4);
    }
    return t;
  }
  lb_norm norm(uint32_t n, bool centred = false) {
    const lb_tensor gamma = tensor(LB_FLOAT32, 1, n);
    return {gamma, centred ? lb_tensor{} : tensor(LB_FLOAT32, 1, n)};
  }
  lb_matmul matmul(uint32_t k, uint32_t n, uint32_t biases, const lb_tensor& smoothing) {
    lb_matmul p{};
    p.weight = tensor(int8_ ? LB_INT8 : LB_FLOAT32, k, n);
    if (int8_) p.scale = tensor(LB_FLOAT32, 1, n);
    if (biases) p.bias = tensor(LB_FLOAT32, 1, biases);
    p.smoothing = smoothing;
    return p;
  }

  uint32_t state_ = 2463534242u;
  bool int8_ = true, sane_ = true;
  std::vector<char> content_;
};

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  Input in(bytes, size);
  Model model(in);
  lb_model_desc& d = model.desc;
  static const uint32_t notable[] = {0, 1, 2, 31, 32, 64, 96, 255, 1u << 16, 1u << 31, ~0u};
  const lb_model_desc before = d;
  const uint32_t edits = in.below(4);
  for (uint32_t i = 0; i < edits; i++) {
    const uint32_t where = in.below(5);
    char* const bases[] = {reinterpret_cast<char*>(&d), reinterpret_cast<char*>(model.layers.data()),
                           reinterpret_cast<char*>(model.buckets.data())};
    const size_t sizes[] = {sizeof d, model.layers.size() * sizeof(lb_layer), model.buckets.size() * 4};
    const uint32_t which = where == 4 && !model.buckets.empty() ? 2 : where & 1;
    char* base = bases[which];
    const size_t words = sizes[which] / 4;
    const uint32_t place = in.byte() | in.byte() << 8, how = in.byte();
    uint32_t value;
    std::memcpy(&value, base + place % words * 4, 4);
    if (how & 1)
      value = notable[(how >> 1) % (sizeof notable / sizeof *notable)];
    else if (how & 2)
      value += static_cast<uint32_t>(static_cast<int32_t>(in.below(9)) - 4);
    else
      value = in.word();
    std::memcpy(base + place % words * 4, &value, 4);
  }
  // the caller's promises
  d.path = before.path;
  d.data = in.below(64) == 1 ? nullptr : before.data;
  d.layers = model.layers.data();
  d.relative_buckets = model.buckets.data();
  if (d.num_relative_buckets > model.buckets.size()) d.num_relative_buckets = before.num_relative_buckets;
  if (d.data_bytes > before.data_bytes) d.data_bytes = before.data_bytes;
  if (d.num_layers > model.layers.size()) d.num_layers = static_cast<uint32_t>(model.layers.size());
  const bool sound = !edits && d.data;

  const char* const isas[] = {"avx512_vnni", "avx2"};
  setenv("LEANBERT_ISA", isas[in.below(2)], 1);
  char message[128] = "";
  lb_encoder* encoder = nullptr;
  const int status = lb_open(&d, &encoder, message, in.below(8) == 1 ? 5 : sizeof message);
  check((status == LB_OK) == (encoder != nullptr), "status and handle disagree");
  check(status != LB_OK || message[0] == 0, "a message without an error");
  check(status == LB_OK || message[0] != 0, "an error without a message");
  check(!sound || status == LB_OK, message);
  if (status != LB_OK) return 0;

  std::vector<int32_t> lengths, ids, types;
  const uint32_t texts = in.below(6);
  for (uint32_t i = 0; i < texts; i++) {
    const uint32_t n = in.below(4) ? 1 + in.below(7) : in.below(42);
    lengths.push_back(static_cast<int32_t>(n));
    for (uint32_t j = 0; j < n; j++) {
      ids.push_back(in.left() ? static_cast<int32_t>(in.byte()) - 1 : static_cast<int32_t>(j % 8));
      types.push_back(in.left() && in.below(16) == 1 ? 2 : static_cast<int32_t>(j & 1));
    }
  }
  uint64_t tokens = ids.size(), floats = lb_output_size(encoder, texts, tokens);
  const uint32_t lie = in.below(16);
  if (lie == 1) tokens++;
  if (lie == 2) floats--;
  const int32_t* kinds = in.below(2) ? types.data() : nullptr;
  if (floats <= 1u << 20) {
    std::vector<float> out(floats), alone(floats);  // NULL when empty: allowed then
    const int result =
        lb_run(encoder, texts, lengths.data(), tokens, ids.data(), kinds, out.data(), floats, message, sizeof message);
    if (result == LB_OK && sound && !lie) {
      size_t first = 0, place = 0;
      for (uint32_t i = 0; i < texts; i++) {
        const size_t n = static_cast<size_t>(lengths[i]);
        const uint64_t own = lb_output_size(encoder, 1, n);
        check(lb_run(encoder, 1, &lengths[i], n, ids.data() + first, kinds ? kinds + first : nullptr,
                     alone.data() + place, own, message, sizeof message) == LB_OK,
              message);
        first += n;
        place += own;
      }
      bool finite = true;
      for (float v : out) finite = finite && v - v == 0;
      check(!finite || out.empty() || std::memcmp(out.data(), alone.data(), out.size() * sizeof(float)) == 0,
            "other bits in company");
    }
  }
  lb_close(encoder);
  return 0;
}
