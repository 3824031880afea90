// An open model and its answers: texts are tokenized, computed in groups, and turned into what the task asks for.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leanbert.h"
#include "library/bundle.h"
#include "library/entities.h"
#include "schedule/encoder.h"
#include "text/tokenizer.h"

namespace leanbert::library {

// What the caller gave.
struct Texts {
  std::size_t count;
  const char* const* texts;
  const std::size_t* sizes;  // or null
  std::uint8_t* cut;         // or null

  std::string_view operator[](std::size_t i) const;
};

struct CloseEncoder {
  void operator()(Encoder* encoder) const { Encoder::destroy(encoder); }
};

// Every function throws Failure.
class Answering {
 public:
  Answering(const std::string& directory, std::uint32_t threads);
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

  const Bundle& bundle() const { return bundle_; }
  const char* kernels() const { return encoder_->model().kernels->name; }
  std::size_t vector_size(std::uint32_t pooling) const;

  void check_task(Task task) const;  // that the functions below are for
  void classify(const Texts& texts, std::uint32_t function, float* scores) const;
  std::vector<std::vector<Entity>> tag(const Texts& texts, Aggregation aggregation) const;
  void embed(const Texts& texts, std::uint32_t pooling, bool normalizes, float* vectors) const;

 private:
  struct Group {
    std::size_t first = 0;  // text
    std::vector<text::Encoding> encodings;
    std::vector<float> rows;  // the outputs for each token or text, one after another
  };
  // Calls `take` for groups of texts in their order. `prompt` stands before each text.
  void compute(const Texts& texts, const std::string& prompt, const std::function<void(Group&)>& take) const;
  void run(Group& group) const;

  Bundle bundle_;
  text::Tokenizer tokenizer_;
  std::unique_ptr<Encoder, CloseEncoder> encoder_;
  std::optional<EntityReader> entities_;
};

}  // namespace leanbert::library
