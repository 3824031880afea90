#include "library/sha256.h"

#include <cstring>

namespace leanbert::library {

alignas(64) const std::uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

namespace {

std::uint32_t rotate(std::uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

}  // namespace

void sha256_blocks_plain(std::uint32_t* state, const unsigned char* blocks, std::size_t count) {
  for (; count; count--, blocks += 64) {
    std::uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++) {
      const unsigned char* b = blocks + 4 * i;
      w[i] = std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
    }
    for (int i = 16; i < 64; i++) {
      const std::uint32_t x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[i - 7] + (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
    std::memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i += 8) {  // the words change their roles instead of their places
      for (int j = 0; j < 8; j++) {
        const auto at = [&](int role) -> std::uint32_t& { return s[(role - j + 8) & 7]; };
        const std::uint32_t a = at(0), b = at(1), c = at(2), e = at(4);
        const std::uint32_t first = at(7) + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                                    ((e & at(5)) ^ (~e & at(6))) + sha256_constants[i + j] + w[i + j];
        at(3) += first;
        at(7) = first + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      }
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
  }
}

Sha256::Sha256(Sha256Blocks blocks) : blocks_(blocks) {
  static constexpr std::uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::memcpy(state_, first, sizeof state_);
  if (!blocks_) blocks_ = sha256_blocks_of_cpu();
  if (!blocks_) blocks_ = sha256_blocks_plain;
}

void Sha256::update(const void* data, std::size_t bytes) {
  const unsigned char* at = static_cast<const unsigned char*>(data);
  bytes_ += bytes;
  if (rest_bytes_) {
    const std::size_t taken = bytes < 64 - rest_bytes_ ? bytes : 64 - rest_bytes_;
    if (taken) std::memcpy(rest_ + rest_bytes_, at, taken);
    rest_bytes_ += taken;
    at += taken;
    bytes -= taken;
    if (rest_bytes_ < 64) return;
    blocks_(state_, rest_, 1);
    rest_bytes_ = 0;
  }
  blocks_(state_, at, bytes / 64);
  rest_bytes_ = bytes % 64;
  if (rest_bytes_) std::memcpy(rest_, at + bytes / 64 * 64, rest_bytes_);
}

std::string Sha256::hex() {
  const std::uint64_t bits = 8 * bytes_;
  unsigned char end[72] = {0x80};
  const std::size_t zeros = (rest_bytes_ < 56 ? 56 : 120) - rest_bytes_;  // with the one bit before them
  for (int i = 0; i < 8; i++)
    end[zeros + static_cast<std::size_t>(i)] = static_cast<unsigned char>(bits >> (56 - 8 * i));
  update(end, zeros + 8);
  std::string digits;
  for (const std::uint32_t word : state_)
    for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[word >> shift & 15];
  return digits;
}

}  // namespace leanbert::library
