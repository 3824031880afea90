// What an instruction set offers to the encoder: one set of functions for each path, chosen when a handle is made.
//
// Layouts (the only place where they are stated):
//
//   int8 weights     panels of `panel` output columns, all K inputs of a panel in one piece, `group` k-values
//                    of a column adjacent, because that is what one multiply-add instruction consumes:
//
//                    panel p, step t:  | k=gt..gt+g-1 of column 0 | ... of column 1 | ... | column panel-1 |
//                    byte of W[k][n]:  (n/panel) * K * panel + (k/group) * group * panel + (n%panel) * group + k%group
//
//   f32 weights      the same with group = 1:  float (n/panel) * K * panel + k * panel + n%panel
//
//   quantized rows   u8 (or the same numbers in 16 bits, see `activation_bytes`), one row per token, rows
//                    `stride` bytes apart, with one f32 scale and one int32 zero point per row:
//                    x = scale * (q - zero)
#pragma once

#include <cstddef>
#include <cstdint>

namespace leanbert {

enum class Activation : uint32_t {
  identity = 0,
  gelu = 1,
  gelu_tanh = 2,
  relu = 3,
  tanh = 4,
  silu = 5
};  // as in the C interface

// y = x W + b. Weights in the layout of one path; every vector padded to a whole panel.
struct Matmul {
  const int8_t* weight = nullptr;       // packed, or null: then `weight_f32`
  const float* weight_f32 = nullptr;    // packed
  const int32_t* column_sum = nullptr;  // int32 [N]: sum over k of weight[k][n]
  const float* scale = nullptr;         // f32 [N]
  const float* bias = nullptr;          // f32 [N], zeros where the model has none
  const float* smoothing = nullptr;     // f32 [K], or null
  uint32_t k = 0, n = 0;                // as in the model
  uint32_t columns = 0;                 // n rounded up to whole panels

  bool present() const { return weight || weight_f32; }
  bool is_int8() const { return weight != nullptr; }
};

struct QuantizedRows {
  uint8_t* data = nullptr;
  size_t stride = 0;  // bytes
  float* scale = nullptr;
  int32_t* zero = nullptr;

  QuantizedRows from(size_t row) const { return {data + row * stride, stride, scale + row, zero + row}; }
};

enum class Store { plain, residual, activated, gated };

// One call computes columns [first_panel, last_panel) of `rows` rows:
//   plain      out  = x W + b
//   residual   out += x W + b
//   activated  out  = activation(x W + b), and range[row] collects 16 lanes of minima, 16 of maxima
//   gated      out *= activation(x W + b), and range[row] likewise
// Reads the quantized rows for int8 weights, the f32 rows for f32 weights.
struct MatmulCall {
  const Matmul* matmul;
  QuantizedRows input;
  const float* input_f32;
  size_t input_f32_stride;  // floats
  size_t rows;
  size_t first_panel, last_panel;
  float* out;         // row 0, column 0 of first_panel
  size_t out_stride;  // floats
  Store store;
  Activation activation;
  float* range;      // f32 [rows][32], start values set by the caller (reset_ranges)
  const void* next;  // what will be read afterwards: prefetched while the last panel computes; may be null
};

// The row of a relative embedding for each distance of two tokens. `straight` says where the rows of sixteen distances
// from there on follow one another. Both are defined for all distances in a text, and for 32 more at either end.
struct RowOfDistance {
  const int32_t* row = nullptr;  // of distance 0; negative indices are legal
  const uint8_t* straight = nullptr;
};

// What disentangled attention multiplies queries and keys by, of one head: tables packed by pack_relative.
struct RelativeHead {
  int16_t* keys = nullptr;
  int16_t* queries = nullptr;            // or null
  float key_scale = 0, query_scale = 0;  // for scores in powers of two
  size_t rows = 0;                       // padded to whole panels
  RowOfDistance after;                   // rows of `keys` by key - query, never falling
  RowOfDistance before;                  // rows of `queries` by query - key, never falling
};

// Attention of one head of one sequence: queries [0, queries) over keys [0, length).
struct AttentionCall {
  const float* q;  // row i at q + i * stride; k and v alike
  const float* k;
  const float* v;
  size_t stride;  // floats
  size_t length;
  size_t queries;
  size_t width;  // floats of a head
  float* out;    // row i at out + i * out_stride
  size_t out_stride;
  float scale;                             // log2(e) / sqrt(width): the softmax works in powers of two
  float* scratch;                          // attention_scratch floats, 64-byte aligned
  size_t window = 0;                       // attention_window: keys at most that far away
  const float* bias = nullptr;             // attention_biased: what is added for key - query, in powers of two
  const RelativeHead* relative = nullptr;  // attention_disentangled; its scratch is relative_scratch floats larger
};

using Attention = void (*)(const AttentionCall&);

struct Kernels {
  const char* name;
  bool (*runs_here)();      // on this CPU and operating system
  size_t panel;             // columns of a weight panel
  size_t group;             // k-values side by side
  size_t activation_bytes;  // of one quantized activation: 1, or 2 where the matmuls work on 16 bits
  uint8_t activation_flip;  // what a stored activation is XORed with: 0x80 makes q - 128 of it, where s8 is multiplied
  size_t block_rows;        // rows of a full register block

  void (*matmul)(const MatmulCall&);
  // Row operations, each on one row of n floats (n a multiple of 16). What is quantized is x * smoothing, or x where
  // smoothing is null.
  void (*quantize)(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row);
  void (*quantize_ranged)(const float* x, size_t n, const float* ranges, size_t range_stride, size_t count,
                          const QuantizedRows& out, size_t row);
  void (*layer_norm)(float* x, size_t n, const float* gamma, const float* beta, float eps);
  void (*layer_norm_quantize)(float* x, size_t n, const float* gamma, const float* beta, float eps,
                              const float* smoothing, const QuantizedRows& out, size_t row);
  // out = the mean of `count` rows, added in their order
  void (*mean)(float* out, const float* rows, size_t stride, size_t count, size_t n);
  void (*activate)(float* x, size_t n, Activation activation);
  // out = word (+ position) (+ token type), null where there is none; int8 rows have a scale, f32 rows ignore it
  void (*embed)(float* out, size_t n, const void* word, bool word_int8, float word_scale, const void* position,
                bool position_int8, float position_scale, const float* token_type);
  // rotary positions: `heads` adjacent heads of one token, cosines and sines of half a head
  void (*rotate)(float* x, size_t heads, size_t width, const float* cosines, const float* sines);
  Attention attention;
  Attention attention_int16;                                 // 16-bit operands, exact sums: beside int8 matmuls
  size_t (*attention_scratch)(size_t length, size_t width);  // floats
  // with 16-bit operands alone; attention_relative.h
  Attention attention_window, attention_biased, attention_disentangled;
  size_t (*relative_scratch)(size_t length, size_t rows);  // floats
  // f32 rows -> int16 [rows up to 32][width] as keys are packed, returns their scale
  float (*pack_relative)(const float* x, size_t rows, size_t width, int16_t* out);
  double (*roof)(double seconds);  // int8 operations per second of one thread, measured
};

constexpr size_t range_floats = 32;  // 16 lanes of minima, 16 lanes of maxima

// The paths of this build, the preferred ones first, ended by null.
extern const Kernels* const all_kernels[];

// The path for this CPU, or for the name in LEANBERT_ISA: of the paths from that name on the first that the CPU has.
// Null and a reason if there is none.
const Kernels* choose_kernels(const char* forced, const char** why_not);

}  // namespace leanbert
