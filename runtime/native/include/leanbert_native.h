/* LeanBERT's native int8 encoder, and its tokenizer: the whole C interface.
 *
 * The layout of a bundle's weights file is given as flat records (the caller reads the manifest; nothing is
 * parsed here). `lb_open` checks every record, packs the weights for the CPU at hand and returns a handle;
 * `lb_run` computes a ragged batch of token ids; `lb_close` frees the handle.
 *
 *     lb_model_desc desc = {0};
 *     desc.struct_size = sizeof desc;  desc.layer_size = sizeof(lb_layer);
 *     desc.path = "model.onnx.data";   ...sizes, records...
 *     lb_encoder *encoder;  char message[256];
 *     if (lb_open(&desc, &encoder, message, sizeof message) != LB_OK) ...
 *     lb_run(encoder, 2, lengths, ids, NULL, 40, out, out_floats, message, sizeof message);
 *     lb_close(encoder);
 *
 * Token ids may come from `lb_tokenize`, for the WordPiece tokenizers that it reproduces exactly; it knows nothing
 * of encoders, and an encoder takes ids of any origin.
 *
 * Every function is safe to call from any thread; `lb_run` may be called on one handle by any number of
 * threads at once (not concurrently with `lb_close`). A handle keeps working in a forked child.
 * Nothing throws, aborts or prints. All numbers are little-endian, all tensors row-major and contiguous.
 */
#ifndef LEANBERT_NATIVE_H
#define LEANBERT_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(LEANBERT_NATIVE_BUILD)
#define LB_API
#elif defined(_WIN32)
#define LB_API __declspec(dllexport)
#else
#define LB_API __attribute__((visibility("default")))
#endif

/* Raised whenever a struct or a function below changes its meaning or layout; a new function leaves it as it is. */
#define LB_ABI_VERSION 3

/* ---- status -------------------------------------------------------------------------------------- */
enum {
  LB_OK = 0,
  LB_INVALID_ARGUMENT = 1, /* a call: an id, a type, a length or a buffer size out of range */
  LB_INVALID_MODEL = 2,    /* a description that contradicts itself or its file */
  LB_UNSUPPORTED = 3,      /* a sound description that these kernels do not cover: use another engine */
  LB_NO_ISA = 4,           /* the CPU has neither AVX-512 VNNI nor AVX2+FMA, or LEANBERT_ISA is unknown */
  LB_NO_MEMORY = 5,
  LB_IO = 6 /* the weights file cannot be opened or read */
};

/* ---- records ------------------------------------------------------------------------------------- */
enum { LB_ABSENT = 0, LB_INT8 = 1, LB_FLOAT32 = 2 }; /* lb_tensor.dtype */

/* One tensor in the weights file. `bytes` must equal rows * cols * size of dtype; a float32 tensor's
 * offset must be a multiple of 4. A vector of n numbers is rows = 1, cols = n. All zero: absent. */
typedef struct lb_tensor {
  uint64_t offset; /* from the file's (or the buffer's) first byte */
  uint64_t bytes;
  uint32_t dtype; /* LB_ABSENT, LB_INT8, LB_FLOAT32 */
  uint32_t rows;
  uint32_t cols;
  uint32_t reserved; /* 0 */
} lb_tensor;

/* y = x W + b, K = W.rows inputs, N = W.cols outputs.
 * weight int8 [K, N] symmetric with scale f32 [N], or weight f32 [K, N] without scale.
 * bias f32 [n] of the first n columns, 1 <= n <= N, 0 for the rest; or absent.
 * smoothing f32 [K] or absent, int8 weights only: x is multiplied by it, element by element, before its range is taken
 * and it is quantized (the weights hold the inverse). Not on ffn_down. */
typedef struct lb_matmul {
  lb_tensor weight;
  lb_tensor scale;
  lb_tensor bias;
  lb_tensor smoothing;
} lb_matmul;

/* Layer normalization over the last axis; gamma, beta f32 [width]. An absent beta is all zeros. */
typedef struct lb_norm {
  lb_tensor gamma;
  lb_tensor beta;
} lb_norm;

