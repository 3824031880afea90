// Everything that the engine asks of an operating system: windows.cpp, or posix.cpp with either linux.cpp (futexes, huge
// pages, placement of threads) or plain.cpp (condition variables alone: macOS, and any POSIX system).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace leanbert::platform {

// ---- time and processor --------------------------------------------------------------------------

// Of a clock that never goes back.
double seconds_now();

// A counter that grows evenly, the same on all cores: for ratios of times.
inline uint64_t ticks_now() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#endif
}

// One pause in a spinning loop.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // `yield` does nothing on most cores; this waits some ten cycles
#endif
}

// Every float operation of a call runs with rounding to nearest and denormals flushed to zero, whatever the caller's
// thread has set: the same bits everywhere, and no slow path for tiny numbers. The destructor restores.
class FloatMode {
 public:
  FloatMode();
  ~FloatMode();
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  const uint64_t before_;
};

// ---- memory --------------------------------------------------------------------------------------

size_t page_bytes();

// `bytes` zero bytes in pages of their own, or null. unmap takes what map gave.
void* map_memory(size_t bytes);
void unmap_memory(void* memory, size_t bytes);
// Asks for huge pages for whole ones inside, or that there be none. A wish: nothing fails.
void advise_huge_pages(void* memory, size_t bytes, bool wanted);

// On the heap, aligned to `alignment`, a power of two; or null.
void* allocate_aligned(size_t bytes, size_t alignment);
void free_aligned(void* memory);

// The content of a file of at least one byte, in memory of our own. It is read, not mapped: who changes the file later
// changes no answer, and who cuts it short ends no process with a bus error.
class FileCopy {
 public:
  FileCopy() = default;
  ~FileCopy();
  FileCopy(const FileCopy&) = delete;
  FileCopy& operator=(const FileCopy&) = delete;

  // Null, or why not: one line without the path ("No such file or directory"). A file of more than `most` bytes is not
  // read.
  const char* open(const char* path, uint64_t most = UINT64_MAX);
  bool missing() const { return missing_; }  // why not: there is no such file
  const char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Gives whole pages between the two back to the system. They must not be read again.
  void release(const void* from, const void* to) const;

 private:
  char* data_ = nullptr;
  size_t bytes_ = 0;
  bool missing_ = false;
};

// ---- threads -------------------------------------------------------------------------------------

// A thread that takes no signals: these belong to the program's own threads.
class Thread {
 public:
  bool start(void (*run)(void*), void* argument);
  void join();

 private:
  friend class Cores;
  friend struct ThreadEntry;
  void (*run_)(void*);
  void* argument_;
  uint64_t handle_ = 0;  // the system's
};

// Lets another thread that is ready run.
void yield();

// Sleeps while *word is `value`; may wake for no reason.
void wait(std::atomic<uint32_t>* word, uint32_t value);
void wake_all(std::atomic<uint32_t>* word);

// ---- cores ---------------------------------------------------------------------------------------

// The core that the calling thread is on, or -1 where the system does not tell.
int current_core();

// A set of cores. Where the system lets nobody choose, it stays empty, and nobody applies an empty one.
class Cores {
 public:
  static constexpr int most = 1024;

  void read_allowed();  // those that the calling thread may run on
  void remove(int core) {
    if (core >= 0 && core < most) bits_[core / 64] &= ~(uint64_t{1} << core % 64);
  }
  bool empty() const {
    for (const uint64_t word : bits_)
      if (word) return false;
    return true;
  }
  void apply() const;  // the calling thread runs on these alone
  void apply(const Thread& thread) const;

 private:
  uint64_t bits_[most / 64] = {};
};

// ---- forks ---------------------------------------------------------------------------------------

// How many forks lie between this process and the one that loaded the library. A count, not the process's id: ids are
// used again, and differ not at all across pid namespaces.
uint64_t fork_generation();
// Has forks counted; false if there is no memory for that. Done once, however often it is called.
bool watch_forks();

}  // namespace leanbert::platform
