// Runs avx_vnni where the CPU has AVX2 alone: its two instructions, vpdpbusd and vpdpwssd in VEX encoding, trap as illegal
// ones, and a signal handler computes them. This proves the object that ships, not a twin of it.
//
//   native_trap FILE...    for every FILE (case.h) one line "FILE: HASH of the answer's bits"; one thread
//
// Only "vpdpbusd/vpdpwssd ymm, ymm, ymm" is understood: the kernels write nothing else (x86/avx_vnni.cpp). A trap takes
// about a microsecond, so cases have to be small.
#include <cpuid.h>
#include <signal.h>
#include <ucontext.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "case.h"
#include "error.h"
#include "kernels/kernels.h"
#include "schedule/encoder.h"

namespace leanbert {
extern const Kernels avx_vnni_kernels;
}

namespace {

unsigned long traps = 0;
size_t upper_halves;  // where the signal frame has the upper halves of the ymm registers

// The sixteen ymm registers in a signal frame: lower halves in the legacy area, upper ones in XSAVE's.
class Registers {
 public:
  explicit Registers(ucontext_t* context)
      : lower_(reinterpret_cast<char*>(context->uc_mcontext.fpregs->_xmm)),
        frame_(reinterpret_cast<char*>(context->uc_mcontext.fpregs)) {
    // Registers that are all zero may be marked as such, and not stored: then they are zero, and must be stored.
    uint64_t stored;
    std::memcpy(&stored, frame_ + 512, sizeof stored);
    if (!(stored & 4)) std::memset(frame_ + upper_halves, 0, 256);
    stored |= 6;
    std::memcpy(frame_ + 512, &stored, sizeof stored);
  }
  void get(unsigned i, void* ymm) const {
    std::memcpy(ymm, lower_ + 16 * i, 16);
    std::memcpy(static_cast<char*>(ymm) + 16, frame_ + upper_halves + 16 * i, 16);
  }
  void set(unsigned i, const void* ymm) {
    std::memcpy(lower_ + 16 * i, ymm, 16);
    std::memcpy(frame_ + upper_halves + 16 * i, static_cast<const char*>(ymm) + 16, 16);
  }

 private:
  char* lower_;
  char* frame_;
};

void emulate(int number, siginfo_t*, void* argument) {
  ucontext_t* context = static_cast<ucontext_t*>(argument);
  greg_t& rip = context->uc_mcontext.gregs[REG_RIP];
  const uint8_t* p = reinterpret_cast<const uint8_t*>(rip);
  // C4, then R X B (inverted) and map 0F38, then W = 0, vvvv (inverted), L = 1, pp = 66; opcode; ModRM of registers
  const bool known =
      p[0] == 0xc4 && (p[1] & 0x1f) == 2 && (p[2] & 0x87) == 0x05 && (p[3] == 0x50 || p[3] == 0x52) && p[4] >= 0xc0;
  if (!known) {
    signal(number, SIG_DFL);  // it is not ours: the instruction traps again, and ends the process
    return;
  }
  const unsigned to = (p[4] >> 3 & 7) | (p[1] & 0x80 ? 0 : 8), b = (p[4] & 7) | (p[1] & 0x20 ? 0 : 8),
                 a = ~p[2] >> 3 & 15;
  Registers registers(context);
  int32_t sums[8];
  registers.get(to, sums);
  if (p[3] == 0x50) {
    uint8_t x[32];
    int8_t y[32];
    registers.get(a, x);
    registers.get(b, y);
    for (int i = 0; i < 32; i++) sums[i / 4] += x[i] * y[i];
  } else {
    int16_t x[16], y[16];
    registers.get(a, x);
    registers.get(b, y);
    for (int i = 0; i < 16; i++) sums[i / 2] += x[i] * y[i];
  }
  registers.set(to, sums);
  rip += 5;
  traps++;
}

bool compute(const char* path) {
  Case c;
  if (!c.load(path)) {
    std::fprintf(stderr, "%s: not a whole case of this machine's lb_model_desc\n", path);
    return false;
  }
  c.desc.threads = 1;
  char message[256] = "";
  leanbert::Error error(message, sizeof message);
  int status;
  leanbert::Encoder* encoder = leanbert::Encoder::create(c.desc, leanbert::avx_vnni_kernels, error, &status);
  if (encoder) {
    const leanbert::Model& model = encoder->model();
    std::vector<float> out(model.output_rows(c.lengths.size(), c.ids.size()) * model.output_width());
    status = encoder->run({c.lengths.size(), c.lengths.data(), c.ids.size(), c.ids.data(),
                           c.types.empty() ? nullptr : c.types.data(), out.data(), out.size()},
                          error);
    leanbert::Encoder::destroy(encoder);
    if (status == LB_OK) std::printf("%s: %016llx\n", path, static_cast<unsigned long long>(hash(out)));
  }
  if (status != LB_OK) std::fprintf(stderr, "%s: %s\n", path, message);
  return status == LB_OK;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(13, 2, &a, &b, &c, &d)) return 2;
  upper_halves = b;
  struct sigaction action = {};
  action.sa_sigaction = emulate;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, nullptr);
  bool good = argc > 1;
  for (int i = 1; i < argc; i++) good = compute(argv[i]) && good;
  std::fprintf(stderr, "%lu instructions emulated\n", traps);
  return good ? 0 : 1;
}
