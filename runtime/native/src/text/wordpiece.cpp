#include "text/wordpiece.h"

#include <algorithm>
#include <numeric>

#include "text/checks.h"

namespace leanbert::text {

namespace {

constexpr std::uint64_t no_bytes = 0x2545F4914F6CDD1D;

// Slots that are tried for a token: of 4 million tokens about 100 in the worst case, if none was chosen for that.
constexpr std::size_t most_tries = 1024;

std::uint64_t step(std::uint64_t hash, char byte) {
  return (hash + static_cast<unsigned char>(byte) + 1) * 0x9E3779B97F4A7C15;
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = no_bytes;
  for (const char byte : text) hash = step(hash, byte);
  return hash;
}

std::uint32_t place_of(std::uint64_t hash) { return static_cast<std::uint32_t>((hash ^ hash >> 29) & 0xFFFFFFFF); }
std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32) | 1; }

}  // namespace

WordPiece::WordPiece(const Json& model) {
  only_keys(model, "model", {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  const Json type = model.find("type");  // older files lack it
  if (type && !(type.is_string() && type.string() == "WordPiece"))
    refuse("model.type is " + brief(type) + "; the C library reads WordPiece alone");
  const std::string_view unknown = string_in("model.unk_token", model.find("unk_token"));
  prefix_ = string_in("model.continuing_subword_prefix", model.find("continuing_subword_prefix"));
  max_characters_ =
      whole_in("model.max_input_chars_per_word", model.find("max_input_chars_per_word"), most_word_characters);
  const Json vocabulary = model.find("vocab");
  if (!vocabulary.is_object()) refuse("model.vocab is not an object");
  const std::size_t count = vocabulary.size();
  std::size_t capacity = 16;
  while (capacity < 2 * count) capacity *= 2;
  slots_.assign(capacity, Slot{0, 0});
  std::size_t bytes = 0;
  for (const auto& [token, id] : vocabulary.members()) bytes += token.size();
  texts_.reserve(bytes);
  starts_.reserve(count + 1);
  ids_.reserve(count);
  starts_.push_back(0);
  for (const auto& [token, id] : vocabulary.members())
    add(token, static_cast<std::int32_t>(whole_in("an id of model.vocab", id, INT32_MAX)));
  by_id_.resize(count);
  std::iota(by_id_.begin(), by_id_.end(), 0u);
  const auto is_before = [this](std::uint32_t a, std::uint32_t b) { return ids_[a] < ids_[b]; };
  if (!std::is_sorted(by_id_.begin(), by_id_.end(), is_before)) std::sort(by_id_.begin(), by_id_.end(), is_before);
  for (std::size_t i = 1; i < count; i++)
    if (ids_[by_id_[i]] == ids_[by_id_[i - 1]])
      refuse("model.vocab has two tokens of the id " + std::to_string(ids_[by_id_[i]]));
  unknown_ = id(unknown);
  if (unknown_ < 0) refuse("model.unk_token is " + quoted(unknown) + ", which model.vocab lacks");
}

void WordPiece::add(std::string_view text, std::int32_t id) {
  const std::uint64_t hash = hash_of(text);
  const std::size_t mask = slots_.size() - 1;
  std::size_t place = place_of(hash) & mask;
  std::size_t tried = 0;
  while (slots_[place].token) {
    if (++tried > most_tries) refuse("model.vocab has tokens that were chosen to make it slow");
    place = (place + 1) & mask;
  }
  texts_ += text;
  starts_.push_back(static_cast<std::uint32_t>(texts_.size()));
  ids_.push_back(id);
  slots_[place] = {tag_of(hash), static_cast<std::uint32_t>(ids_.size())};
  longest_ = std::max(longest_, text.size());
}

std::int32_t WordPiece::find(std::uint64_t hash, std::string_view head, std::string_view tail) const {
  const std::size_t mask = slots_.size() - 1;
  const std::uint32_t tag = tag_of(hash);
  for (std::size_t place = place_of(hash) & mask; slots_[place].token; place = (place + 1) & mask) {
    if (slots_[place].tag != tag) continue;
    const std::string_view found = text(slots_[place].token - 1);
    if (found.size() == head.size() + tail.size() && found.substr(0, head.size()) == head &&
        found.substr(head.size()) == tail)
      return ids_[slots_[place].token - 1];
  }
  return -1;
}

std::int32_t WordPiece::id(std::string_view token) const { return find(hash_of(token), {}, token); }

std::string_view WordPiece::token(std::int32_t id) const {
  const auto found =
      std::lower_bound(by_id_.begin(), by_id_.end(), id,
                       [this](std::uint32_t token, std::int32_t wanted) { return ids_[token] < wanted; });
  if (found == by_id_.end() || ids_[*found] != id) return {};
  return text(*found);
}

void WordPiece::split(Word& word, std::vector<Piece>& pieces) const {
  pieces.clear();
  const std::string_view bytes = word.bytes;
  const auto count = static_cast<std::uint32_t>(word.starts.size());
  const auto end_of = [&](std::uint32_t character) {
    return character + 1 < count ? word.starts[character + 1] : static_cast<std::uint32_t>(bytes.size());
  };
  std::vector<std::uint64_t>& hashes = word.hashes;
  std::uint64_t begin_hash = no_bytes;
  std::string_view head;
  for (std::uint32_t first = 0; first < count;) {
    // The hashes of all that begins here and is not longer than the longest token.
    hashes.clear();
    std::uint64_t hash = begin_hash;
    const std::uint32_t start = word.starts[first];
    for (std::uint32_t at = first; at < count; at++) {
      const std::uint32_t end = end_of(at);
      if (head.size() + end - start > longest_) break;
      for (std::uint32_t byte = word.starts[at]; byte < end; byte++) hash = step(hash, bytes[byte]);
      hashes.push_back(hash);
    }
    std::int32_t found = -1;
    std::uint32_t last = first;
    for (std::size_t size = hashes.size(); size > 0 && found < 0; size--) {
      last = first + static_cast<std::uint32_t>(size) - 1;
      found = find(hashes[size - 1], head, bytes.substr(start, end_of(last) - start));
    }
    if (found < 0) {
      pieces.assign(1, {unknown_, 0, count - 1});
      return;
    }
    pieces.push_back({found, first, last});
    first = last + 1;
    if (head.empty()) {
      head = prefix_;
      begin_hash = hash_of(prefix_);
    }
  }
}

}  // namespace leanbert::text
