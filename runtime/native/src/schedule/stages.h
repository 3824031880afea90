// Where the time of a call goes: each thread says which stage it enters, and the time until it enters another is counted
// for that stage.
//
// Only programs that are compiled with LEANBERT_NATIVE_STAGES count (native_bench); in the libraries `enter` is empty.
// Such a program can also make threads slower, as the small cores of a hybrid CPU are: a thread of slowness 3 spends
// in every stage but waiting twice again the time that the stage took.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(LEANBERT_NATIVE_STAGES)
#include "platform/platform.h"
#include "schedule/team_size.h"
#endif

namespace leanbert {

enum class Stage : size_t {
  other,  // the check of the call, its schedule, copies
  embed,
  qkv,
  attention,
  quantize,
  output,
  norm,  // with the quantization behind it
  up,    // with its activation
  down,
  head,
  wait,
  count
};

#if defined(LEANBERT_NATIVE_STAGES)

struct alignas(128) StageTimes {
  uint64_t ticks[static_cast<size_t>(Stage::count)] = {};
  uint64_t since = 0;
  Stage now = Stage::other;
  double slowness = 1;
};

inline bool count_stages = false;
inline StageTimes stage_times[max_team];  // of each member of the team
inline thread_local StageTimes* my_stages = nullptr;

// The calling thread is this member of the team from now on.
inline void begin_stages(size_t member) {
  my_stages = count_stages ? &stage_times[member] : nullptr;
  if (!my_stages) return;
  my_stages->now = Stage::other;
  my_stages->since = platform::ticks_now();
}

inline void enter(Stage stage) {
  StageTimes* times = my_stages;
  if (!times) return;
  uint64_t now = platform::ticks_now();
  if (times->slowness > 1 && times->now != Stage::wait) {
    const uint64_t end =
        times->since + static_cast<uint64_t>(static_cast<double>(now - times->since) * times->slowness);
    while ((now = platform::ticks_now()) < end) platform::relax();
  }
  times->ticks[static_cast<size_t>(times->now)] += now - times->since;
  times->since = now;
  times->now = stage;
}

#else

inline void begin_stages(size_t) {}
inline void enter(Stage) {}

#endif

}  // namespace leanbert
