// Why a call of the C library fails: a status of leanbert.h and one line. Thrown inside the library, caught at its border.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "leanbert.h"

namespace leanbert::library {

struct Failure {
  Failure(int status_, std::string line_) : status(status_), line(std::move(line_)) {}
  int status;
  std::string line;
};

// A string from a file, or from the caller, for a line: quoted, in printable characters, and short.
std::string brief(std::string_view text);

// A path for a line: its end, where it is long, and without control characters.
std::string shown(std::string_view path);

// The bytes of `text` that go into a buffer of `size` with a NUL after them: whole characters alone.
std::size_t fitting(std::string_view text, std::size_t size);

}  // namespace leanbert::library