/* One encoder layer. Layers may repeat the same records (ALBERT): packed once.
 *   post-LN:  x = attention_norm(x + attention(x));  x = ffn_norm(x + ffn(x))
 *   pre_norm: x = x + attention(attention_norm(x));  x = x + ffn(ffn_norm(x))
 * where ffn(x) = ffn_down(activation(ffn_up(x))). In a gated network ffn_up has two halves of F columns, and
 * ffn(x) = ffn_down(activation(first half) * second half). */
typedef struct lb_layer {
  lb_matmul query;            /* absent; or [H, H], and then qkv is K | V */
  lb_matmul qkv;              /* [H, 3H], columns Q | K | V, heads side by side in each; [H, 2H] beside a query, and
                                  if both are int8 the two have the same smoothing */
  lb_matmul attention_output; /* [H, H] */
  lb_norm attention_norm;     /* may be absent with pre_norm: attention then reads x as it is */
  lb_matmul ffn_up;           /* [H, F]; [H, 2F] in a gated network */
  lb_matmul ffn_down;         /* [F, H] */
  lb_norm ffn_norm;
  lb_tensor position_key;   /* f32 [rows, H], times the scale of scores; in every layer or in none */
  lb_tensor position_query; /* f32 [rows, H], as well; or absent */
  uint32_t window;          /* a token attends to tokens at most that far away; 0: to every token of its text */
  uint32_t rotary; /* 0: queries and keys stay as they are; 1 or 2: they are rotated by rotary_cos[rotary - 1] */
} lb_layer;

/* Activations. */
enum {
  LB_IDENTITY = 0,
  LB_GELU = 1,      /* x/2 (1 + erf(x / sqrt 2)) */
  LB_GELU_TANH = 2, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
  LB_RELU = 3,
  LB_TANH = 4, /* heads only */
  LB_SILU = 5  /* x / (1 + exp(-x)) */
};

/* Positions. A model has position embeddings, rotary tables, or relative positions; at least one of them.
 *
 *   rotary    each half pair (x[c], x[c + width/2]) of a head's query or key at position p is turned by the angle whose
 *             cosine and sine stand in row p, column c of the tables
 *   relative  row(d) of a key d tokens behind the query (before it: d < 0) is relative_buckets[d + D], where the list has
 *             2D + 1 entries and its ends hold for all that is further away. Either
 *             relative_bias[row(d)][head] is added to the scaled scores, or
 *             q position_key[row(d)] + k position_query[row(d)] is added, the part of each head (disentangled attention);
 *             q k is then divided by sqrt(width * (1 + the number of these tables)). The list must not rise. */

/* lb_model_desc.head */
enum {
  /* out [tokens, H]: last_hidden_state, tokens packed in the order of the call */
  LB_HEAD_NONE = 0,
  /* out [sequences, labels]: dense (optional) + activation + norm (optional) + classifier on each first token */
  LB_HEAD_FIRST_TOKEN = 1,
  /* out [tokens, labels]: dense (optional) + activation + norm (optional) + classifier on each token */
  LB_HEAD_EVERY_TOKEN = 2,
  /* out [sequences, labels]: the same as for a first token, of the mean of each text's tokens */
  LB_HEAD_MEAN = 3
};

