// What the text side throws for a file or a call that it does not take. It never leaves the library: the C interface
// turns it into a status code and this line.
#pragma once

#include <stdexcept>
#include <string>

namespace leanbert::text {

class Refused : public std::runtime_error {
 public:
  explicit Refused(const std::string& line) : std::runtime_error(line) {}  // one line: what, where, what to do
};

}  // namespace leanbert::text
