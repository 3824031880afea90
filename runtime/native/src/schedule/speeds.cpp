// The arithmetic of shares; speeds.h says what it is for.
#include "schedule/speeds.h"

namespace leanbert {
namespace {

constexpr float equal = .75f, slowest = 1.f / 16.f;

}  // namespace

void Speeds::note(Kind kind, size_t member, const Work& work) {
  Member& of = members_[member];
  // A member that has had no share of so many calls is not known any more.
  const double time = work.rows > 0 ? static_cast<double>(work.ticks) / work.rows : 0;
  of.time[kind][of.next[kind]++ % calls] = static_cast<float>(time);
}

Split Speeds::split(Kind kind, size_t members) const {
  Split split;
  split.members = members;
  float fastest = 0, least = 1;
  size_t idle[max_team] = {};  // the last calls without a share, of those that have one
  for (size_t i = 0; i < members; i++) {
    const Member& of = members_[i];
    float time = 0;
    for (size_t age = calls; age-- > 0;) {
      const float t = of.time[kind][(of.next[kind] + calls - 1 - age) % calls];
      if (t > 0 && (time == 0 || t < time)) time = t;
      idle[i] = t > 0 ? 0 : idle[i] + 1;
    }
    split.speed[i] = time > 0 ? 1.f / time : 0.f;
    if (split.speed[i] > fastest) fastest = split.speed[i];
  }
  for (size_t i = 0; i < members; i++) {
    float& speed = split.speed[i];
    speed = speed > 0 ? speed / fastest : 1.f;
    if (speed < slowest) speed = slowest;
    speed *= static_cast<float>(size_t{1} << idle[i]);
    if (speed > 1) speed = 1;
    if (speed < least) least = speed;
    if (idle[i] > 0 && idle[i] < calls) split.untried = true;
  }
  if (fastest > 0) split.time = 1. / static_cast<double>(fastest);
  split.even = least > equal;
  if (split.even) split.untried = false;
  double total = 0, sum = 0;
  for (size_t i = 0; i < members; i++) {
    if (split.even) split.speed[i] = 1;
    total += static_cast<double>(split.speed[i]);
  }
  for (size_t i = 0; i < members; i++) {
    split.until[i] = static_cast<uint32_t>(65536. * sum / total);
    sum += static_cast<double>(split.speed[i]);
  }
  split.until[members] = 65536;
  return split;
}

float Speeds::now(const Split& split, size_t member, const Work& work) {
  const float before = split.speed[member];
  if (work.rows <= 0 || work.ticks == 0) return before;
  const float speed = static_cast<float>(split.time * work.rows / static_cast<double>(work.ticks));
  return speed > equal ? 1.f : speed > before ? speed : before;
}

}  // namespace leanbert
