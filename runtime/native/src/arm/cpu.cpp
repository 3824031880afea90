// CPU features as each operating system tells them; user code may not read the registers that have them.
#include "arm/cpu.h"

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <sys/auxv.h>
#endif

namespace leanbert {
namespace {

#if defined(_WIN32)
constexpr DWORD dotprod = 43, i8mm = 66;  // PF_ARM_V82_DP_…, PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE
bool present(DWORD feature) { return IsProcessorFeaturePresent(feature) != 0; }
#elif defined(__APPLE__)
constexpr const char* dotprod = "hw.optional.arm.FEAT_DotProd";
constexpr const char* i8mm = "hw.optional.arm.FEAT_I8MM";
bool present(const char* feature) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(feature, &value, &size, nullptr, 0) == 0 && value;
}
#else
struct Feature {
  unsigned long type, bit;
};
constexpr Feature dotprod = {AT_HWCAP, 1ul << 20}, i8mm = {AT_HWCAP2, 1ul << 13};  // HWCAP_ASIMDDP, HWCAP2_I8MM
bool present(Feature feature) { return (getauxval(feature.type) & feature.bit) != 0; }
#endif

}  // namespace

bool has_neon() { return true; }
bool has_dotprod() { return present(dotprod); }
bool has_i8mm() { return present(i8mm); }

}  // namespace leanbert
