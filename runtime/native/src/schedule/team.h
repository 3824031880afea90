// The workers of one handle, and the barrier between stages of a call.
//
// One call at a time runs on the team: the caller is member 0, the workers are 1 .. size-1. Everybody spins for a short
// while and then sleeps (platform::wait), so an idle handle costs nothing. A caller that finds another call under way does
// not queue: it computes alone on its own thread (see encoder.cpp), so throughput never falls below one thread
// per caller.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "platform/platform.h"
#include "schedule/deal.h"
#include "schedule/speeds.h"
#include "schedule/team_size.h"

namespace leanbert {

// All members wait for each other. Every member has a counter of barriers passed, in a cache line of its own, and
// waits until no counter is behind its own: one transfer of a line between two members, no read-modify-write.
class Barrier {
 public:
  void reset() {
    for (auto& flag : flags_) flag.count.store(0, std::memory_order_relaxed);
  }
  void wait(size_t member, size_t members);

 private:
  struct alignas(128) Flag {  // 128: neighbouring lines are fetched in pairs
    std::atomic<uint32_t> count{0};
  };
  Flag flags_[max_team];
};

class Team {
 public:
  explicit Team(size_t size) : size_(size) {}
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  size_t size() const { return size_; }
  Barrier barrier;
  Deal heads, rows;
  Speeds speeds;

  using Job = void (*)(void* context, size_t member);
  // Runs job(context, m) for every member; false, with nothing run, if the workers cannot be started.
  // The caller holds the team (see encoder.cpp).
  bool run(Job job, void* context);

  // To be called in a forked child, which has none of the parent's workers: the next run starts new ones.
  void forget();

 private:
  struct Worker {
    Team* team;
    size_t member;
    platform::Thread thread;
  };
  static void main(void* worker);
  void work(size_t member);
  void settle(size_t member);
  bool start();

  const size_t size_;
  Worker workers_[max_team] = {};
  size_t started_ = 0;
  alignas(128) std::atomic<uint32_t> ticket_{0};  // raised for every job: what workers wait on
  std::atomic<uint32_t> asleep_{0};
  std::atomic<bool> stop_{false};
  Job job_ = nullptr;
  void* context_ = nullptr;
  platform::Cores allowed_;
  std::atomic<int> core_[max_team] = {};  // of each member, -1: not known
  alignas(128) std::atomic<uint32_t> done_{0};
};

}  // namespace leanbert
