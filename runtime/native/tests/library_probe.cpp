// The C library's inner functions, for tests/native/c_library: hashes by each path, and the numbers of answers.
#include <cstdint>
#include <cstring>

#include "library/numerics.h"
#include "library/sha256.h"
#include "scores/scores.h"

#define PROBE extern "C" __attribute__((visibility("default")))

using namespace leanbert::library;

// 64 digits and a NUL into `hex`; `parts` bytes at a time. False where this CPU has no instructions for it.
PROBE bool probe_sha256(const char* data, std::uint64_t size, std::uint64_t parts, bool plain, char* hex) {
  if (!plain && !sha256_blocks_of_cpu()) return false;
  Sha256 hash(plain ? sha256_blocks_plain : sha256_blocks_of_cpu());
  for (std::uint64_t at = 0; at < size; at += parts) hash.update(data + at, size - at < parts ? size - at : parts);
  std::memcpy(hex, hash.hex().c_str(), 65);
  return true;
}

PROBE void probe_softmax(float* values, std::uint64_t count) { leanbert::softmax(values, count); }
PROBE void probe_sigmoid(float* values, std::uint64_t count) { leanbert::sigmoid(values, count); }
PROBE void probe_unit_length(float* values, std::uint64_t count) { normalize(values, count); }
PROBE void probe_pool(int pooling, const float* hidden, std::uint64_t tokens, std::uint64_t width, float* out) {
  pool(static_cast<Pooling>(pooling), hidden, tokens, width, out);
}
