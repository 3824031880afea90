#include "library/failure.h"

#include <cstddef>

#include "text/utf8.h"

namespace leanbert::library {
namespace {

constexpr std::size_t most_brief = 60, most_shown = 160;  // bytes

std::string clean(std::string_view text) {
  std::string line;
  for (std::size_t at = 0; at < text.size();) {
    const text::Decoded c = text::decode_utf8(text, at);
    if (c.valid && !text::is_control(c.code)) {
      line += text.substr(at, c.size);
    } else {
      for (std::size_t i = 0; i < c.size; i++) {
        const auto byte = static_cast<unsigned char>(text[at + i]);
        line += {'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
      }
    }
    at += c.size;
  }
  return line;
}

}  // namespace

std::string brief(std::string_view text) {
  const std::size_t bytes = text.size() <= most_brief ? text.size() : fitting(text, most_brief + 1);
  return "'" + clean(text.substr(0, bytes)) + (bytes < text.size() ? "…'" : "'");
}

std::string shown(std::string_view path) {
  if (path.size() <= most_shown) return clean(path);
  std::size_t from = path.size() - most_shown;
  while (from < path.size() && text::continues_character(path[from])) from++;
  return "…" + clean(path.substr(from));
}

std::size_t fitting(std::string_view text, std::size_t size) {
  if (!size) return 0;
  if (text.size() < size) return text.size();
  std::size_t bytes = size - 1;
  while (bytes && text::continues_character(text[bytes])) bytes--;
  return bytes;
}

}  // namespace leanbert::library
