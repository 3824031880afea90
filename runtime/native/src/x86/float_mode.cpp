// MXCSR: rounding to nearest, every exception masked, denormal results and operands taken as zero.
#include <xmmintrin.h>

#include "platform/platform.h"

namespace leanbert::platform {

FloatMode::FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
FloatMode::~FloatMode() { _mm_setcsr(static_cast<unsigned>(before_)); }

}  // namespace leanbert::platform
