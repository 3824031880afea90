// Tokens that are found in a text before it is split into words ("[SEP]", "<mask>").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leanbert::text {

struct AddedToken {
  std::string content;  // as it is looked for
  std::int32_t id = 0;
  bool single_word = false;             // only where no word character stands beside it
  bool lstrip = false, rstrip = false;  // takes the white space before, or behind it
  bool is_text = false;                 // is found, so that no other is found in it, and read as text nevertheless
};

// A token in a text, in bytes, with the white space that it takes.
struct Found {
  std::size_t begin, end;
  const AddedToken* token;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);  // none empty, no two alike

  bool empty() const { return tokens_.empty(); }

  // The next token that begins from `from` to `limit`, the longest of several. `done` is where the text begins that no
  // token has taken yet, so that no white space is taken twice. Moves `from` to where the search goes on: in front of
  // white space that the token takes, so that a token which begins with it may begin before `done`.
  std::optional<Found> next(std::string_view text, std::size_t& from, std::size_t limit, std::size_t done) const;

 private:
  const AddedToken* longest(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;  // sorted by content
  std::array<bool, 256> begins_{};  // the first bytes
};

}  // namespace leanbert::text
