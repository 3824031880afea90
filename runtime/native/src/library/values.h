// Values out of JSON files that others wrote: each of the type and size that it must have.
//
// The functions throw Wrong, whose line names the value; the caller adds the file and the remedy.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "library/failure.h"
#include "text/json.h"

namespace leanbert::library {

using text::Json;  // a handle, false where there is no value

struct Wrong {
  std::string line;
};

// A value for a line: short, and without control characters.
std::string brief(Json value);

Json object(std::string_view name, Json value);
Json list(std::string_view name, Json value);
std::string_view string(std::string_view name, Json value);
bool boolean(std::string_view name, Json value);
std::uint64_t whole(std::string_view name, Json value, std::uint64_t least, std::uint64_t most);
double number(std::string_view name, Json value);

// The value of a key that must be there.
Json member(Json object, std::string_view key);
// No value where the key is absent, or its value is null.
Json given(Json object, std::string_view key);
// The place of the string in `known`.
std::size_t one_of(std::string_view name, Json value, std::initializer_list<std::string_view> known);
// What Python takes for false: null, false, 0, and what is empty.
bool is_falsy(Json value);

// Whether a file name stays below its folder on every system, and has no control characters.
bool is_plain(std::string_view name);

}  // namespace leanbert::library
