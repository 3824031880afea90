// The border of the C library: nothing but numbers, pointers and lines crosses it, and no exception.
#include "leanbert.h"

#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>

#include "library/answering.h"
#include "library/failure.h"

using leanbert::library::Aggregation;
using leanbert::library::Answering;
using leanbert::library::Entity;
using leanbert::library::Failure;
using leanbert::library::Texts;

struct leanbert_model {
  Answering answering;
};

struct leanbert_tags {
  std::vector<std::vector<Entity>> texts;
};

namespace {

void write(std::string_view line, char* message, std::size_t size) {
  if (!message || !size) return;
  const std::size_t bytes = leanbert::library::fitting(line, size);
  std::memcpy(message, line.data(), bytes);
  message[bytes] = 0;
}

// Runs `work`, and turns what it throws into a status and a line.
template <class Work>
int guarded(char* message, std::size_t size, const Work& work) noexcept {
  try {
    write("", message, size);
    work();
    return LEANBERT_OK;
  } catch (const Failure& failure) {
    write(failure.line, message, size);
    return failure.status;
  } catch (const std::bad_alloc&) {
    write("out of memory", message, size);
    return LEANBERT_NO_MEMORY;
  } catch (const std::length_error&) {
    write("out of memory", message, size);
    return LEANBERT_NO_MEMORY;
  } catch (const std::exception& error) {
    write(error.what(), message, size);
    return LEANBERT_FAILED;
  } catch (...) {
    write("an unknown error", message, size);
    return LEANBERT_FAILED;
  }
}

Failure invalid(const std::string& line) { return {LEANBERT_INVALID_ARGUMENT, line}; }

void need(const void* pointer, const char* name) {
  if (!pointer) throw invalid(std::string(name) + " is NULL");
}

// The caller's structure in the form of this library: what an older caller lacks is 0; of what a newer one has more, only
// zeros are understood.
template <class Struct>
Struct read_options(const Struct* given) {
  Struct options{};
  if (!given) return options;
  const std::size_t size = given->struct_size;
  if (size < sizeof given->struct_size || size > 4096)
    throw invalid("struct_size of the options is " + std::to_string(size) + "; set it to their sizeof");
  std::memcpy(&options, given, size < sizeof options ? size : sizeof options);
  const char* bytes = reinterpret_cast<const char*>(given);
  for (std::size_t i = sizeof options; i < size; i++)
    if (bytes[i]) throw invalid("the options ask for something that only a newer library does");
  return options;
}

std::uint32_t below(std::uint32_t value, std::uint32_t count, const char* name) {
  if (value >= count)
    throw invalid(std::string(name) + " is " + std::to_string(value) + "; expected 0 to " + std::to_string(count - 1));
  return value;
}

Texts texts_of(const leanbert_model* model, std::size_t count, const char* const* texts, const std::size_t* sizes,
               std::uint8_t* cut) {
  need(model, "model");
  if (count) need(texts, "texts");
  return {count, texts, sizes, cut};
}

void check_size(std::size_t given, std::size_t count, std::size_t each, const float* out, const char* name) {
  if (each && count > SIZE_MAX / sizeof(float) / each)
    throw invalid("count is " + std::to_string(count) + ", too large");
  if (given != count * each)
    throw invalid(std::string(name) + " has room for " + std::to_string(given) + " numbers, " + std::to_string(count) +
                  " texts need " + std::to_string(count * each));
  if (given) need(out, name);
}

}  // namespace

