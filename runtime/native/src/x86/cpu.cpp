// CPU features by cpuid; register state by xgetbv: a kernel or hypervisor may leave wide registers off on a CPU that
// has them, and then the first wide instruction is an illegal one.
// Source: Intel SDM volume 1, chapters 13.3 and 15.2 to 15.4 (detection of AVX2, FMA, AVX-512); volume 2, CPUID (AVX-VNNI).
#include "x86/cpu.h"

#include <cpuid.h>

namespace leanbert {
namespace {

struct Features {
  bool avx2 = false;
  bool avx_vnni = false;
  bool avx512_vnni = false;
};

Features detect() {
  Features found;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const bool osxsave = c >> 27 & 1, fma = c >> 12 & 1;
  if (!osxsave) return found;
  unsigned state_low, state_high;
  __asm__("xgetbv" : "=a"(state_low), "=d"(state_high) : "c"(0));
  const bool ymm = (state_low & 0x06) == 0x06;  // xmm, upper ymm
  const bool zmm = (state_low & 0xe6) == 0xe6;  // and masks, upper zmm, zmm16-31
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = ymm && fma && (b >> 5 & 1);
  const bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1, vnni = c >> 11 & 1;
  found.avx512_vnni = found.avx2 && zmm && f && dq && bw && vl && vnni;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) found.avx_vnni = found.avx2 && (a >> 4 & 1);
  return found;
}

}  // namespace

bool has_avx2() { return detect().avx2; }
bool has_avx_vnni() { return detect().avx_vnni; }
bool has_avx512_vnni() { return detect().avx512_vnni; }

}  // namespace leanbert
