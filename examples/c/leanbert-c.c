/* leanbert-c: answers of a LeanBERT bundle for texts on the command line, or for the lines of its input.
 *
 *     cc leanbert-c.c $(pkg-config --cflags --libs leanbert) -o leanbert-c
 *     ./leanbert-c BUNDLE "Operating profit rose to EUR 13.1 mn."
 *     positive 0.9962  neutral 0.0032  negative 0.0006
 *
 * A classifier gives one line per text with all labels, best first; a tagger one line per entity; an embedding model one
 * line per text with the numbers of its vector.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leanbert.h"

static char message[LEANBERT_MESSAGE_SIZE];

static int fail(const char* line) {
  fprintf(stderr, "leanbert-c: %s\n", line);
  return 1;
}

static int classify(const leanbert_model* model, const char* text) {
  const size_t labels = leanbert_label_count(model);
  float* scores = malloc(labels * sizeof *scores);
  if (!scores) return fail("out of memory");
  int status = leanbert_classify(model, NULL, 1, &text, NULL, scores, labels, NULL, message, sizeof message);
  for (size_t shown = 0; status == LEANBERT_OK && shown < labels; shown++) {
    size_t best = 0;
    for (size_t i = 1; i < labels; i++)
      if (scores[i] > scores[best]) best = i;
    printf("%s%s %.4f", shown ? "  " : "", leanbert_label(model, best), scores[best]);
    scores[best] = -1e30f;
  }
  if (status == LEANBERT_OK) putchar('\n');
  free(scores);
  return status == LEANBERT_OK ? 0 : fail(message);
}

static int tag(const leanbert_model* model, const char* text) {
  const leanbert_tag_options options = {sizeof options, LEANBERT_AGGREGATION_SIMPLE};
  leanbert_tags* tags;
  if (leanbert_tag(model, &options, 1, &text, NULL, &tags, NULL, message, sizeof message) != LEANBERT_OK)
    return fail(message);
  for (size_t i = 0; i < leanbert_tags_count(tags, 0); i++) {
    leanbert_entity entity = {.struct_size = sizeof entity};
    if (leanbert_tags_get(tags, 0, i, &entity) != LEANBERT_OK) break;
    printf("%s %.4f %.*s\n", entity.label, entity.score, (int)(entity.end - entity.begin), text + entity.begin);
  }
  leanbert_tags_free(tags);
  return 0;
}

static int embed(const leanbert_model* model, const char* text) {
  leanbert_embed_options options = {.struct_size = sizeof options};
  const size_t size = leanbert_vector_size(model, &options);
  float* vector = malloc(size * sizeof *vector);
  if (!vector) return fail("out of memory");
  int status = leanbert_embed(model, &options, 1, &text, NULL, vector, size, NULL, message, sizeof message);
  if (status == LEANBERT_INVALID_ARGUMENT) { /* a bundle that does not say how it pools */
    options.pooling = LEANBERT_POOLING_MEAN;
    status = leanbert_embed(model, &options, 1, &text, NULL, vector, size, NULL, message, sizeof message);
  }
  for (size_t i = 0; status == LEANBERT_OK && i < size; i++) printf(i + 1 < size ? "%.6g " : "%.6g\n", vector[i]);
  free(vector);
  return status == LEANBERT_OK ? 0 : fail(message);
}

static int answer(const leanbert_model* model, const char* text) {
  const char* task = leanbert_task(model);
  if (strcmp(task, "text-classification") == 0) return classify(model, text);
  return strcmp(task, "token-classification") == 0 ? tag(model, text) : embed(model, text);
}

int main(int argc, char** argv) {
  if (argc < 2) return fail("usage: leanbert-c BUNDLE [TEXT]...");
  if (leanbert_abi_version() != LEANBERT_ABI_VERSION) return fail("the library has another interface");
  leanbert_model* model;
  if (leanbert_open(argv[1], NULL, &model, message, sizeof message) != LEANBERT_OK) return fail(message);
  int failed = 0;
  for (int i = 2; i < argc && !failed; i++) failed = answer(model, argv[i]);
  char line[65536];
  while (argc == 2 && !failed && fgets(line, sizeof line, stdin)) {
    const size_t end = strcspn(line, "\r\n");
    if (end + 1 == sizeof line) {
      failed = fail("a line has more than 65534 bytes");
      break;
    }
    line[end] = 0;
    failed = answer(model, line);
  }
  leanbert_close(model);
  return failed;
}
