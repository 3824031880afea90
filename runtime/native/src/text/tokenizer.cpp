#include "text/tokenizer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "text/checks.h"
#include "text/parts.h"
#include "text/words.h"

namespace leanbert::text {

namespace {

// What becomes of a byte below 128: most texts have little else.
struct Ascii {
  enum Kind : std::uint8_t { dropped, space, punctuation, letter };
  Kind kind = dropped;
  char code = 0;

  void put(Character c) {
    const std::uint16_t flags = properties(c.code).flags;
    kind = flags & SPACE ? space : flags & PUNCTUATION ? punctuation : letter;
    code = static_cast<char>(c.code);
  }
};

// Characters that were normalized, in UTF-8.
struct Normalized {
  std::string text;
  std::vector<Character> characters;
  std::vector<std::uint32_t> starts;

  void put(Character c) {
    starts.push_back(static_cast<std::uint32_t>(text.size()));
    characters.push_back(c);
    append_utf8(c.code, text);
  }
  // The number of the character that begins at a byte, or of the end.
  std::size_t number(std::size_t byte) const {
    return static_cast<std::size_t>(std::lower_bound(starts.begin(), starts.end(), byte) - starts.begin());
  }
};

constexpr std::size_t window = 1 << 12;  // bytes in which added tokens are looked for before the words before them

}  // namespace

struct Tokenizer::State {
  explicit State(Parts&& read) : parts(std::move(read)) {
    for (std::uint32_t byte = 0; byte < 128; byte++) {
      Normalization normalization(parts.steps, ascii[byte]);
      normalization.put({byte, 0, 0});
      normalization.finish();
    }
  }

  Parts parts;
  Ascii ascii[128];
};

namespace {

// One text on its way.
class Run {
 public:
  Run(const Parts& parts, const Ascii* ascii, std::string_view text, Tokens& tokens)
      : parts_(parts),
        ascii_(ascii),
        text_(text),
        tokens_(tokens),
        words_(parts.model, tokens),
        normalization_(parts.steps, words_) {}

  void run() {
    const bool buffers = !parts_.normalized.empty();
    std::size_t done = 0;    // what was taken by words or added tokens
    std::size_t search = 0;  // where the next added token may begin
    std::size_t taken = 0;   // the end of the last added token
    while (done < text_.size() && !tokens_.is_full()) {
      const std::size_t limit = buffers ? text_.size() : std::min(text_.size(), std::max(done, search) + window);
      const auto found = parts_.raw.next(text_, search, limit, taken);
      const std::size_t end = found ? found->begin : limit;
      if (buffers) {
        search_normalized(taken, end);
      } else {
        // White space that the token takes may have passed already: it ended a word, and nothing else.
        while (done < end && !tokens_.is_full()) done = read(done, end);
      }
      if (!found) {
        search = std::max(search, done);
        if (buffers) break;
        continue;
      }
      end_segment();
      tokens_.put(found->token->id, static_cast<std::uint32_t>(found->begin), static_cast<std::uint32_t>(found->end));
      tokens_.end_word();
      done = taken = found->end;
    }
    end_segment();
  }

 private:
  void end_segment() {
    normalization_.finish();
    words_.end();
  }

  // Reads the characters from `at` up to `end`, or one more that reaches over it; returns where it stopped.
  std::size_t read(std::size_t at, std::size_t end) {
    while (at < end) {
      const auto byte = static_cast<unsigned char>(text_[at]);
      const auto place = static_cast<std::uint32_t>(at);
      if (byte < 128 && normalization_.is_settled()) {
        const Ascii known = ascii_[byte];
        at++;
        const Character c{static_cast<unsigned char>(known.code), place, place + 1};
        switch (known.kind) {
          case Ascii::dropped: break;
          case Ascii::letter: words_.add(c); break;
          case Ascii::punctuation:
            words_.end();
            words_.add(c);
            [[fallthrough]];
          case Ascii::space:
            words_.end();
            if (tokens_.is_full()) return at;
            break;
        }
        continue;
      }
      const Decoded character = decode_utf8(text_, at);
      at += character.size;
      normalization_.put({character.code, place, place + character.size});
    }
    return at;
  }

