// How a call is cut into groups; schedule.h says why.
//
// Cost model: a text of n tokens costs n (1 + n / 1600), because attention grows with the square of n and would double
// the cost of one of BERT-base's tokens at n = 1600. A group that the team shares costs 6% more (barriers, and every thread
// reads every weight). Threads count with their measured speeds. Every number of shared groups up to two per thread is tried; the schedule that ends first is taken.
// Where a thread did nothing in the last call, the team shares one group at least, so that its speed is measured again.
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

// Gives each of the first `count` groups to the thread that ends it first: `load` is when each thread ends, `taken` how
// many groups each got, if not null.
void deal_groups(const Schedule& schedule, size_t count, double* load, uint32_t* taken) {
  for (size_t t = 0; t < schedule.members; t++) load[t] = 0;
  for (size_t i = 0; i < count; i++) {
    const double cost = group_cost(schedule, schedule.groups[i]);
    size_t best = 0;
    double end = 1e300;
    for (size_t t = 0; t < schedule.members; t++) {
      const double with = load[t] + cost / static_cast<double>(schedule.split.speed[t]);
      if (with < end) {
        end = with;
        best = t;
      }
    }
    load[best] = end;
    if (taken) taken[best]++;
  }
}

// How many of the last groups the team should share, so that all finish together: tries up to two per thread.
size_t shared_groups(const Schedule& schedule, size_t count) {
  constexpr double sharing = 1.06;  // barriers, and every thread reads every weight
  double best = 1e300;
  size_t best_shared = 0;
  for (size_t shared = schedule.split.untried ? 1 : 0; shared <= count && shared <= 2 * schedule.members; shared++) {
    double load[max_team], most = 0, together = 0;
    deal_groups(schedule, count - shared, load, nullptr);
    for (size_t t = 0; t < schedule.members; t++)
      if (load[t] > most) most = load[t];
    for (size_t i = count - shared; i < count; i++) together += group_cost(schedule, schedule.groups[i]);
    const double total = most + sharing * together / schedule.split.total();
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
  if (by_columns(tokens, threads)) target = tokens;
  const size_t count = cut(schedule, target);
  size_t shared = 0;
  if (threads > 1) shared = count == 1 ? 1 : shared_groups(schedule, count);
  schedule.alone_count = count - shared;
  for (size_t t = 0; t < threads; t++) schedule.most[t] = UINT32_MAX;
  if (!schedule.split.even) {
    double load[max_team];
    uint32_t taken[max_team] = {};
    deal_groups(schedule, schedule.alone_count, load, taken);
    for (size_t t = 0; t < threads; t++)
      if (schedule.split.speed[t] < 1) schedule.most[t] = taken[t];
  }
  schedule.team_group = {0, 0, 0};
  for (size_t i = schedule.alone_count; i < count; i++) {
    if (!schedule.team_group.tokens) schedule.team_group.first = schedule.groups[i].first;
    schedule.team_group.count += schedule.groups[i].count;
    schedule.team_group.tokens += schedule.groups[i].tokens;
  }
}

}  // namespace leanbert
