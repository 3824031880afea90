// How a call is cut into groups; schedule.h says why.
//
// Cost model: a text of n tokens costs n (1 + n / 1600), because attention grows with the square of n and would double
// the cost of one of BERT-base's tokens at n = 1600. A group that the team shares costs 6% more (barriers, and every thread
// reads every weight). Every number of shared groups up to two per thread is tried; the schedule that ends first is taken.
#include "schedule/schedule.h"

#include <algorithm>

#include "schedule/team.h"

namespace leanbert {
namespace {

constexpr size_t group_tokens = 128;

double cost(size_t length) { return static_cast<double>(length) * (1. + static_cast<double>(length) / 1600.); }

double group_cost(const Schedule& schedule, const Group& group) {
  double sum = 0;
  for (size_t i = 0; i < group.count; i++) sum += cost(schedule.sequences[group.first + i].length);
  return sum;
}

// Cuts the sorted texts into groups of about `target` tokens; returns their number.
size_t cut(Schedule& schedule, size_t target) {
  size_t count = 0;
  for (size_t i = 0; i < schedule.call->n_sequences;) {
    Group& group = schedule.groups[count++];
    group = {i, 0, 0};
    do {
      group.tokens += schedule.sequences[i++].length;
      group.count++;
    } while (i < schedule.call->n_sequences && group.tokens + schedule.sequences[i].length <= target);
  }
  return count;
}

// How many of the last groups the team should share, so that all finish together: tries up to two per thread.
size_t shared_groups(const Schedule& schedule, size_t count) {
  constexpr double sharing = 1.06;  // barriers, and every thread reads every weight
  double best = 1e300;
  size_t best_shared = 0;
  for (size_t shared = 0; shared <= count && shared <= 2 * schedule.members; shared++) {
    double load[max_team] = {}, most = 0, together = 0;
    for (size_t i = 0; i + shared < count; i++) {
      size_t least = 0;
      for (size_t t = 1; t < schedule.members; t++)
        if (load[t] < load[least]) least = t;
      load[least] += group_cost(schedule, schedule.groups[i]);
    }
    for (size_t t = 0; t < schedule.members; t++)
      if (load[t] > most) most = load[t];
    for (size_t i = count - shared; i < count; i++) together += group_cost(schedule, schedule.groups[i]);
    const double total = most + sharing * together / static_cast<double>(schedule.members);
    if (total < best) {
      best = total;
      best_shared = shared;
    }
  }
  return best_shared;
}

}  // namespace

void list_sequences(Schedule& schedule) {
  const Call& call = *schedule.call;
  uint64_t first = 0;
  for (size_t i = 0; i < call.n_sequences; i++) {
    const uint32_t length = static_cast<uint32_t>(call.lengths[i]);
    schedule.sequences[i] = {first, i, length};
    first += length;
  }
  // not qsort, which allocates from the heap: a call must not (encoder.h)
  std::sort(schedule.sequences, schedule.sequences + call.n_sequences, [](const Sequence& a, const Sequence& b) {
    return a.length != b.length ? a.length > b.length : a.index < b.index;
  });
}

void make_schedule(Schedule& schedule) {
  const size_t tokens = schedule.call->n_tokens, threads = schedule.members;
  size_t target = (tokens + threads - 1) / threads;
  if (target > group_tokens) target = group_tokens;
  if (threads > 1 && tokens <= column_rows_per_thread * threads) target = tokens;
  const size_t count = cut(schedule, target);
  size_t shared = 0;
  if (threads > 1) shared = count == 1 ? 1 : shared_groups(schedule, count);
  schedule.alone_count = count - shared;
  schedule.team_group = {0, 0, 0};
  for (size_t i = schedule.alone_count; i < count; i++) {
    if (!schedule.team_group.tokens) schedule.team_group.first = schedule.groups[i].first;
    schedule.team_group.count += schedule.groups[i].count;
    schedule.team_group.tokens += schedule.groups[i].tokens;
  }
}

}  // namespace leanbert
