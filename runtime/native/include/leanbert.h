/* LeanBERT as a C library: text in, answers out.
 *
 * A model is opened from a bundle, the directory that `leanbert export` writes. The library reads and checks the bundle
 * itself, tokenizes the text and computes the answers; it needs neither Python nor ONNX Runtime. It computes bundles
 * that have a layout for the native engine and a WordPiece tokenizer (BERT, MiniLM, DistilBERT, ELECTRA, MPNet); others
 * it refuses in one line. The scores are the same 32 bits as those of LeanBERT's Python pipelines.
 *
 *     leanbert_model *model;  char message[LEANBERT_MESSAGE_SIZE];
 *     if (leanbert_open("bundle", NULL, &model, message, sizeof message) != LEANBERT_OK) puts(message);
 *     const char *texts[] = {"Operating profit rose to EUR 13.1 mn."};  float scores[3];
 *     leanbert_classify(model, NULL, 1, texts, NULL, scores, 3, NULL, message, sizeof message);
 *     printf("%s %.2f\n", leanbert_label(model, 0), scores[0]);
 *     leanbert_close(model);
 *
 * Threads: every function may be called from any thread. Any number of threads may use one model at once; only
 * leanbert_close must come alone, after all other calls with that model have returned. A model goes on working in a
 * forked child. There is no global state: nothing is initialized, and errors belong to the call that returned them.
 *
 * Errors: a function that can fail returns a status (LEANBERT_OK is 0) and writes one line in UTF-8, ended by NUL, to
 * `message`, if that is not NULL; a line that does not fit is cut between two characters. After success it holds an
 * empty line. Nothing throws, aborts, prints or sets a locale, a signal handler or the environment.
 *
 * Text is UTF-8. `texts` has `count` pointers. `sizes` has their lengths in bytes; where it is NULL, each text ends at
 * its first NUL. Invalid UTF-8 is read as Python's errors="replace" reads it: each wrong sequence counts as one U+FFFD.
 * A text that has more tokens than leanbert_max_tokens is cut, as the pipelines cut it; `cut`, if it is not NULL, has
 * `count` bytes, which become 1 for such texts and 0 for all others. Strings that go in and come out are UTF-8, paths
 * among them, on Windows too.
 *
 * ABI: within one LEANBERT_ABI_VERSION functions and values stay as they are, new ones may come, and structures grow at
 * their end alone. A structure begins with its size, which the caller sets; the library reads and writes no more than
 * that. A program that was built with an older header of the same version runs with every later library of it. The
 * version is the number in the library's name (libleanbert.so.1).
 */
#ifndef LEANBERT_H
#define LEANBERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(LEANBERT_BUILD)
#define LEANBERT_API
#elif defined(_WIN32)
#define LEANBERT_API __declspec(dllexport)
#else
#define LEANBERT_API __attribute__((visibility("default")))
#endif

#define LEANBERT_ABI_VERSION 1

/* Bytes of a buffer that holds every line that is worth reading whole. Smaller ones are allowed. */
#define LEANBERT_MESSAGE_SIZE 512

/* ---- status -------------------------------------------------------------------------------------- */
/* Later libraries may return other numbers: whatever is not LEANBERT_OK is an error. */
enum {
  LEANBERT_OK = 0,
  LEANBERT_INVALID_ARGUMENT = 1, /* a call: a null pointer, a size or a number out of range, another task's function */
  LEANBERT_NOT_FOUND = 2,        /* the directory, or a file of the bundle, is not there */
  LEANBERT_CORRUPT = 3,          /* a file is not what the manifest says, or is malformed */
  LEANBERT_UNSUPPORTED = 4,      /* a sound bundle that this library, or this CPU, cannot compute */
  LEANBERT_NO_MEMORY = 5,
  LEANBERT_FAILED = 6 /* the system cannot read a file, or the model gave numbers that are not finite */
};

/* ---- models -------------------------------------------------------------------------------------- */
typedef struct leanbert_model leanbert_model;

typedef struct leanbert_options {
  uint32_t struct_size; /* sizeof(leanbert_options) */
  /* Threads of one call, the caller's own included, 1 to 64. 0 is 1: the library then starts no thread. */
  uint32_t threads;
} leanbert_options;

/* Opens the bundle in `directory`. `options` may be NULL. Checks the manifest, and the sha256 of each file that it
 * reads. On success *model is a new model, else NULL. */
LEANBERT_API int leanbert_open(const char* directory, const leanbert_options* options, leanbert_model** model,
                               char* message, size_t message_size);

/* Frees the model, and every string that it gave. NULL is allowed. */
LEANBERT_API void leanbert_close(leanbert_model* model);

/* "text-classification", "token-classification" or "feature-extraction". */
LEANBERT_API const char* leanbert_task(const leanbert_model* model);

/* How many labels there are: scores of each text in leanbert_classify. 0 for feature-extraction. */
LEANBERT_API size_t leanbert_label_count(const leanbert_model* model);

/* The name of a label, in the order of the scores; NULL where there is none of that number. */
LEANBERT_API const char* leanbert_label(const leanbert_model* model, size_t label);

/* The longest text in tokens, special tokens included. */
LEANBERT_API size_t leanbert_max_tokens(const leanbert_model* model);

/* Numbers of a vector that leanbert_embed makes with these options; 0 for other tasks. */
struct leanbert_embed_options;
LEANBERT_API size_t leanbert_vector_size(const leanbert_model* model, const struct leanbert_embed_options* options);

