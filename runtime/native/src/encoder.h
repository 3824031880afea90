// The encoder: a model, its team of threads, and the working memory of calls under way.
#pragma once

#include <atomic>

#include "error.h"
#include "memory.h"
#include "model.h"
#include "plan.h"
#include "threads.h"

namespace leanbert {

class Encoder {
 public:
  static Encoder* create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status);
  static void destroy(Encoder* encoder);

  int run(const Call& call, Error& error);
  const Model& model() const { return model_; }

 private:
  // Memory of one call. Kept for the next call: a slot is free, or belongs to one caller. Regions, not the heap: a call
  // leaves no lock of an allocator behind in a child that is forked meanwhile.
  struct Slot {
    std::atomic<bool> busy{false};
    Region lists;   // sequences and groups
    Region memory;  // workspace.h
  };
  static constexpr size_t slots = 32;

  explicit Encoder(size_t threads) : team_(threads), generation_(2 * fork_generation()) {}
  int check(const Call& call, Error& error) const;
  int compute(const Call& call, bool team, Slot& slot, Error& error);
  Slot* take_slot();
  void adopt_process();

  Model model_;
  Team team_;
  Slot slots_[slots];
  alignas(128) std::atomic<uint32_t> under_way_{0};
  std::atomic<bool> team_busy_{false};
  std::atomic<uint64_t> generation_;  // of the process whose threads the team has (adopt_process)
};

}  // namespace leanbert
