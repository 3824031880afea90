// The encoder: a model, its team of threads, and the working memory of calls under way.
#pragma once

#include <atomic>

#include "error.h"
#include "memory.h"
#include "model.h"
#include "threads.h"

namespace leanbert {

struct Call {
  uint64_t n_sequences;
  const int32_t* lengths;
  uint64_t n_tokens;
  const int32_t* ids;
  const int32_t* types;  // or null
  float* out;
  uint64_t out_floats;
};

class Encoder {
 public:
  static Encoder* create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status);
  static void destroy(Encoder* encoder);

  int run(const Call& call, Error& error);
  const Model& model() const { return model_; }

 private:
  // Working memory of one call. Kept for the next call: a slot is free, or belongs to one caller.
  struct Slot {
    std::atomic<bool> busy{false};
    Region memory;
  };
  static constexpr size_t slots = 32;

  explicit Encoder(size_t threads) : team_(threads) {}
  int check(const Call& call, Error& error) const;
  void adopt_process();

  Model model_;
  Team team_;
  Slot slots_[slots];
  alignas(128) std::atomic<uint32_t> under_way_{0};
  std::atomic<bool> team_busy_{false};
  std::atomic<int> process_{0};  // the process whose threads the team has; -1 while a forked child takes over
};

}  // namespace leanbert
