// The tokenizer of WordPiece families (BERT, MiniLM, DistilBERT, ELECTRA, MPNet): UTF-8 to token ids, the same ids,
// places and words as the `tokenizers` package gives, which Python uses.
//
// A text that is not UTF-8 is read as Python's bytes.decode(errors="replace") reads it: each longest run of bytes that
// begins a character and does not end it becomes one U+FFFD. (Python's LeanBERT reads a lone surrogate as U+FFFD, too;
// as three bytes it is three of them here. BERT's normalizer drops U+FFFD.) Places always count the caller's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/refused.h"

namespace leanbert::text {

// The tokens of one text; all lists have the same length.
struct Encoding {
  std::vector<std::int32_t> ids;          // with special tokens
  std::vector<std::uint8_t> types;        // token_type_ids, all 0 for families without them
  std::vector<std::uint32_t> begin, end;  // bytes of the caller's text; 0 and 0 for special tokens
  std::vector<std::int32_t> word;         // which word of the text it belongs to, from 0 on; -1 for special tokens
  bool cut = false;                       // the text has more tokens than were kept
};

class Tokenizer {
 public:
  // Reads the two files, as leanbert.tokenization does: what tokenizer_config.json says wins. It may be empty, where a
  // bundle has none; so may special_tokens_map.json, which counts third. Throws Refused with one line where a file is
  // wrong or says what this tokenizer does not do.
  static Tokenizer read(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                        std::string_view special_tokens_map_json = {});
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Replaces what `out` holds. Keeps at most max_tokens tokens, special tokens included, and cuts on the side that the
  // files say. The time is linear in the text (on the right side, in what is kept), the memory in the tokens kept. Safe
  // from many threads. Throws Refused where max_tokens leaves no room for text, or the text has 4 GiB or more.
  void encode(std::string_view text, std::size_t max_tokens, Encoding& out) const;

  std::size_t special_tokens() const;             // how many are put around a text; max_tokens must be more
  std::int32_t unknown() const;                   // id of the unknown token as the files name it; -1 for none
  std::string_view token(std::int32_t id) const;  // as it stands in the vocabulary ("##ing"); empty for no such id
  std::int32_t id(std::string_view token) const;  // -1 for no such token
  std::string_view continuing_prefix() const;     // "##"

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace leanbert::text