  // Where added tokens are found in what the text becomes, the whole stretch is made first.
  void search_normalized(std::size_t from, std::size_t end) {
    if (from >= end) return;
    Normalized stretch;
    Normalization normalization(parts_.steps, stretch);
    for (std::size_t at = from; at < end;) {
      const Decoded character = decode_utf8(text_, at);
      normalization.put(
          {character.code, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + character.size)});
      at += character.size;
    }
    normalization.finish();
    std::size_t search = 0, done = 0;  // bytes of the stretch
    while (done < stretch.text.size() && !tokens_.is_full()) {
      const auto found = parts_.normalized.next(stretch.text, search, stretch.text.size(), done);
      const std::size_t first = stretch.number(done);
      const std::size_t last = found ? stretch.number(found->begin) : stretch.characters.size();
      for (std::size_t i = first; i < last; i++) words_.put(stretch.characters[i]);
      words_.end();
      if (!found) break;
      const std::size_t behind = stretch.number(found->end);
      tokens_.put(found->token->id, stretch.characters[last].begin, stretch.characters[behind - 1].end);
      tokens_.end_word();
      done = found->end;
    }
  }

  const Parts& parts_;
  const Ascii* ascii_;
  std::string_view text_;
  Tokens& tokens_;
  Words words_;
  Normalization<Words> normalization_;
};

// RobertaProcessing's trim_offsets: places leave out the white space that an added token takes, and what byte-level BPE
// writes for a space where a token of the vocabulary begins or ends with it.
void trim(const Parts& parts, std::string_view text, Encoding& out, std::size_t first) {
  for (std::size_t i = first; i < out.ids.size(); i++) {
    std::uint32_t &begin = out.begin[i], &end = out.end[i];
    const bool is_added = parts.contents.count(out.ids[i]) > 0;
    const std::string_view token = is_added ? text.substr(begin, end - begin) : parts.model.token(out.ids[i]);
    std::size_t count = 0, before = 0, behind = 0;  // characters, and the spaces among them at both ends
    for (std::size_t at = 0; at < token.size(); count++) {
      const Decoded character = decode_utf8(token, at);
      at += character.size;
      const bool is_space = is_added ? properties(character.code).flags & SPACE : character.code == 0x120;
      if (is_space && before == count) before++;
      behind = is_space ? behind + 1 : 0;
    }
    if (before == 1 && parts.trimming.keeps_first && (i == first || begin == 0)) before = 0;
    for (; before > 0 && begin < end; before--) begin += decode_utf8(text, begin).size;
    for (; behind > 0 && begin < end; behind--) do
        end--;
      while (end > begin && continues_character(text[end]));
  }
}

}  // namespace

Tokenizer Tokenizer::read(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                          std::string_view special_tokens_map_json) {
  return Tokenizer(
      std::make_unique<const State>(read_parts(tokenizer_json, tokenizer_config_json, special_tokens_map_json)));
}

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

void Tokenizer::encode(std::string_view text, std::size_t max_tokens, Encoding& out) const {
  const Parts& parts = state_->parts;
  if (max_tokens <= special_tokens())
    refuse("max_tokens is " + std::to_string(max_tokens) + "; " + std::to_string(special_tokens()) +
           " special tokens leave no room for text");
  if (text.size() >= UINT32_MAX) refuse("the text has 4 GiB or more; split it");
  out.ids.clear();
  out.types.clear();
  out.begin.clear();
  out.end.clear();
  out.word.clear();
  out.cut = false;
  const auto put = [&](const std::vector<Special>& specials) {
    for (const Special& special : specials) {
      out.ids.push_back(special.id);
      out.begin.push_back(0);
      out.end.push_back(0);
      out.word.push_back(-1);
    }
  };
  put(parts.before);
  const std::size_t first = out.ids.size();
  Tokens tokens(out, max_tokens - special_tokens(), parts.cuts_left);
  Run(parts, state_->ascii, text, tokens).run();
  tokens.finish();
  if (parts.trimming.trims) trim(parts, text, out, first);
  out.types.assign(out.ids.size(), parts.has_token_types ? parts.type : 0);
  put(parts.behind);
  out.types.resize(out.ids.size());
  if (!parts.has_token_types) return;
  for (std::size_t i = 0; i < parts.before.size(); i++) out.types[i] = parts.before[i].type;
  for (std::size_t i = 0; i < parts.behind.size(); i++)
    out.types[out.types.size() - parts.behind.size() + i] = parts.behind[i].type;
}

std::size_t Tokenizer::special_tokens() const { return state_->parts.before.size() + state_->parts.behind.size(); }
std::int32_t Tokenizer::unknown() const { return state_->parts.unknown; }
std::int32_t Tokenizer::id(std::string_view token) const { return state_->parts.id(token); }
std::string_view Tokenizer::continuing_prefix() const { return state_->parts.model.prefix(); }

std::string_view Tokenizer::token(std::int32_t id) const {
  const auto found = state_->parts.contents.find(id);
  return found != state_->parts.contents.end() ? std::string_view(found->second) : state_->parts.model.token(id);
}

}  // namespace leanbert::text
