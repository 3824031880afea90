// From logits to scores, with the same bits as `leanbert.numerics` in Python.
//
// Sums, products and quotients alone, none of them fused (-ffp-contract=off). The exponential is the one of numerics.py, in
// double precision; what is summed are whole numbers of 2^-40, whose sum does not depend on their order.
#pragma once

#include <cfenv>
#include <cstddef>

namespace leanbert {

// Rounding to nearest, and small numbers as they are, whatever the caller's thread has set. The destructor restores.
class PlainFloats {
 public:
  PlainFloats() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~PlainFloats() { std::fesetenv(&before_); }
  PlainFloats(const PlainFloats&) = delete;
  PlainFloats& operator=(const PlainFloats&) = delete;

 private:
  std::fenv_t before_;
};

bool all_finite(const float* values, std::size_t count);

// In place, of one row of finite logits. At most 2^20 of them, as a model may have labels.
void softmax(float* row, std::size_t count);
void sigmoid(float* values, std::size_t count);

}  // namespace leanbert