/* The kernels that run on this CPU: "avx512_vnni", "avx2", "neon_dotprod"… */
LEANBERT_API const char* leanbert_kernels(const leanbert_model* model);

/* ---- text-classification ------------------------------------------------------------------------- */
/* From logits to scores. */
enum {
  LEANBERT_FUNCTION_BUNDLE = 0, /* what the bundle's config.json asks for */
  LEANBERT_FUNCTION_SOFTMAX = 1,
  LEANBERT_FUNCTION_SIGMOID = 2,
  LEANBERT_FUNCTION_NONE = 3 /* the logits themselves */
};

typedef struct leanbert_classify_options {
  uint32_t struct_size; /* sizeof(leanbert_classify_options) */
  uint32_t function;    /* LEANBERT_FUNCTION_… */
} leanbert_classify_options;

/* The scores of all labels for each text. `options` may be NULL.
 *   scores       f32 [count][labels], in the order of leanbert_label
 *   scores_size  count * labels, checked
 * The scores of a text are the same bits whatever else is in the call, at any number of threads, on every CPU. After an
 * error `scores` holds nothing of use. */
LEANBERT_API int leanbert_classify(const leanbert_model* model, const leanbert_classify_options* options, size_t count,
                                   const char* const* texts, const size_t* sizes, float* scores, size_t scores_size,
                                   uint8_t* cut, char* message, size_t message_size);

/* ---- token-classification ------------------------------------------------------------------------ */
/* How tokens become entities: transformers' aggregation_strategy. */
enum {
  LEANBERT_AGGREGATION_NONE = 0, /* every token that is not labelled "O", by itself */
  LEANBERT_AGGREGATION_SIMPLE = 1,
  LEANBERT_AGGREGATION_FIRST = 2,   /* a word has the label of its first token, */
  LEANBERT_AGGREGATION_AVERAGE = 3, /* of the mean of its tokens' scores, */
  LEANBERT_AGGREGATION_MAX = 4      /* or of its surest token */
};

typedef struct leanbert_tag_options {
  uint32_t struct_size; /* sizeof(leanbert_tag_options) */
  uint32_t aggregation; /* LEANBERT_AGGREGATION_… */
} leanbert_tag_options;

typedef struct leanbert_entity {
  uint32_t struct_size; /* sizeof(leanbert_entity), set by the caller of leanbert_tags_get */
  float score;
  const char* label; /* "B-ORG" without aggregation, else "ORG"; lives as long as the model */
  size_t begin;      /* the first of its bytes in the caller's text, */
  size_t end;        /* and the one after its last */
  size_t token;      /* its number among the text's tokens, special tokens included; of an entity its first one's */
} leanbert_entity;

/* The entities of some texts. */
typedef struct leanbert_tags leanbert_tags;

/* Finds the entities of each text; those labelled "O" are left out. `options` may be NULL: no aggregation, as the
 * pipeline's default. On success *tags is a new object, else NULL. */
LEANBERT_API int leanbert_tag(const leanbert_model* model, const leanbert_tag_options* options, size_t count,
                              const char* const* texts, const size_t* sizes, leanbert_tags** tags, uint8_t* cut,
                              char* message, size_t message_size);

/* How many entities a text has; 0 where there is no text of that number. */
LEANBERT_API size_t leanbert_tags_count(const leanbert_tags* tags, size_t text);

/* One of them, in the order of the text. */
LEANBERT_API int leanbert_tags_get(const leanbert_tags* tags, size_t text, size_t number, leanbert_entity* entity);

/* NULL is allowed. */
LEANBERT_API void leanbert_tags_free(leanbert_tags* tags);

/* ---- feature-extraction -------------------------------------------------------------------------- */
/* From the vectors of a text's tokens to one vector. */
enum {
  LEANBERT_POOLING_BUNDLE =
      0, /* what the bundle's sentence-transformers files say, prompt and normalization included */
  LEANBERT_POOLING_MEAN = 1,
  LEANBERT_POOLING_CLS = 2, /* the first token's */
  LEANBERT_POOLING_MAX = 3  /* the largest value of each dimension */
};

typedef struct leanbert_embed_options {
  uint32_t struct_size; /* sizeof(leanbert_embed_options) */
  uint32_t pooling;     /* LEANBERT_POOLING_… */
  uint32_t normalize;   /* 1: scale each vector to length 1, after all else; 0: as the pooling gives it */
} leanbert_embed_options;

/* One vector for each text. `options` may be NULL: all as the bundle says.
 *   vectors       f32 [count][leanbert_vector_size]
 *   vectors_size  count * leanbert_vector_size, checked
 * After an error `vectors` holds nothing of use. */
LEANBERT_API int leanbert_embed(const leanbert_model* model, const leanbert_embed_options* options, size_t count,
                                const char* const* texts, const size_t* sizes, float* vectors, size_t vectors_size,
                                uint8_t* cut, char* message, size_t message_size);

/* ---- library ------------------------------------------------------------------------------------- */
/* LEANBERT_ABI_VERSION of the library. */
LEANBERT_API uint32_t leanbert_abi_version(void);

/* "major.minor.patch" of the library. */
LEANBERT_API const char* leanbert_version(void);

#ifdef __cplusplus
}
#endif

#endif
