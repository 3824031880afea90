// Team: wake, work, park. threads.h says how it is used.
//
// Measured (Zen 4, two cores): a job handed to a spinning worker starts after about 0.2 us, to a sleeping one after 5
// to 50 us. After an idle gap the kernel often wakes the worker on the caller's own core, where the two then take turns
// (11.7 ms for a text of 8 tokens instead of 3.0). So the caller takes its own core out of the sleepers' affinity
// before it wakes them (1 us each), and a worker that nevertheless finds itself on a core of a lower member moves to
// another.
#include "threads.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <climits>

namespace leanbert {
namespace {

constexpr int spins_before_yield = 2000;
constexpr int spins_before_sleep = 3000;  // about 50 us

void futex_wait(std::atomic<uint32_t>* word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void futex_wake_all(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

namespace {

std::atomic<uint64_t> forks{0};
std::atomic<bool> forks_watched{false};
pthread_once_t watch_once = PTHREAD_ONCE_INIT;

void count_fork() { forks.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

uint64_t fork_generation() { return forks.load(std::memory_order_relaxed); }

bool watch_forks() {
  pthread_once(&watch_once, [] { forks_watched.store(pthread_atfork(nullptr, nullptr, count_fork) == 0); });
  return forks_watched.load();
}

void Barrier::wait(size_t member, size_t members) {
  const uint32_t mine = flags_[member].count.load(std::memory_order_relaxed) + 1;
  flags_[member].count.store(mine, std::memory_order_release);
  for (size_t i = 0; i < members; i++) {
    int spins = 0;
    while (static_cast<int32_t>(flags_[i].count.load(std::memory_order_acquire) - mine) < 0) {
      relax();
      if (++spins > spins_before_yield) {  // somebody else needs the core that our partner needs
        sched_yield();
        spins = 0;
      }
    }
  }
}

bool Team::start() {
  if (started_ + 1 == size_) return true;
  barrier.reset();
  CPU_ZERO(&allowed_);
  sched_getaffinity(0, sizeof allowed_, &allowed_);
  // Signals belong to the program's own threads.
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  while (started_ + 1 < size_) {
    Worker& worker = workers_[started_];
    worker.team = this;
    worker.member = started_ + 1;
    if (pthread_create(&worker.thread, nullptr, main, &worker) != 0) break;
    started_++;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started_ + 1 == size_;
}

bool Team::run(Job job, void* context) {
  if (!start()) return false;
  job_ = job;
  context_ = context;
  for (size_t i = 1; i < size_; i++) cpu_[i].store(-1, std::memory_order_relaxed);
  // Workers may run where the caller may: asked again when the caller is not where it was, or somebody has slept.
  const int cpu = sched_getcpu();
  const bool sleepers = asleep_.load(std::memory_order_relaxed) != 0;
  if (sleepers || cpu != cpu_[0].load(std::memory_order_relaxed)) sched_getaffinity(0, sizeof allowed_, &allowed_);
  if (sleepers && cpu >= 0 && cpu < CPU_SETSIZE) {
    cpu_set_t others = allowed_;
    CPU_CLR(cpu, &others);
    for (size_t i = 0; i < started_ && CPU_COUNT(&others) > 0; i++)
      pthread_setaffinity_np(workers_[i].thread, sizeof others, &others);
  }
  cpu_[0].store(cpu, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) futex_wake_all(&ticket_);
  work(0);
  int spins = 0;
  while (done_.load(std::memory_order_acquire) + 1 != size_) {
    relax();
    if (++spins > spins_before_yield) {
      sched_yield();
      spins = 0;
    }
  }
  return true;
}

void Team::work(size_t member) { job_(context_, member); }

void Team::settle(size_t member) {
  const int here = sched_getcpu();
  bool taken = false;
  cpu_set_t others;
  others = allowed_;
  for (size_t i = 0; i < member; i++) {
    const int cpu = cpu_[i].load(std::memory_order_relaxed);
    if (cpu < 0 || cpu >= CPU_SETSIZE) continue;
    if (cpu == here) taken = true;
    CPU_CLR(cpu, &others);
  }
  if (taken && CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof others, &others);
  cpu_[member].store(sched_getcpu(), std::memory_order_relaxed);
}

void* Team::main(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  Team& team = *worker.team;
  uint32_t seen = 0;
  for (;;) {
    int spins = 0;
    while (team.ticket_.load(std::memory_order_acquire) == seen) {
      relax();
      if (++spins < spins_before_sleep) continue;
      team.asleep_.fetch_add(1, std::memory_order_seq_cst);
      if (team.ticket_.load(std::memory_order_seq_cst) == seen) futex_wait(&team.ticket_, seen);
      team.asleep_.fetch_sub(1, std::memory_order_seq_cst);
      spins = 0;
    }
    seen++;
    if (team.stop_.load(std::memory_order_acquire)) return nullptr;
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
  futex_wake_all(&ticket_);
  for (size_t i = 0; i < started_; i++) pthread_join(workers_[i].thread, nullptr);
}

}  // namespace leanbert
