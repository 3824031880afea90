// Waiting with condition variables, and no placement of threads: macOS, and Linux for tests of this file
// (LEANBERT_NATIVE_PLATFORM=posix).
//
// Words share a few locks by address. A waiter looks at its word while it holds the lock, and a waker takes the lock after
// it has changed the word: no wake-up falls between the look and the sleep.
#include <pthread.h>

#include "platform/posix.h"

namespace leanbert::platform {
namespace {

struct Bucket {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
};

constexpr size_t count = 16;
Bucket buckets[count];

Bucket& bucket_of(const void* word) { return buckets[reinterpret_cast<uintptr_t>(word) / 128 % count]; }

// Before any thread can wait: when the library is loaded.
struct Initialized {
  Initialized() { reset_waits(); }
} initialized;

}  // namespace

void reset_waits() {
  for (Bucket& bucket : buckets) bucket = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
}

void wait(std::atomic<uint32_t>* word, uint32_t value) {
  Bucket& bucket = bucket_of(word);
  pthread_mutex_lock(&bucket.mutex);
  while (word->load(std::memory_order_seq_cst) == value) pthread_cond_wait(&bucket.changed, &bucket.mutex);
  pthread_mutex_unlock(&bucket.mutex);
}

void wake_all(std::atomic<uint32_t>* word) {
  Bucket& bucket = bucket_of(word);
  pthread_mutex_lock(&bucket.mutex);
  pthread_cond_broadcast(&bucket.changed);
  pthread_mutex_unlock(&bucket.mutex);
}

void advise_huge_pages(void*, size_t, bool) {}

int current_core() { return -1; }
void Cores::read_allowed() {}
void Cores::apply() const {}
void Cores::apply(const Thread&) const {}

}  // namespace leanbert::platform
