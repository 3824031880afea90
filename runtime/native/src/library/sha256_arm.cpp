// SHA-256 by the SHA2 instructions of ARM. This file alone is compiled for them.
#include <arm_neon.h>

#include "library/sha256.h"

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

namespace leanbert::library {
namespace {

void blocks_sha2(std::uint32_t* state, const unsigned char* blocks, std::size_t count) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (; count; count--, blocks += 64) {
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks + 16 * i)));
    for (int step = 0; step < 16; step++) {
      const uint32x4_t sum = vaddq_u32(w[0], vld1q_u32(sha256_constants + 4 * step)), first = abcd;
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, first, sum);
      const uint32x4_t later = vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);
      w[0] = w[1];
      w[1] = w[2];
      w[2] = w[3];
      w[3] = later;
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

}  // namespace

Sha256Blocks sha256_blocks_of_cpu() {
#if defined(__APPLE__)
  return blocks_sha2;  // every 64-bit Mac has them
#elif defined(__linux__)
  constexpr unsigned long sha2 = 1ul << 6;  // HWCAP_SHA2
  return getauxval(AT_HWCAP) & sha2 ? blocks_sha2 : nullptr;
#elif defined(_WIN32)
  return IsProcessorFeaturePresent(30) ? blocks_sha2 : nullptr;  // PF_ARM_V8_CRYPTO_INSTRUCTIONS_AVAILABLE
#else
  return nullptr;
#endif
}

}  // namespace leanbert::library