typedef struct lb_model_desc {
  uint32_t struct_size; /* sizeof(lb_model_desc), checked */
  uint32_t layer_size;  /* sizeof(lb_layer), checked */

  /* Where the tensors are: either a file (read by lb_open, and never looked at again) or, with path NULL,
   * a buffer that must outlive the handle. */
  const char* path;
  const void* data;
  uint64_t data_bytes; /* of the buffer; ignored with a path */

  uint32_t threads; /* workers of one call, 1 to 64, the caller's own thread included */

  uint32_t hidden_size;         /* H: a multiple of 32, at most 4096 */
  uint32_t num_attention_heads; /* H / heads: 16 to 128, a multiple of 8 */
  uint32_t intermediate_size;   /* F: a multiple of 32, at most 16384 */
  uint32_t embedding_size;      /* E: a multiple of 32; equals H unless there is a projection */
  uint32_t vocab_size;          /* V */
  uint32_t max_positions;       /* rows of the position embedding; without one the longest text */
  uint32_t position_offset;     /* first position used: 0, RoBERTa: padding_idx + 1 */
  uint32_t type_vocab_size;     /* rows of the token type embedding, 0 if absent */
  uint32_t activation;          /* of ffn_up: LB_GELU, LB_GELU_TANH, LB_RELU, LB_SILU */
  float layer_norm_eps;

  /* Embeddings: word + position + token type, then norm, then (optional) projection [E, H]. */
  lb_tensor word;           /* int8 [V, E] with word_scale f32 [V], or f32 [V, E] */
  lb_tensor word_scale;     /* one scale per row */
  lb_tensor position;       /* int8 [P, E] with position_scale f32 [P], or f32 [P, E]; or absent */
  lb_tensor position_scale; /* one scale per row */
  lb_tensor token_type;     /* f32 [types, E] or absent */
  lb_norm embedding_norm;
  lb_matmul projection; /* [E, H] or absent */

  uint32_t head;            /* LB_HEAD_… */
  uint32_t head_activation; /* after head_dense: any of them */
  lb_matmul head_dense;     /* [H, S] or absent; S, the head's size, is H or embedding_size */
  lb_norm head_norm;        /* after the activation, or absent */
  lb_matmul classifier;     /* [S, labels]: few labels, or a vocabulary in int8; without head_dense S is H */

  uint32_t pre_norm;  /* 1: norms stand before attention and network (lb_layer), and final_norm ends the encoder */
  uint32_t gated;     /* 1: gated networks (lb_layer) */
  lb_norm final_norm; /* with pre_norm alone */

  lb_tensor rotary_cos[2]; /* f32 [P, width / 2] or absent; width = H / heads */
  lb_tensor rotary_sin[2];
  lb_tensor relative_bias; /* f32 [rows, heads] or absent */

  uint32_t num_layers;              /* 1 to 256 */
  uint32_t num_relative_buckets;    /* 2D + 1 as said above, 0 without relative positions */
  const lb_layer* layers;           /* num_layers of them; not kept */
  const uint32_t* relative_buckets; /* num_relative_buckets of them; not kept */
} lb_model_desc;

typedef struct lb_encoder lb_encoder;

/* ---- functions ----------------------------------------------------------------------------------- */

/* Checks the description, reads the file, packs the weights. On success *encoder is a new handle; else it
 * is NULL and `err` (may be NULL) holds one NUL-terminated line. Starts no thread: that is done by the
 * first lb_run that can use one. */
LB_API int lb_open(const lb_model_desc* desc, lb_encoder** encoder, char* err, size_t err_len);

/* Frees everything; NULL is allowed. */
LB_API void lb_close(lb_encoder* encoder);

/* Encodes n_sequences texts.
 *   lengths         int32 [n_sequences], each 1 .. max_positions - position_offset
 *   input_ids       int32 [n_tokens], the texts' ids one after another, no padding; n_tokens = sum of lengths
 *   token_type_ids  int32 [n_tokens] or NULL (all 0)
 *   out             f32 [out_floats], out_floats exactly as lb_output_size says
 * All inputs are checked before anything is computed; on an error `out` is untouched. n_sequences = 0 is
 * allowed. The answer for a text is the same bits whatever else is in the call, in any order, at any
 * number of threads. */
LB_API int lb_run(lb_encoder* encoder, uint64_t n_sequences, const int32_t* lengths, uint64_t n_tokens,
                  const int32_t* input_ids, const int32_t* token_type_ids, float* out, uint64_t out_floats, char* err,
                  size_t err_len);

/* Floats that lb_run writes for a batch of that many texts and tokens. */
LB_API uint64_t lb_output_size(const lb_encoder* encoder, uint64_t n_sequences, uint64_t n_tokens);

