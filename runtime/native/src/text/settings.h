// What tokenizer_config.json says beside tokenizer.json, and what is done where the two differ; as
// leanbert.tokenization.settings does it in Python, after transformers' fast tokenizers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "text/json.h"

namespace leanbert::text {

class Settings {
 public:
  // Objects, of which the first wins; each may be missing.
  Settings(std::unique_ptr<const Document> config, std::unique_ptr<const Document> special_tokens_map);

  // The value of a key; null is a value.
  Json find(std::string_view key) const;

  bool has_token_types() const;
  // truncation_side or padding_side; `stored` is truncation or padding of tokenizer.json, which counts second.
  bool is_left(std::string_view key, const Json& stored) const;
  // The name of a special token as a string or as an object with content; none where no file names it.
  std::optional<std::string_view> special(std::string_view key) const;
  bool splits_special_tokens() const;

  // The flags of BERT's normalizer, which these files decide for most families.
  struct Normalizer {
    bool chinese, lowercase;
    std::optional<bool> accents;  // none: as lowercase
    bool operator!=(const Normalizer& other) const {
      return chinese != other.chinese || lowercase != other.lowercase || accents != other.accents;
    }
  };
  Normalizer decide(const Normalizer& stored) const;

 private:
  std::unique_ptr<const Document> config_, map_;
  std::string family_;  // transformers' class without its endings, in small letters; empty where none is named
};

}  // namespace leanbert::text
