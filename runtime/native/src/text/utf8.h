// UTF-8, checked: no surrogates, nothing longer than needed, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace leanbert::text {

struct Decoded {
  std::uint32_t code;  // U+FFFD where the bytes are no character
  std::uint32_t size;  // bytes, at least 1
  bool valid;
};

// The character at `at`, which lies within the text. Of bytes that are none it takes the longest run that begins one.
inline Decoded decode_utf8(std::string_view text, std::size_t at) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + at;
  const std::size_t left = text.size() - at;
  const std::uint32_t lead = bytes[0];
  if (lead < 0x80) return {lead, 1, true};
  std::uint32_t size, low = 0x80, high = 0xBF, code;  // low and high: what the second byte may be
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
    code = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    code = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    code = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {0xFFFD, 1, false};
  }
  for (std::uint32_t i = 1; i < size; i++) {
    if (i >= left || bytes[i] < low || bytes[i] > high) return {0xFFFD, i, false};
    code = code << 6 | (bytes[i] & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code, size, true};
}

// Whether a byte goes on with a character, as none that begins one does.
inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Control characters, those that end a line among them.
inline bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

// Where the first bytes stand that are no character; the size of the text if there are none.
inline std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Decoded decoded = decode_utf8(text, at);
    if (!decoded.valid) return at;
    at += decoded.size;
  }
  return at;
}

// Writes a character that is no surrogate, and returns its bytes, at most 4.
inline std::size_t put_utf8(std::uint32_t code, char* to) {
  if (code < 0x80) {
    to[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    to[0] = static_cast<char>(0xC0 | code >> 6);
    to[1] = static_cast<char>(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    to[0] = static_cast<char>(0xE0 | code >> 12);
    to[1] = static_cast<char>(0x80 | (code >> 6 & 0x3F));
    to[2] = static_cast<char>(0x80 | (code & 0x3F));
    return 3;
  }
  to[0] = static_cast<char>(0xF0 | code >> 18);
  to[1] = static_cast<char>(0x80 | (code >> 12 & 0x3F));
  to[2] = static_cast<char>(0x80 | (code >> 6 & 0x3F));
  to[3] = static_cast<char>(0x80 | (code & 0x3F));
  return 4;
}

inline void append_utf8(std::uint32_t code, std::string& text) {
  char bytes[4];
  text.append(bytes, put_utf8(code, bytes));
}

}  // namespace leanbert::text
