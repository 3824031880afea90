// A strict reader of JSON (RFC 8259) for the files of a bundle, which may come from anywhere.
//
// Beyond the grammar it refuses what two readers could understand in two ways: text that is not UTF-8, a byte order
// mark, the same key twice in an object, NaN and Infinity, escapes of half a surrogate pair. Nesting, the size and the
// number of values are bounded, so that memory is bounded by about 10 times the text.
//
//   const Document document(std::move(bytes));     // throws Refused
//   for (const auto& [key, value] : document.root().members()) …
//   if (const Json types = document.root().find("types"); types && types.is_list()) …
//
// A Json is a handle of two words, valid as long as its Document; so are the strings that it gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/refused.h"

namespace leanbert::text {

class Document;

class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, whole, real, string, list, object };

  class Iterator;
  struct Range;

  Json() = default;  // no value, as find() gives it for a key that is not there
  explicit operator bool() const { return document_ != nullptr; }

  // Of no value these are all false.
  bool is(Kind kind) const { return document_ && this->kind() == kind; }
  bool is_null() const { return is(Kind::null); }
  bool is_boolean() const { return is(Kind::boolean); }
  bool is_whole() const { return is(Kind::whole); }  // 1 and not 1.0 or 1e0, of any size
  bool is_number() const { return is(Kind::whole) || is(Kind::real); }
  bool is_string() const { return is(Kind::string); }
  bool is_list() const { return is(Kind::list); }
  bool is_object() const { return is(Kind::object); }

  // Each throws Refused for a value of another kind, and for no value.
  Kind kind() const;
  bool boolean() const;
  double number() const;                         // whole or real, rounded to the nearest double
  std::optional<std::int64_t> integer() const;   // of a whole number; none outside the range
  std::optional<std::uint64_t> natural() const;  // likewise
  std::string_view string() const;               // UTF-8; may contain the character 0
  std::size_t size() const;                      // elements of a list, members of an object
  Json at(std::size_t index) const;       // of a list; no value beyond its end; in time linear in what stands before
  Json find(std::string_view key) const;  // of an object; no value where it is not there; in linear time
  Range items() const;                    // of a list, in its order; the keys of the range are empty
  Range members() const;                  // of an object, in the order of the file

 private:
  friend class Document;
  Json(const Document* document, std::uint32_t index) : document_(document), index_(index) {}
  std::uint32_t after() const;  // where the value behind this one begins

  const Document* document_ = nullptr;
  std::uint32_t index_ = 0;
};

struct JsonMember {
  std::string_view key;
  Json value;
};

class Json::Iterator {
 public:
  JsonMember operator*() const;
  Iterator& operator++();
  bool operator!=(const Iterator& other) const { return at_ != other.at_; }

 private:
  friend class Json;
  Iterator(const Document* document, std::uint32_t at, bool has_keys)
      : document_(document), at_(at), has_keys_(has_keys) {}
  const Document* document_;
  std::uint32_t at_;
  bool has_keys_;
};

struct Json::Range {
  Iterator first, last;
  Iterator begin() const { return first; }
  Iterator end() const { return last; }
};

class Document {
 public:
  static constexpr std::size_t most_bytes = std::size_t{128} << 20;
  static constexpr std::size_t most_values = std::size_t{8} << 20;
  static constexpr std::size_t most_depth = 128;

  // Throws Refused: "not valid JSON (byte 17: …)". The text is kept, and its strings are unescaped where they stand.
  explicit Document(std::string text);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Json root() const { return Json(this, 0); }

 private:
  friend class Json;
  friend class Json::Iterator;
  friend class JsonReader;

  // A list or an object is followed by what is in it; a member is its key, a string, and its value.
  struct Node {
    Json::Kind kind;
    bool flag;  // a boolean's value; a whole number below 0, or (huge) outside 64 bits
    bool huge;
    union {
      struct {
        std::uint32_t first, second;  // a string's place and size; a container's size and the index behind it
      } pair;
      std::uint64_t bits;  // a whole number, in two's complement below 0
      double real;         // a real number, or a huge whole one
    };
  };

  std::string text_;
  std::vector<Node> nodes_;
};

}  // namespace leanbert::text
