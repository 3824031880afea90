// What Linux alone offers: futexes, huge pages on request, the placement of threads.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "platform/posix.h"

namespace leanbert::platform {

void advise_huge_pages(void* memory, size_t bytes, bool wanted) {
  madvise(memory, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void wait(std::atomic<uint32_t>* word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake_all(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void reset_waits() {}

int current_core() { return sched_getcpu(); }

static_assert(sizeof(cpu_set_t) == Cores::most / 8, "Cores keeps a cpu_set_t");

void Cores::read_allowed() {
  std::memset(bits_, 0, sizeof bits_);
  sched_getaffinity(0, sizeof bits_, reinterpret_cast<cpu_set_t*>(bits_));
}

void Cores::apply() const { sched_setaffinity(0, sizeof bits_, reinterpret_cast<const cpu_set_t*>(bits_)); }

void Cores::apply(const Thread& thread) const {
  pthread_t id;
  std::memcpy(&id, &thread.handle_, sizeof id);
  pthread_setaffinity_np(id, sizeof bits_, reinterpret_cast<const cpu_set_t*>(bits_));
}

}  // namespace leanbert::platform