extern "C" {

int leanbert_open(const char* directory, const leanbert_options* options, leanbert_model** model, char* message,
                  size_t message_size) {
  return guarded(message, message_size, [&] {
    need(model, "model");
    *model = nullptr;
    need(directory, "directory");
    const leanbert_options chosen = read_options(options);
    if (chosen.threads > 64) throw invalid("threads is " + std::to_string(chosen.threads) + "; expected 0 to 64");
    *model = new leanbert_model{Answering(directory, chosen.threads ? chosen.threads : 1)};
  });
}

void leanbert_close(leanbert_model* model) { delete model; }

const char* leanbert_task(const leanbert_model* model) {
  if (!model) return nullptr;
  return leanbert::library::name_of(model->answering.bundle().task);
}

size_t leanbert_label_count(const leanbert_model* model) { return model ? model->answering.bundle().labels.size() : 0; }

const char* leanbert_label(const leanbert_model* model, size_t label) {
  return label < leanbert_label_count(model) ? model->answering.bundle().labels[label].c_str() : nullptr;
}

size_t leanbert_max_tokens(const leanbert_model* model) { return model ? model->answering.bundle().max_length : 0; }

size_t leanbert_vector_size(const leanbert_model* model, const leanbert_embed_options* options) {
  std::size_t size = 0;
  guarded(nullptr, 0, [&] {
    if (model) size = model->answering.vector_size(read_options(options).pooling);
  });
  return size;
}

const char* leanbert_kernels(const leanbert_model* model) { return model ? model->answering.kernels() : nullptr; }

int leanbert_classify(const leanbert_model* model, const leanbert_classify_options* options, size_t count,
                      const char* const* texts, const size_t* sizes, float* scores, size_t scores_size, uint8_t* cut,
                      char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    const Texts given = texts_of(model, count, texts, sizes, cut);
    const std::uint32_t function = below(read_options(options).function, 4, "function");
    model->answering.check_task(leanbert::library::Task::text_classification);
    check_size(scores_size, count, leanbert_label_count(model), scores, "scores");
    model->answering.classify(given, function, scores);
  });
}

int leanbert_tag(const leanbert_model* model, const leanbert_tag_options* options, size_t count,
                 const char* const* texts, const size_t* sizes, leanbert_tags** tags, uint8_t* cut, char* message,
                 size_t message_size) {
  return guarded(message, message_size, [&] {
    need(tags, "tags");
    *tags = nullptr;
    const Texts given = texts_of(model, count, texts, sizes, cut);
    const std::uint32_t aggregation = below(read_options(options).aggregation, 5, "aggregation");
    *tags = new leanbert_tags{model->answering.tag(given, static_cast<Aggregation>(aggregation))};
  });
}

size_t leanbert_tags_count(const leanbert_tags* tags, size_t text) {
  return tags && text < tags->texts.size() ? tags->texts[text].size() : 0;
}

int leanbert_tags_get(const leanbert_tags* tags, size_t text, size_t number, leanbert_entity* entity) {
  if (!entity || entity->struct_size < sizeof entity->struct_size || number >= leanbert_tags_count(tags, text))
    return LEANBERT_INVALID_ARGUMENT;
  const Entity& found = tags->texts[text][number];
  const std::uint32_t size = entity->struct_size;
  leanbert_entity full{};
  full.struct_size = size;
  full.score = found.score;
  full.label = found.label;
  full.begin = found.begin;
  full.end = found.end;
  full.token = found.token;
  std::memcpy(entity, &full, size < sizeof full ? size : sizeof full);
  return LEANBERT_OK;
}

void leanbert_tags_free(leanbert_tags* tags) { delete tags; }

int leanbert_embed(const leanbert_model* model, const leanbert_embed_options* options, size_t count,
                   const char* const* texts, const size_t* sizes, float* vectors, size_t vectors_size, uint8_t* cut,
                   char* message, size_t message_size) {
  return guarded(message, message_size, [&] {
    const Texts given = texts_of(model, count, texts, sizes, cut);
    const leanbert_embed_options chosen = read_options(options);
    below(chosen.pooling, 4, "pooling");
    below(chosen.normalize, 2, "normalize");
    model->answering.check_task(leanbert::library::Task::feature_extraction);
    check_size(vectors_size, count, model->answering.vector_size(chosen.pooling), vectors, "vectors");
    model->answering.embed(given, chosen.pooling, chosen.normalize != 0, vectors);
  });
}

uint32_t leanbert_abi_version(void) { return LEANBERT_ABI_VERSION; }

const char* leanbert_version(void) { return LEANBERT_LIBRARY_VERSION; }

}  // extern "C"
