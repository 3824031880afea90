// Errors are a status code and one line of text; nothing throws.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdio>

#include "leanbert_native.h"

namespace leanbert {

class Error {
 public:
  Error(char* text, size_t size) : text_(text), size_(text ? size : 0) {
    if (size_) text_[0] = 0;
  }
  // Writes the line and returns the code, so that a check reads `return error.fail(...)`.
  __attribute__((format(printf, 3, 4))) int fail(int code, const char* format, ...) {
    if (size_) {
      va_list arguments;
      va_start(arguments, format);
      std::vsnprintf(text_, size_, format, arguments);
      va_end(arguments);
    }
    return code;
  }

 private:
  char* text_;
  size_t size_;
};

}  // namespace leanbert
