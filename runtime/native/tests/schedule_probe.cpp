// Shares by speed for tests/native/test_speeds.py: what a call would get after the calls of a history.
#include <vector>

#include "schedule/deal.h"
#include "schedule/schedule.h"
#include "schedule/speeds.h"

using namespace leanbert;

#define LB_PROBE extern "C" __attribute__((visibility("default"))) int

namespace {

// ticks [calls, members]: of one row each; 0: the member had no share
Split after(size_t members, size_t calls, const uint64_t* ticks) {
  Speeds speeds;
  for (size_t i = 0; i < calls * members; i++) speeds.note(Speeds::rows, i % members, {ticks[i], ticks[i] ? 1. : 0.});
  return speeds.split(Speeds::rows, members);
}

}  // namespace

// speed [members]; returns whether a member is to be tried again
LB_PROBE probe_speeds(size_t members, size_t calls, const uint64_t* ticks, float* speed) {
  const Split split = after(members, calls, ticks);
  for (size_t i = 0; i < members; i++) speed[i] = split.speed[i];
  return split.untried;
}

// The speed of a member that needs `now` ticks per row in this call.
LB_PROBE probe_speed_now(size_t members, size_t calls, const uint64_t* ticks, size_t member, uint64_t now,
                         float* speed) {
  *speed = Speeds::now(after(members, calls, ticks), member, {now, now ? 1. : 0.});
  return 0;
}

// A call of `texts` texts of 128 tokens: alone [members] gets the groups that a member may begin alone; returns the number
// of tokens that the team shares.
LB_PROBE probe_schedule(size_t members, size_t calls, const uint64_t* ticks, size_t texts, uint32_t* alone) {
  const std::vector<int32_t> lengths(texts, 128);
  std::vector<Sequence> sequences(texts);
  std::vector<Group> groups(texts);
  const Call call{texts, lengths.data(), texts * 128, nullptr, nullptr, nullptr, 0};
  Schedule schedule{};
  schedule.call = &call;
  schedule.sequences = sequences.data();
  schedule.groups = groups.data();
  schedule.members = members;
  schedule.kind = Speeds::rows;
  schedule.split = after(members, calls, ticks);
  list_sequences(schedule);
  make_schedule(schedule);
  for (size_t i = 0; i < members; i++) alone[i] = schedule.most[i];
  return static_cast<int>(schedule.team_group.tokens);
}

// How many pieces member 0, at `speed`, takes of the `left` that member 1 has, whose speed is 1.
LB_PROBE probe_steal(float speed, size_t left, size_t least, size_t most) {
  Split split;
  split.members = 2;
  split.speed[0] = split.speed[1] = 1;
  Deal deal;
  deal.offer(0, 0, 0);
  deal.offer(1, 0, left);
  size_t from = 0, to = 0;
  return deal.steal(0, speed, split, least, most, &from, &to) ? static_cast<int>(to - from) : 0;
}
