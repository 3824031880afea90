// Cutting a call into groups; plan.h says what for.
//
// Cost model: a text of n tokens costs n (1 + n / 1600): attention grows with the square, and at 1600 tokens it would
// double the cost of BERT-base's token. Sharing a group costs 6% (barriers; every thread reads every weight). The number of
// groups to share is tried out, up to two a thread: the least "longest thread, then the shared rest" wins.
#include "plan.h"

#include <algorithm>

#include "threads.h"

namespace leanbert {
namespace {

constexpr size_t group_tokens = 128;

double cost(size_t length) { return static_cast<double>(length) * (1. + static_cast<double>(length) / 1600.); }

double group_cost(const Plan& plan, const Group& group) {
  double sum = 0;
  for (size_t i = 0; i < group.count; i++) sum += cost(plan.sequences[group.first + i].length);
  return sum;
}

// Cuts the sorted texts into groups of about `target` tokens; returns their number.
size_t cut(Plan& plan, size_t target) {
  size_t count = 0;
  for (size_t i = 0; i < plan.call->n_sequences;) {
    Group& group = plan.groups[count++];
    group = {i, 0, 0};
    do {
      group.tokens += plan.sequences[i++].length;
      group.count++;
    } while (i < plan.call->n_sequences && group.tokens + plan.sequences[i].length <= target);
  }
  return count;
}

// How many of the last groups the team should share, so that all finish together: tries up to two a thread.
size_t shared_groups(const Plan& plan, size_t count) {
  constexpr double sharing = 1.06;  // barriers, and every thread reads every weight
  double best = 1e300;
  size_t best_shared = 0;
  for (size_t shared = 0; shared <= count && shared <= 2 * plan.members; shared++) {
    double load[max_team] = {}, most = 0, together = 0;
    for (size_t i = 0; i + shared < count; i++) {
      size_t least = 0;
      for (size_t t = 1; t < plan.members; t++)
        if (load[t] < load[least]) least = t;
      load[least] += group_cost(plan, plan.groups[i]);
    }
    for (size_t t = 0; t < plan.members; t++)
      if (load[t] > most) most = load[t];
    for (size_t i = count - shared; i < count; i++) together += group_cost(plan, plan.groups[i]);
    const double total = most + sharing * together / static_cast<double>(plan.members);
    if (total < best) {
      best = total;
      best_shared = shared;
    }
  }
  return best_shared;
}

}  // namespace

void list_sequences(Plan& plan) {
  const Call& call = *plan.call;
  uint64_t first = 0;
  for (size_t i = 0; i < call.n_sequences; i++) {
    const uint32_t length = static_cast<uint32_t>(call.lengths[i]);
    plan.sequences[i] = {first, i, length};
    first += length;
  }
  // not qsort, which allocates: a call must not (encoder.h)
  std::sort(plan.sequences, plan.sequences + call.n_sequences, [](const Sequence& a, const Sequence& b) {
    return a.length != b.length ? a.length > b.length : a.index < b.index;
  });
}

void make_plan(Plan& plan) {
  const size_t tokens = plan.call->n_tokens, threads = plan.members;
  size_t target = (tokens + threads - 1) / threads;
  if (target > group_tokens) target = group_tokens;
  if (threads > 1 && tokens <= column_rows_per_thread * threads) target = tokens;
  const size_t count = cut(plan, target);
  size_t shared = 0;
  if (threads > 1) shared = count == 1 ? 1 : shared_groups(plan, count);
  plan.alone_count = count - shared;
  plan.team_group = {0, 0, 0};
  for (size_t i = plan.alone_count; i < count; i++) {
    if (!plan.team_group.tokens) plan.team_group.first = plan.groups[i].first;
    plan.team_group.count += plan.groups[i].count;
    plan.team_group.tokens += plan.groups[i].tokens;
  }
}

}  // namespace leanbert
