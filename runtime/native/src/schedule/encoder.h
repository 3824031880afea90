// The encoder: a model, its team of threads, and the working memory of calls under way.
#pragma once

#include <atomic>

#include "error.h"
#include "platform/memory.h"
#include "model/model.h"
#include "schedule/schedule.h"
#include "schedule/team.h"

namespace leanbert {

class Encoder {
 public:
  static Encoder* create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status,
                         const FileCheck* check = nullptr);
  static void destroy(Encoder* encoder);

  int run(const Call& call, Error& error);
  const Model& model() const { return model_; }

 private:
  // The memory of one call, kept for later calls. A slot is free, or one caller has it. The memory is not from the heap:
  // a child that is forked amid a call would find the heap's lock taken.
  struct Slot {
    std::atomic<bool> busy{false};
    Region lists;   // sequences and groups
    Region memory;  // workspace.h
  };
  static constexpr size_t slots = 32;

  explicit Encoder(size_t threads) : team_(threads), generation_(2 * platform::fork_generation()) {}
  int check(const Call& call, Error& error) const;
  int compute(const Call& call, bool team, Slot& slot, Error& error);
  Slot* take_slot();
  void adopt_process();

  Model model_;
  Team team_;
  Slot slots_[slots];
  alignas(128) std::atomic<uint32_t> under_way_{0};
  std::atomic<bool> team_busy_{false};
  std::atomic<uint64_t> generation_;  // which process the marks above belong to (adopt_process)
};

}  // namespace leanbert
