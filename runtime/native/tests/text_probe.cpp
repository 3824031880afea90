// The inside of src/text for tests/native/test_tokenizer.py and its neighbours; part of the probe library. What
// returns a status gives 0, or 1 and one line in `message`.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "text/json.h"
#include "text/normalizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

using namespace leanbert::text;

#define LB_PROBE extern "C" __attribute__((visibility("default")))

namespace {

constexpr std::size_t message_size = 512;

template <class Call>
int status(char* message, const Call& call) {
  try {
    call();
    return 0;
  } catch (const std::exception& error) {
    std::strncpy(message, error.what(), message_size - 1);
    message[message_size - 1] = 0;
    return 1;
  }
}

void put(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const char digits[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += digits[c >> 4];
      out += digits[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

// Numbers become lists of what each accessor gives: [number, integer or null, natural or null], of a real one [number].
void put(std::string& out, const Json& value) {
  char separator = 0;
  const auto put_number = [&](double number) {
    std::uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    out += std::to_string(bits);
  };
  switch (value.kind()) {
    case Json::Kind::null: out += "null"; break;
    case Json::Kind::boolean: out += value.boolean() ? "true" : "false"; break;
    case Json::Kind::whole: {
      const auto integer = value.integer();
      const auto natural = value.natural();
      out += '[';
      put_number(value.number());
      out += ',' + (integer ? std::to_string(*integer) : "null") + ',' + (natural ? std::to_string(*natural) : "null");
      out += ']';
      break;
    }
    case Json::Kind::real:
      out += '[';
      put_number(value.number());
      out += ']';
      break;
    case Json::Kind::string: put(out, value.string()); break;
    case Json::Kind::list: {
      out += "{\"list\":[";
      std::size_t count = 0;
      for (const auto& [key, item] : value.items()) {
        if (separator) out += separator;
        separator = ',';
        put(out, item);
        count++;
      }
      out += "]}";
      if (count != value.size()) out += "wrong size";
      break;
    }
    case Json::Kind::object: {
      out += '{';
      std::size_t count = 0;
      for (const auto& [key, item] : value.members()) {
        if (separator) out += separator;
        separator = ',';
        put(out, std::string(key) + "=");
        out += ':';
        put(out, item);
        count++;
      }
      out += '}';
      if (count != value.size()) out += "wrong size";
      break;
    }
  }
}

}  // namespace

// Writes a document as the function above, at most `size` bytes; *written is what it has.
LB_PROBE int probe_json(const char* text, std::size_t bytes, char* out, std::size_t size, std::size_t* written,
                        char* message) {
  return status(message, [&] {
    const Document document(std::string(text, bytes));
    std::string found;
    put(found, document.root());
    *written = found.size();
    std::memcpy(out, found.data(), std::min(size, found.size()));
  });
}

LB_PROBE int probe_tokenizer_open(const char* json, std::size_t json_bytes, const char* config,
                                  std::size_t config_bytes, const char* map, std::size_t map_bytes, void** tokenizer,
                                  char* message) {
  return status(message, [&] {
    *tokenizer = new Tokenizer(Tokenizer::read({json, json_bytes}, {config, config_bytes}, {map, map_bytes}));
  });
}

LB_PROBE void probe_tokenizer_close(void* tokenizer) { delete static_cast<Tokenizer*>(tokenizer); }

LB_PROBE std::int32_t probe_tokenizer_unknown(void* tokenizer) { return static_cast<Tokenizer*>(tokenizer)->unknown(); }
LB_PROBE std::size_t probe_tokenizer_special(void* tokenizer) {
  return static_cast<Tokenizer*>(tokenizer)->special_tokens();
}
LB_PROBE std::int32_t probe_tokenizer_id(void* tokenizer, const char* token, std::size_t bytes) {
  return static_cast<Tokenizer*>(tokenizer)->id({token, bytes});
}
LB_PROBE std::size_t probe_tokenizer_token(void* tokenizer, std::int32_t id, char* out, std::size_t size) {
  const std::string_view token = static_cast<Tokenizer*>(tokenizer)->token(id);
  std::memcpy(out, token.data(), std::min(size, token.size()));
  return token.size();
}

// The tokens of `count` texts, which stand one after the other in `text` and end at `ends`. Rows of four numbers per
// token go to `out` (id, begin, end, word) and its type to `types`, as many as fit `most`; lengths and cuts per text.
LB_PROBE int probe_tokenizer_encode(void* tokenizer, const char* text, const std::size_t* ends, std::size_t count,
                                    std::size_t max_tokens, std::int64_t* out, std::uint8_t* types, std::size_t most,
                                    std::size_t* lengths, std::uint8_t* cuts, char* message) {
  return status(message, [&] {
    Encoding encoding;
    std::size_t begin = 0, row = 0;
    for (std::size_t i = 0; i < count; i++) {
      // A copy of its own, so that the address sanitizer sees one byte too far.
      const std::string own(text + begin, ends[i] - begin);
      begin = ends[i];
      static_cast<const Tokenizer*>(tokenizer)->encode(own, max_tokens, encoding);
      lengths[i] = encoding.ids.size();
      cuts[i] = encoding.cut;
      for (std::size_t token = 0; token < encoding.ids.size() && row < most; token++, row++) {
        out[4 * row] = encoding.ids[token];
        out[4 * row + 1] = encoding.begin[token];
        out[4 * row + 2] = encoding.end[token];
        out[4 * row + 3] = encoding.word[token];
        types[row] = encoding.types[token];
      }
    }
  });
}

// One text, which is not copied, so that what it takes is the tokenizer's.
LB_PROBE int probe_tokenizer_encode_one(void* tokenizer, const char* text, std::size_t bytes, std::size_t max_tokens,
                                        char* message) {
  return status(message, [&] {
    Encoding encoding;
    static_cast<const Tokenizer*>(tokenizer)->encode({text, bytes}, max_tokens, encoding);
  });
}

// The flags, combining class and lower-case difference of every character, [0x110000, 3].
LB_PROBE void probe_unicode(std::int32_t* out) {
  for (std::uint32_t code = 0; code < 0x110000; code++) {
    const Properties& known = properties(code);
    out[3 * code] = known.flags;
    out[3 * code + 1] = known.combining_class;
    out[3 * code + 2] = known.to_lower;
  }
}

// What steps (numbers of Step) make of a text; at most `size` bytes are written, and how many there are is returned.
LB_PROBE std::size_t probe_normalize(const std::uint8_t* steps, std::size_t count, const char* text, std::size_t bytes,
                                     char* out, std::size_t size) {
  std::vector<Step> chosen;
  for (std::size_t i = 0; i < count; i++) chosen.push_back(static_cast<Step>(steps[i]));
  const std::string made = normalize(chosen, {text, bytes});
  std::memcpy(out, made.data(), std::min(size, made.size()));
  return made.size();
}
