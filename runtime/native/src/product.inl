// What the products of both paths share beside the epilogue: prefetching, and how the roof is measured. Included inside
// an ISA's namespace, in front of its register blocks.
#include "isa_functions.inl"

#include "functions.inl"

#include "epilogue.inl"

namespace {

// Locality as __builtin_prefetch has it: 3 is the first-level cache, 2 the second.
// Addresses to prefetch are numbers: they may lie outside the weights, where no pointer may.
template <int Locality>
LB_INLINE void prefetch(uintptr_t address) {
#if defined(LEANBERT_NATIVE_NO_PREFETCH)
  static_cast<void>(address);
#else
  __builtin_prefetch(reinterpret_cast<const char*>(address), 0, Locality);
#endif
}

// int8 operations a second of one thread: the best of many short runs of a register block on operands that stay in the
// first-level cache. `block` computes Rows x panel sums over K inputs.
template <size_t Rows, size_t Panel, size_t K, class Block>
LB_INLINE double measure_roof(double seconds, Block block) {
  constexpr int repeats = 200;
  alignas(64) static const int8_t weights[K * Panel] = {};
  alignas(64) uint8_t activations[Rows * K * quantized_bytes] = {};
  alignas(64) int32_t sums[Rows * Panel];
  const int32_t none[Panel] = {};
  const auto now = [] {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double end = now() + seconds;
  double best = 0, after;
  do {
    const double before = now();
    for (int i = 0; i < repeats; i++)
      block(activations, K * quantized_bytes, weights, K, sums, none, none, reinterpret_cast<uintptr_t>(weights));
    after = now();
    const double rate = repeats * 2. * Rows * Panel * K / (after - before);
    if (rate > best) best = rate;
  } while (after < end);
  return best;
}

}  // namespace
