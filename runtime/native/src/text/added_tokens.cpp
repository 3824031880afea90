#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "text/unicode.h"
#include "text/utf8.h"

namespace leanbert::text {

namespace {

// The character that ends at `at`, which is not the beginning; its place and U+FFFD for bytes that are none.
std::pair<std::size_t, std::uint32_t> character_before(std::string_view text, std::size_t at) {
  for (std::size_t size = 1; size <= 4 && size <= at; size++) {
    const Decoded character = decode_utf8(text, at - size);
    if (character.valid && character.size == size) return {at - size, character.code};
  }
  return {at - 1, 0xFFFD};
}

bool has(std::uint32_t code, std::uint16_t flag) { return properties(code).flags & flag; }

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && has(character_before(text, begin).second, WORD)) return false;
  return end == text.size() || !has(decode_utf8(text, end).code, WORD);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) begins_[static_cast<unsigned char>(token.content[0])] = true;
}

const AddedToken* AddedTokens::longest(std::string_view text, std::size_t at) const {
  // [low, high) are the tokens that begin as the text does there, up to `size` bytes.
  std::size_t low = 0, high = tokens_.size();
  const AddedToken* found = nullptr;
  for (std::size_t size = 0; at + size < text.size(); size++) {
    const char byte = text[at + size];
    const auto at_least = [&](bool or_more) {
      std::size_t first = low, last = high;
      while (first < last) {
        const std::size_t middle = (first + last) / 2;
        const auto own = static_cast<unsigned char>(tokens_[middle].content[size]);
        const auto wanted = static_cast<unsigned char>(byte);
        if (own < wanted || (or_more && own == wanted))
          first = middle + 1;
        else
          last = middle;
      }
      return first;
    };
    const std::size_t first = at_least(false);
    high = at_least(true);
    low = first;
    if (low == high) break;
    if (tokens_[low].content.size() == size + 1) {  // the shortest stands first
      found = &tokens_[low];
      if (++low == high) break;
    }
  }
  return found;
}

std::optional<Found> AddedTokens::next(std::string_view text, std::size_t& from, std::size_t limit,
                                       std::size_t done) const {
  for (; from < limit; from++) {
    if (!begins_[static_cast<unsigned char>(text[from])]) continue;
    const AddedToken* token = longest(text, from);
    if (!token) continue;
    std::size_t begin = from, end = from + token->content.size();
    from = end;
    if (token->is_text || (token->single_word && !stands_alone(text, begin, end))) {
      from--;
      continue;
    }
    if (token->lstrip) {
      while (begin > done) {
        const auto [place, code] = character_before(text, begin);
        if (!has(code, SPACE)) break;
        begin = place;
      }
      begin = std::max(begin, done);
    }
    if (token->rstrip) {
      while (end < text.size()) {
        const Decoded character = decode_utf8(text, end);
        if (!has(character.code, SPACE)) break;
        end += character.size;
      }
    }
    return Found{begin, end, token};
  }
  return std::nullopt;
}

}  // namespace leanbert::text
