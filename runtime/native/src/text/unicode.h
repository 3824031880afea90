// What the tokenizers package knows of each character. The tables come from tools/unicode_tables.py; the package's
// Rust crates stand at several versions of Unicode, and what counts is what they say.
#pragma once

#include <cstdint>

namespace leanbert::text {

// Bits of Properties::flags; tools/unicode_tables.py has the same order.
enum : std::uint16_t {
  DROPPED = 1 << 0,      // BERT's clean_text drops it: control, format, private use, unassigned, U+FFFD
  SPACED = 1 << 1,       // clean_text makes a space of it
  CHINESE = 1 << 2,      // handle_chinese_chars puts spaces around it
  ACCENT = 1 << 3,       // BERT's strip_accents drops it (Mn), when it was decomposed
  MARK = 1 << 4,         // StripAccents drops it (M)
  SPACE = 1 << 5,        // White_Space
  PUNCTUATION = 1 << 6,  // a word of its own
  WORD = 1 << 7,         // \w of a regular expression
  DECOMPOSES = 1 << 8,   // canonically, and is no Hangul syllable
  LOWERS = 1 << 9,       // its lower case is more than one character
};

struct Properties {
  std::uint16_t flags;
  std::uint8_t combining_class;  // canonical; 0 for what does not change places
  std::int32_t to_lower;         // is added to the character
};

extern const Properties unicode_properties[];
extern const std::uint8_t unicode_blocks[];        // of each 128 characters
extern const std::uint8_t unicode_records[][128];  // the number of the properties of each
extern const std::uint32_t unicode_decomposed_count;
extern const std::uint32_t unicode_decomposed[];  // sorted
extern const std::uint16_t unicode_decomposition_places[];
extern const std::uint32_t unicode_decompositions[];
extern const std::uint32_t unicode_long_lower[];  // the one character of LOWERS, and its lower case
extern const std::uint32_t unicode_long_lower_size;

// Of a character up to U+10FFFF.
inline const Properties& properties(std::uint32_t code) {
  return unicode_properties[unicode_records[unicode_blocks[code >> 7]][code & 127]];
}

// Hangul syllables, which are decomposed by arithmetic.
constexpr std::uint32_t hangul_first = 0xAC00, hangul_last = 0xD7A3;

struct Characters {
  const std::uint32_t* first;
  std::uint32_t size;
};

// The full canonical decomposition of a character with DECOMPOSES.
inline Characters decomposition(std::uint32_t code) {
  std::uint32_t low = 0, high = unicode_decomposed_count;
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (unicode_decomposed[middle] <= code ? low : high) = middle;
  }
  const std::uint32_t place = unicode_decomposition_places[low];
  return {unicode_decompositions + place, unicode_decomposition_places[low + 1] - place};
}

}  // namespace leanbert::text
