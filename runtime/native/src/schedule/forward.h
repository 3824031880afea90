// One group of texts through the whole encoder.
#pragma once

#include "model/model.h"
#include "schedule/schedule.h"
#include "schedule/stages.h"
#include "schedule/team.h"
#include "schedule/workspace.h"

namespace leanbert {

// A thread among those that compute a group together.
struct Member {
  size_t count, index;
  Team* team;
  const Split* split;
  void wait() const {
    if (count == 1) return;
    enter(Stage::wait);
    team->barrier.wait(index, count);
  }
  void share(size_t n, size_t* from, size_t* to) const {
    *from = 0;
    *to = n;
    if (count > 1) split->share(n, index, from, to);
  }
};

// This member's share of a group. All members call it with the same group and `shared`, each with an `own`. Adds to `done`
// what this member did, and how long that took.
void compute_group(const Model& model, const Schedule& schedule, const Group& group, const Member& member,
                   const Shared& shared, const Private& own, Speeds::Work (&done)[Speeds::kinds]);

}  // namespace leanbert
