// WordPiece: a word becomes the longest token that it begins with, then the longest that goes on, to its end; or one
// unknown token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/json.h"

namespace leanbert::text {

// The characters of one word, in UTF-8.
struct Word {
  std::string bytes;
  std::vector<std::uint32_t> starts;  // the first byte of each character
  std::vector<std::uint64_t> hashes;  // room for WordPiece::split to work in
};

struct Piece {
  std::int32_t id;
  std::uint32_t first, last;  // characters of the word, the last one included
};

// Characters of the longest word that is looked up in any tokenizer: the time is up to their square.
constexpr std::size_t most_word_characters = 10'000;

class WordPiece {
 public:
  // `model` of tokenizer.json. Throws Refused.
  explicit WordPiece(const Json& model);

  // Replaces `pieces` by those of a word of 1 to max_characters() characters.
  void split(Word& word, std::vector<Piece>& pieces) const;

  std::size_t max_characters() const { return max_characters_; }
  std::int32_t unknown() const { return unknown_; }
  std::size_t size() const { return ids_.size(); }
  std::string_view prefix() const { return prefix_; }
  std::string_view token(std::int32_t id) const;  // empty for no such id
  std::int32_t id(std::string_view token) const;  // -1 for no such token

 private:
  struct Slot {
    std::uint32_t tag;    // of the hash, not 0 as long as there is a token
    std::uint32_t token;  // its number + 1; 0 for none
  };

  std::string_view text(std::uint32_t token) const {
    return std::string_view(texts_).substr(starts_[token], starts_[token + 1] - starts_[token]);
  }
  void add(std::string_view text, std::int32_t id);
  // Whether the token `head` + `tail` with that hash is there; its id or -1.
  std::int32_t find(std::uint64_t hash, std::string_view head, std::string_view tail) const;

  std::string texts_;                  // of all tokens, one after the other
  std::vector<std::uint32_t> starts_;  // where each begins, and the end
  std::vector<std::int32_t> ids_;      // of each
  std::vector<std::uint32_t> by_id_;   // the numbers of the tokens, sorted by their id
  std::vector<Slot> slots_;            // a power of two of them, at least half of them empty
  std::string prefix_;
  std::size_t max_characters_ = 0;
  std::size_t longest_ = 0;  // bytes of the longest token
  std::int32_t unknown_ = 0;
};

}  // namespace leanbert::text
