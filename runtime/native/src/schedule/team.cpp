// How the team's threads wake, work and sleep; team.h says how the team is used.
//
// Measured (Zen 4, two cores): a job handed to a spinning worker starts after about 0.2 us, to a sleeping one after 5
// to 50 us. After an idle gap the kernel often wakes the worker on the caller's own core, where the two then take turns
// (11.7 ms for a text of 8 tokens instead of 3.0). So the caller takes its own core out of the sleepers' affinity
// before it wakes them (1 us each), and a worker that nevertheless finds itself on a core of a lower member moves to
// another.
#include "schedule/team.h"

namespace leanbert {
namespace {

constexpr int spins_before_yield = 2000;
constexpr int spins_before_sleep = 3000;  // about 50 us

}  // namespace

void Barrier::wait(size_t member, size_t members) {
  const uint32_t mine = flags_[member].count.load(std::memory_order_relaxed) + 1;
  flags_[member].count.store(mine, std::memory_order_release);
  for (size_t i = 0; i < members; i++) {
    int spins = 0;
    while (static_cast<int32_t>(flags_[i].count.load(std::memory_order_acquire) - mine) < 0) {
      platform::relax();
      if (++spins > spins_before_yield) {  // the member that we wait for may need this core
        platform::yield();
        spins = 0;
      }
    }
  }
}

bool Team::start() {
  if (started_ + 1 == size_) return true;
  barrier.reset();
  allowed_.read_allowed();
  while (started_ + 1 < size_) {
    Worker& worker = workers_[started_];
    worker.team = this;
    worker.member = started_ + 1;
    if (!worker.thread.start(main, &worker)) break;
    started_++;
  }
  return started_ + 1 == size_;
}

bool Team::run(Job job, void* context) {
  if (!start()) return false;
  job_ = job;
  context_ = context;
  for (size_t i = 1; i < size_; i++) core_[i].store(-1, std::memory_order_relaxed);
  // Workers may run where the caller may. The system is asked again when the caller has moved, or a worker has slept.
  const int core = platform::current_core();
  const bool sleepers = asleep_.load(std::memory_order_relaxed) != 0;
  if (sleepers || core != core_[0].load(std::memory_order_relaxed)) allowed_.read_allowed();
  if (sleepers && core >= 0) {
    platform::Cores others = allowed_;
    others.remove(core);
    for (size_t i = 0; i < started_ && !others.empty(); i++) others.apply(workers_[i].thread);
  }
  core_[0].store(core, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) platform::wake_all(&ticket_);
  work(0);
  int spins = 0;
  while (done_.load(std::memory_order_acquire) + 1 != size_) {
    platform::relax();
    if (++spins > spins_before_yield) {
      platform::yield();
      spins = 0;
    }
  }
  return true;
}

void Team::work(size_t member) { job_(context_, member); }

void Team::settle(size_t member) {
  const int here = platform::current_core();
  bool taken = false;
  platform::Cores others = allowed_;
  for (size_t i = 0; i < member; i++) {
    const int core = core_[i].load(std::memory_order_relaxed);
    if (core < 0) continue;
    if (core == here) taken = true;
    others.remove(core);
  }
  if (taken && !others.empty()) others.apply();
  core_[member].store(platform::current_core(), std::memory_order_relaxed);
}

void Team::main(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  Team& team = *worker.team;
  uint32_t seen = 0;
  for (;;) {
    int spins = 0;
    while (team.ticket_.load(std::memory_order_acquire) == seen) {
      platform::relax();
      if (++spins < spins_before_sleep) continue;
      team.asleep_.fetch_add(1, std::memory_order_seq_cst);
      if (team.ticket_.load(std::memory_order_seq_cst) == seen) platform::wait(&team.ticket_, seen);
      team.asleep_.fetch_sub(1, std::memory_order_seq_cst);
      spins = 0;
    }
    seen++;
    if (team.stop_.load(std::memory_order_acquire)) return;
    team.settle(worker.member);
    team.work(worker.member);
    team.done_.fetch_add(1, std::memory_order_release);
  }
}

void Team::forget() {
  started_ = 0;
  ticket_.store(0, std::memory_order_relaxed);
  asleep_.store(0, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  barrier.reset();
}

Team::~Team() {
  if (!started_) return;
  stop_.store(true, std::memory_order_release);
  ticket_.fetch_add(1, std::memory_order_seq_cst);
  platform::wake_all(&ticket_);
  for (size_t i = 0; i < started_; i++) workers_[i].thread.join();
}

}  // namespace leanbert
