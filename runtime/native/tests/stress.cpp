// Threads, forks and handles under stress, for the thread and address sanitizers: exit status 0 if every answer was
// right.
//
//   native_stress [calls a thread] [forks a team size]
//
// Children are forked while six callers compute. What a caller does there must not touch the heap: an allocator's lock
// that another thread holds during the fork stays locked in the child. glibc's malloc is prepared for that, the address
// sanitizer's (gcc 12, clang 14) is not: with vectors made per call a child of one in some tens of runs waited for
// SizeClassAllocator64's mutex for ever. lb_run itself allocates nothing (encoder.h), so callers with buffers of their own
// leave no lock behind.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "../bench/random_model.h"
#include "leanbert_native.h"

namespace {

constexpr int32_t vocabulary = 100;
constexpr size_t texts = 10, labels = 3, longest = 200;

struct Fixture {
  lb_encoder* encoder;
  std::vector<std::vector<int32_t>> ids;
  std::vector<float> expected;
  int calls;
  std::atomic<int> wrong{0};
};

// What one caller needs for any of its calls.
struct Buffers {
  int32_t lengths[texts], ids[texts * longest];
  float out[texts * labels];
  size_t chosen[texts];
};

// A call with the chosen texts; false if any answer differs in any bit.
bool right(const Fixture& f, size_t count, Buffers& b) {
  size_t tokens = 0;
  for (size_t i = 0; i < count; i++) {
    const std::vector<int32_t>& text = f.ids[b.chosen[i]];
    b.lengths[i] = static_cast<int32_t>(text.size());
    std::memcpy(b.ids + tokens, text.data(), text.size() * sizeof(int32_t));
    tokens += text.size();
  }
  char message[256];
  if (lb_run(f.encoder, count, b.lengths, tokens, b.ids, nullptr, b.out, count * labels, message, sizeof message) !=
      LB_OK) {
    std::fprintf(stderr, "%s\n", message);
    return false;
  }
  for (size_t i = 0; i < count; i++)
    if (std::memcmp(b.out + i * labels, &f.expected[b.chosen[i] * labels], labels * sizeof(float)) != 0) return false;
  return true;
}

bool some_calls(const Fixture& f, unsigned seed, int calls) {
  Buffers buffers;
  std::mt19937 generator(seed);
  for (int i = 0; i < calls; i++) {
    const size_t count = 1 + generator() % texts;
    for (size_t j = 0; j < count; j++) buffers.chosen[j] = generator() % texts;
    if (!right(f, count, buffers)) return false;
  }
  return true;
}

struct Caller {
  Fixture* fixture;
  unsigned seed;
};

void* call(void* argument) {
  const Caller& caller = *static_cast<Caller*>(argument);
  if (!some_calls(*caller.fixture, caller.seed, caller.fixture->calls)) caller.fixture->wrong++;
  return nullptr;
}

#if !defined(__SANITIZE_THREAD__)  // the thread sanitizer does not follow a fork of a threaded program
// A child that computes, forks a child of its own, and closes the handle; true if both were right.
bool forked(const Fixture& f, unsigned seed, bool again) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = some_calls(f, seed, 5);
    if (again) good = forked(f, seed + 1, false) && good;
    lb_close(f.encoder);
    _exit(good ? 0 : 1);
  }
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}
#endif

int check(uint32_t threads, int calls, int forks) {
  RandomModel model(2, 64, 2, 96, vocabulary);
  model.desc.threads = threads;
  Fixture f;
  f.calls = calls;
  char message[256];
  if (lb_open(&model.desc, &f.encoder, message, sizeof message) != LB_OK) {
    std::fprintf(stderr, "%s\n", message);
    return 1;
  }
  std::mt19937 generator(7);
  const size_t lengths[texts] = {1, 2, 5, 14, 15, 28, 64, 100, 129, longest};
  for (size_t n : lengths) {
    std::vector<int32_t> text(n);
    for (auto& id : text) id = static_cast<int32_t>(generator() % vocabulary);
    f.ids.push_back(text);
    std::vector<float> out(labels);
    const int32_t length = static_cast<int32_t>(n);
    lb_run(f.encoder, 1, &length, n, text.data(), nullptr, out.data(), labels, nullptr, 0);
    f.expected.insert(f.expected.end(), out.begin(), out.end());
  }
  if (!some_calls(f, 1, calls)) f.wrong++;
  pthread_t callers[6];
  Caller arguments[6];
  for (unsigned i = 0; i < 6; i++) {
    arguments[i] = {&f, i + 2};
    if (pthread_create(&callers[i], nullptr, call, &arguments[i]) != 0) return 1;
  }
#if defined(__SANITIZE_THREAD__)
  static_cast<void>(forks);
#else
  for (int i = 0; i < forks; i++)
    if (!forked(f, 99 + 2 * static_cast<unsigned>(i), i % 2 == 1)) f.wrong++;
#endif
  for (auto& caller : callers) pthread_join(caller, nullptr);
  if (!some_calls(f, 100, calls)) f.wrong++;
  lb_close(f.encoder);
  if (f.wrong) std::fprintf(stderr, "%u threads: wrong answers\n", threads);
  return f.wrong ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int calls = argc > 1 ? std::atoi(argv[1]) : 50, forks = argc > 2 ? std::atoi(argv[2]) : 6;
  int status = 0;
  for (uint32_t threads : {1u, 2u, 3u, 4u}) status |= check(threads, calls, forks);
  return status;
}
