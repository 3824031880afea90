// FPCR: rounding to nearest, no exception trapped, denormal results and operands taken as zero.
#include "platform/platform.h"

namespace leanbert::platform {
namespace {

constexpr uint64_t flush_to_zero = uint64_t{1} << 24;

uint64_t read() {
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void write(uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }

}  // namespace

FloatMode::FloatMode() : before_(read()) { write(flush_to_zero); }
FloatMode::~FloatMode() { write(before_); }

}  // namespace leanbert::platform
