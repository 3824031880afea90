// From the scores of tokens to labelled tokens and entities; pipelines/entities.py in C++.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace leanbert::library {

enum class Aggregation { none, simple, first, average, max };

struct Entity {
  const char* label;
  float score;
  std::size_t begin, end;  // bytes of the text
  std::size_t token;
};

class EntityReader {
 public:
  // Both must outlive the reader.
  EntityReader(const text::Tokenizer& tokenizer, const std::vector<std::string>& labels);

  // The entities of a text. `scores` f32 [tokens][labels], finite.
  std::vector<Entity> read(std::string_view text, const text::Encoding& tokens, const float* scores,
                           Aggregation aggregation) const;

 private:
  struct Unit {  // a token, or the tokens of a word
    std::size_t label;
    double score;
    std::vector<std::size_t> tokens;
  };
  bool is_inside(std::string_view text, const text::Encoding& tokens, std::size_t token) const;
  std::vector<Unit> units(std::string_view text, const text::Encoding& tokens, const float* scores,
                          Aggregation aggregation) const;

  const text::Tokenizer& tokenizer_;
  const std::vector<std::string>& labels_;
  std::int32_t unknown_;
  bool knows_words_;
  struct Tag {
    bool begins;
    std::string_view name;  // without B- or I-
    const char* group;      // what stands after the first hyphen
  };
  std::vector<Tag> tags_;
};

}  // namespace leanbert::library
