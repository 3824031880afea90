// What a tokenizer is made of, as its files say it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/wordpiece.h"

namespace leanbert::text {

// A special token that is put before or behind a text.
struct Special {
  std::int32_t id;
  std::uint8_t type;
};

// Whether places leave out the white space that tokens have at their ends, as RobertaProcessing says.
struct Trimming {
  bool trims = false;
  bool keeps_first = false;  // one space of the first token stays
};

struct Parts {
  explicit Parts(const Json& model) : model(model) {}

  std::int32_t id(std::string_view token) const;  // of the vocabulary or an added token; -1 for none

  std::vector<Step> steps;
  WordPiece model;
  std::map<std::string, std::int32_t, std::less<>> added;  // ids by content
  std::map<std::int32_t, std::string> contents;            // and the other way round
  AddedTokens raw;                                         // those that are found in the text itself
  AddedTokens normalized;                                  // those that are found in what the steps make of it
  std::vector<Special> before, behind;
  std::uint8_t type = 0;  // of a text's tokens
  Trimming trimming;
  bool cuts_left = false;
  bool has_token_types = true;
  std::int32_t unknown = -1;
};

// Reads the files of a bundle; the last two may be empty. Throws Refused.
Parts read_parts(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                 std::string_view special_tokens_map_json);

}  // namespace leanbert::text
