/* leanbert.h for C++17: handles that free themselves, results as vectors, errors as exceptions. Header only.
 *
 *     leanbert::Model model("bundle");
 *     for (float score : model.classify("Operating profit rose to EUR 13.1 mn.")) ...
 *
 * A Model may be used by any number of threads at once. It is moved, not copied.
 */
#ifndef LEANBERT_HPP
#define LEANBERT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "leanbert.h"

namespace leanbert {

class Error : public std::runtime_error {
 public:
  Error(int status, const char* line) : std::runtime_error(line), status_(status) {}
  int status() const noexcept { return status_; }  // LEANBERT_INVALID_ARGUMENT and the others

 private:
  int status_;
};

struct Entity {
  std::string_view label;  // lives as long as the model
  float score;
  std::size_t begin, end;  // bytes of the text
  std::size_t token;
};

class Model {
 public:
  explicit Model(const std::string& directory, unsigned threads = 0) {
    if (leanbert_abi_version() != LEANBERT_ABI_VERSION)
      throw Error(LEANBERT_UNSUPPORTED, "libleanbert has another interface than its header");
    leanbert_options options{};
    options.struct_size = sizeof options;
    options.threads = threads;
    leanbert_model* model = nullptr;
    char message[LEANBERT_MESSAGE_SIZE];
    check(leanbert_open(directory.c_str(), &options, &model, message, sizeof message), message);
    model_.reset(model);
  }

  std::string_view task() const { return leanbert_task(get()); }
  std::string_view kernels() const { return leanbert_kernels(get()); }
  std::size_t max_tokens() const { return leanbert_max_tokens(get()); }
  std::vector<std::string_view> labels() const {
    std::vector<std::string_view> names(leanbert_label_count(get()));
    for (std::size_t i = 0; i < names.size(); i++) names[i] = leanbert_label(get(), i);
    return names;
  }

  // The scores of all labels, for each text one after another.
  std::vector<float> classify(const std::vector<std::string_view>& texts) const {
    const Pointers given(texts);
    std::vector<float> scores(texts.size() * leanbert_label_count(get()));
    char message[LEANBERT_MESSAGE_SIZE];
    check(leanbert_classify(get(), nullptr, texts.size(), given.texts.data(), given.sizes.data(), scores.data(),
                            scores.size(), nullptr, message, sizeof message),
          message);
    return scores;
  }
  std::vector<float> classify(std::string_view text) const { return classify(std::vector<std::string_view>{text}); }

  // The entities of each text; `aggregation` is LEANBERT_AGGREGATION_….
  std::vector<std::vector<Entity>> tag(const std::vector<std::string_view>& texts,
                                       std::uint32_t aggregation = LEANBERT_AGGREGATION_SIMPLE) const {
    const Pointers given(texts);
    leanbert_tag_options options{};
    options.struct_size = sizeof options;
    options.aggregation = aggregation;
    leanbert_tags* found = nullptr;
    char message[LEANBERT_MESSAGE_SIZE];
    check(leanbert_tag(get(), &options, texts.size(), given.texts.data(), given.sizes.data(), &found, nullptr, message,
                       sizeof message),
          message);
    const std::unique_ptr<leanbert_tags, decltype(&leanbert_tags_free)> tags(found, leanbert_tags_free);
    std::vector<std::vector<Entity>> entities(texts.size());
    for (std::size_t text = 0; text < texts.size(); text++) {
      for (std::size_t i = 0; i < leanbert_tags_count(found, text); i++) {
        leanbert_entity entity{};
        entity.struct_size = sizeof entity;
        leanbert_tags_get(found, text, i, &entity);
        entities[text].push_back({entity.label, entity.score, entity.begin, entity.end, entity.token});
      }
    }
    return entities;
  }

  // One vector for each text, one after another; `pooling` is LEANBERT_POOLING_….
  std::vector<float> embed(const std::vector<std::string_view>& texts, std::uint32_t pooling = LEANBERT_POOLING_BUNDLE,
                           bool normalize = false) const {
    const Pointers given(texts);
    leanbert_embed_options options{};
    options.struct_size = sizeof options;
    options.pooling = pooling;
    options.normalize = normalize;
    std::vector<float> vectors(texts.size() * leanbert_vector_size(get(), &options));
    char message[LEANBERT_MESSAGE_SIZE];
    check(leanbert_embed(get(), &options, texts.size(), given.texts.data(), given.sizes.data(), vectors.data(),
                         vectors.size(), nullptr, message, sizeof message),
          message);
    return vectors;
  }

  const leanbert_model* get() const { return model_.get(); }

 private:
  struct Close {
    void operator()(leanbert_model* model) const { leanbert_close(model); }
  };
  struct Pointers {
    explicit Pointers(const std::vector<std::string_view>& given) {
      for (const std::string_view text : given) {
        texts.push_back(text.data());
        sizes.push_back(text.size());
      }
    }
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
  };
  static void check(int status, const char* message) {
    if (status == LEANBERT_NO_MEMORY) throw std::bad_alloc();
    if (status != LEANBERT_OK) throw Error(status, message);
  }

  std::unique_ptr<leanbert_model, Close> model_;
};

}  // namespace leanbert

#endif
