// Threads, forks and handles under stress, for the thread and address sanitizers: exit status 0 if every answer was
// right.
//
//   native_stress [calls a thread]
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
constexpr size_t texts = 10, labels = 3;

struct Fixture {
  lb_encoder* encoder;
  std::vector<std::vector<int32_t>> ids;
  std::vector<float> expected;
  int calls;
  std::atomic<int> wrong{0};
};

// A call with the chosen texts; false if any answer differs in any bit.
bool right(const Fixture& f, const std::vector<size_t>& chosen) {
  std::vector<int32_t> lengths, ids;
  for (size_t i : chosen) {
    lengths.push_back(static_cast<int32_t>(f.ids[i].size()));
    ids.insert(ids.end(), f.ids[i].begin(), f.ids[i].end());
  }
  std::vector<float> out(chosen.size() * labels);
  char message[256];
  if (lb_run(f.encoder, chosen.size(), lengths.data(), ids.size(), ids.data(), nullptr, out.data(), out.size(), message,
             sizeof message) != LB_OK) {
    std::fprintf(stderr, "%s\n", message);
    return false;
  }
  for (size_t i = 0; i < chosen.size(); i++)
    if (std::memcmp(&out[i * labels], &f.expected[chosen[i] * labels], labels * sizeof(float)) != 0) return false;
  return true;
}

bool some_calls(const Fixture& f, unsigned seed) {
  std::mt19937 generator(seed);
  for (int i = 0; i < f.calls; i++) {
    std::vector<size_t> chosen(1 + generator() % texts);
    for (auto& c : chosen) c = generator() % texts;
    if (!right(f, chosen)) return false;
  }
  return true;
}

struct Caller {
  Fixture* fixture;
  unsigned seed;
};

void* call(void* argument) {
  const Caller& caller = *static_cast<Caller*>(argument);
  if (!some_calls(*caller.fixture, caller.seed)) caller.fixture->wrong++;
  return nullptr;
}

int check(uint32_t threads, int calls) {
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
  const size_t lengths[texts] = {1, 2, 5, 14, 15, 28, 64, 100, 129, 200};
  for (size_t n : lengths) {
    std::vector<int32_t> text(n);
    for (auto& id : text) id = static_cast<int32_t>(generator() % vocabulary);
    f.ids.push_back(text);
    std::vector<float> out(labels);
    const int32_t length = static_cast<int32_t>(n);
    lb_run(f.encoder, 1, &length, n, text.data(), nullptr, out.data(), labels, nullptr, 0);
    f.expected.insert(f.expected.end(), out.begin(), out.end());
  }
  if (!some_calls(f, 1)) f.wrong++;
  pthread_t callers[6];
  Caller arguments[6];
  for (unsigned i = 0; i < 6; i++) {
    arguments[i] = {&f, i + 2};
    if (pthread_create(&callers[i], nullptr, call, &arguments[i]) != 0) return 1;
  }
#if !defined(__SANITIZE_THREAD__)  // the thread sanitizer does not follow a fork of a threaded program
  const pid_t child = fork();      // while calls are under way
  if (child == 0) {
    const bool good = some_calls(f, 99);
    lb_close(f.encoder);
    _exit(good ? 0 : 1);
  }
#endif
  for (auto& caller : callers) pthread_join(caller, nullptr);
#if !defined(__SANITIZE_THREAD__)
  int status = 1;
  if (waitpid(child, &status, 0) != child || status != 0) f.wrong++;
#endif
  if (!some_calls(f, 100)) f.wrong++;
  lb_close(f.encoder);
  if (f.wrong) std::fprintf(stderr, "%u threads: wrong answers\n", threads);
  return f.wrong ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int calls = argc > 1 ? std::atoi(argv[1]) : 50;
  int status = 0;
  for (uint32_t threads : {1u, 2u, 3u, 4u}) status |= check(threads, calls);
  return status;
}
