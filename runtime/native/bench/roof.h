// The roof while calls are measured: the int8 rate of all threads at once, in turns with the calls. On a shared machine the
// rate of a thread changes within seconds (449 and 464 GOP/s on the project's), and a share of what was measured once would
// change with it.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/kernels.h"
#include "shapes.h"

// int8 operations per second of `threads` threads that all compute at once: the sum of what each reached in its best run.
// With more threads than cores they take turns, and the sum counts cores more than once.
inline double roof_now(const leanbert::Kernels& kernels, uint32_t threads) {
  constexpr double seconds = .01;
  std::vector<double> rates(threads);
  std::vector<std::thread> others;
  for (uint32_t t = 1; t < threads; t++) others.emplace_back([&, t] { rates[t] = kernels.roof(seconds); });
  rates[0] = kernels.roof(seconds);
  for (std::thread& other : others) other.join();
  return std::accumulate(rates.begin(), rates.end(), 0.);
}

// Calls `sample` in turns of 50 ms (of one call, where that takes longer) until `seconds` are over and there are at least
// `least` samples. `wake` opens a turn and wakes the threads. Returns the roof at the end of each sample's turn.
inline std::vector<double> in_turns_with_roof(const leanbert::Kernels& kernels, uint32_t threads, double seconds,
                                              size_t least, const std::function<void()>& wake,
                                              const std::function<void()>& sample) {
  std::vector<double> roofs;
  const double end = now() + seconds;
  for (size_t count = 0; now() < end || count < least;) {
    wake();
    const double pause = now() + .05;
    do {
      sample();
      count++;
    } while (now() < pause);
    roofs.resize(count, roof_now(kernels, threads));
  }
  return roofs;
}
