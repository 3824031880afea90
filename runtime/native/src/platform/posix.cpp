// What POSIX offers: clock, mappings, threads, forks.
#include "platform/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace leanbert::platform {

double seconds_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* map_memory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void unmap_memory(void* memory, size_t bytes) { munmap(memory, bytes); }

void* allocate_aligned(size_t bytes, size_t alignment) {
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

void free_aligned(void* memory) { std::free(memory); }

FileCopy::~FileCopy() {
  if (data_) unmap_memory(data_, bytes_);
}

const char* FileCopy::open(const char* path, uint64_t most_bytes) {
  // A pipe without a writer must not block.
  const int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  missing_ = file < 0 && (errno == ENOENT || errno == ENOTDIR);
  if (file < 0) return std::strerror(errno);
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    close(file);
    return "not a file with content";
  }
  if (static_cast<uint64_t>(info.st_size) > most_bytes) {
    close(file);
    return "larger than such a file may be";
  }
  bytes_ = static_cast<size_t>(info.st_size);
  data_ = static_cast<char*>(map_memory(bytes_));
  const char* why_not = data_ ? nullptr : "out of memory";
  for (size_t at = 0; !why_not && at < bytes_;) {
    constexpr size_t most = size_t{1} << 30;  // of one call, below every system's limit
    const ssize_t got = read(file, data_ + at, bytes_ - at < most ? bytes_ - at : most);
    if (got > 0) at += static_cast<size_t>(got);
    if (got == 0) why_not = "it was cut short";
    if (got < 0 && errno != EINTR) why_not = std::strerror(errno);
  }
  close(file);
  return why_not;
}

void FileCopy::release(const void* first, const void* last) const {
  const uintptr_t page = page_bytes(), from = (reinterpret_cast<uintptr_t>(first) + page - 1) / page * page,
                  to = reinterpret_cast<uintptr_t>(last) / page * page;
  if (to > from) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

static_assert(sizeof(pthread_t) <= sizeof(uint64_t), "Thread keeps a pthread_t in 64 bits");

struct ThreadEntry {
  static void* main(void* self) {
    const Thread& thread = *static_cast<Thread*>(self);
    thread.run_(thread.argument_);
    return nullptr;
  }
};

bool Thread::start(void (*run)(void*), void* argument) {
  run_ = run;
  argument_ = argument;
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, ThreadEntry::main, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) std::memcpy(&handle_, &thread, sizeof thread);
  return started;
}

void Thread::join() {
  pthread_t thread;
  std::memcpy(&thread, &handle_, sizeof thread);
  pthread_join(thread, nullptr);
}

void yield() { sched_yield(); }

namespace {

std::atomic<uint64_t> forks{0};
std::atomic<bool> forks_watched{false};
pthread_once_t watch_once = PTHREAD_ONCE_INIT;

void count_fork() {
  forks.fetch_add(1, std::memory_order_relaxed);
  reset_waits();
}

}  // namespace

uint64_t fork_generation() { return forks.load(std::memory_order_relaxed); }

bool watch_forks() {
  pthread_once(&watch_once, [] { forks_watched.store(pthread_atfork(nullptr, nullptr, count_fork) == 0); });
  return forks_watched.load();
}

}  // namespace leanbert::platform