/* Name of the kernels that a handle runs: "avx512_vnni", "avx_vnni" or "avx2". */
LB_API const char* lb_encoder_isa(const lb_encoder* encoder);

/* Name of the kernels that lb_open would choose now, LEANBERT_ISA considered, or "none" if the CPU has none of
 * them or the variable is unknown. A forced name is capped at what the CPU has: LEANBERT_ISA=avx512_vnni on an
 * AVX2 machine gives avx2. */
LB_API const char* lb_isa(void);

/* The roof of one thread: int8 operations per second (a multiply-add is two) that the register block of lb_isa's
 * kernels reaches on operands in the first-level cache, the best of many short runs within `seconds`. Every thread
 * that is to count calls it at the same time. 0 where lb_isa is "none". */
LB_API double lb_roof(double seconds);

/* ---- logits to scores ------------------------------------------------------------------------------ */

enum { LB_SOFTMAX = 0, LB_SIGMOID = 1 }; /* of each row, of each logit */

/* Scores of n_rows rows of n_labels logits each, with the same bits on every CPU and system.
 *   logits     f32 [n_rows][n_labels]; at most 2^20 labels
 *   scores     f32 [n_rows][n_labels]; not the same memory as `logits`
 *   unsound    how many rows have a logit that is NaN or infinite; every score of such a row is NaN */
LB_API int lb_scores(uint32_t function, uint64_t n_rows, uint64_t n_labels, const float* logits, float* scores,
                     uint64_t* unsound, char* err, size_t err_len);

/* ---- texts to token ids --------------------------------------------------------------------------- */

/* A WordPiece tokenizer (BERT, MiniLM, DistilBERT, ELECTRA, MPNet). It never changes, so any number of threads may
 * use it at once (not concurrently with lb_tokenizer_close), and a forked child, too. */
typedef struct lb_tokenizer lb_tokenizer;

/* Reads the bytes of a tokenizer.json, and of the tokenizer_config.json beside it (`config_bytes` 0 where there is
 * none), whose word is the last. Nothing of them is kept. LB_UNSUPPORTED, with one line in `err` (may be NULL), where
 * a file is wrong or says anything that this tokenizer would not do exactly as the `tokenizers` package does it. */
LB_API int lb_tokenizer_open(const char* tokenizer_json, uint64_t json_bytes, const char* config_json,
                             uint64_t config_bytes, lb_tokenizer** tokenizer, char* err, size_t err_len);

/* Frees everything; NULL is allowed. */
LB_API void lb_tokenizer_close(lb_tokenizer* tokenizer);

/* How many special tokens are put around a text. */
LB_API uint64_t lb_tokenizer_special_tokens(const lb_tokenizer* tokenizer);

/* Tokenizes n_texts texts, each alone, special tokens added; long ones are cut on the side that the files say.
 *   texts           UTF-8, one text after another; what is no UTF-8 reads as U+FFFD
 *   ends            uint64 [n_texts]: where each text ends, in bytes from the first one; they never decrease
 *   max_tokens      of a text, special tokens included; more than lb_tokenizer_special_tokens
 *   input_ids       int32 [room]: the texts' ids one after another, no padding. Two per byte of a text and the
 *                   special tokens, or max_tokens where that is less, are room enough for a text
 *   token_type_ids  int32 [room], likewise
 *   lengths         int32 [n_texts]: tokens of each text
 *   cut             uint8 [n_texts]: 1 where a text has more tokens than were kept, else 0
 * On an error what was written means nothing. */
LB_API int lb_tokenize(const lb_tokenizer* tokenizer, uint64_t n_texts, const char* texts, const uint64_t* ends,
                       uint64_t max_tokens, uint64_t room, int32_t* input_ids, int32_t* token_type_ids,
                       int32_t* lengths, uint8_t* cut, char* err, size_t err_len);

/* ---- the library itself --------------------------------------------------------------------------- */

/* LB_ABI_VERSION of the library. */
LB_API uint32_t lb_abi_version(void);

/* "major.minor.patch" of the library. */
LB_API const char* lb_version(void);

#ifdef __cplusplus
}
#endif

#endif
