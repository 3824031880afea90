// The arithmetic of shares; speeds.h says what it is for.
#include "schedule/speeds.h"

namespace leanbert {
namespace {

constexpr float equal = .75f, slowest = 1.f / 16.f;

}  // namespace

void Speeds::note(Kind kind, size_t member, const Work& work) {
  Member& of = members_[member];
  // A member that had no share is not known any more after some calls, and then tried again.
  const double time = work.rows > 0 ? static_cast<double>(work.ticks) / work.rows : 0;
  of.time[kind][of.next[kind]++ % calls] = static_cast<float>(time);
}

Split Speeds::split(Kind kind, size_t members) const {
  Split split;
  split.members = members;
  float fastest = 0, least = 1;
  for (size_t i = 0; i < members; i++) {
    float time = 0;
    for (const float t : members_[i].time[kind])
      if (t > 0 && (time == 0 || t < time)) time = t;
    split.speed[i] = time > 0 ? 1.f / time : 0.f;
    if (split.speed[i] > fastest) fastest = split.speed[i];
  }
  for (size_t i = 0; i < members; i++) {
    float& speed = split.speed[i];
    speed = speed > 0 ? speed / fastest : 1.f;
    if (speed < slowest) speed = slowest;
    if (speed < least) least = speed;
  }
  split.even = least > equal;
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

}  // namespace leanbert
