// SHA-256 (FIPS 180-4): by the CPU's own instructions where it has them, else in plain code.
//
// A bundle's weights are hashed whenever it is opened. Plain code takes 45 ms for 10 MB, the instructions of x86 (SHA) and
// of ARM (SHA2) about 6 ms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace leanbert::library {

// Mixes `count` blocks of 64 bytes into the eight words of the state.
using Sha256Blocks = void (*)(std::uint32_t* state, const unsigned char* blocks, std::size_t count);

extern const std::uint32_t sha256_constants[64];
void sha256_blocks_plain(std::uint32_t* state, const unsigned char* blocks, std::size_t count);
// The CPU's own instructions, or null where this CPU has none.
Sha256Blocks sha256_blocks_of_cpu();

class Sha256 {
 public:
  // By default the fastest that this CPU has.
  explicit Sha256(Sha256Blocks blocks = nullptr);
  void update(const void* data, std::size_t bytes);
  // 64 digits in small letters. Nothing may be added afterwards.
  std::string hex();

 private:
  Sha256Blocks blocks_;
  std::uint32_t state_[8];
  std::uint64_t bytes_ = 0;
  unsigned char rest_[64];
  std::size_t rest_bytes_ = 0;
};

}  // namespace leanbert::library
