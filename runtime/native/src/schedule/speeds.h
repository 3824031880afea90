// How fast the members of a team are, and what each gets of work that they share.
//
// On a hybrid CPU, or beside a busy program, equal shares would make every thread wait for the slowest one. So each member
// measures its time per row (or per column of few rows) in every call, and the next call's shares are in the ratio of
// the speeds. The least time of the last four calls counts: a thread that was interrupted once is not slow. Speeds that
// differ by less than a quarter are taken for equal: on equal cores a thread that waits for memory measures up to a fifth less.
//
// Shares are fixed for a call: all members compute the same ones from the same numbers, without a word between them.
//
// A thread that was slow only while somebody else held its core must not idle for long. What it measures in a call counts
// in this call: from then on it takes the others' pieces, and groups of its own, at the speed that it has now. And
// a member that had no share of a call has none of this: its speed counts twice as much after each such call, and
// `untried` asks for a schedule in which every member works.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schedule/team_size.h"

namespace leanbert {

struct Split {
  size_t members = 1;
  bool even = true;
  float speed[max_team] = {1};        // the fastest member's is 1
  uint32_t until[max_team + 1] = {};  // member i gets [until[i], until[i + 1]) of 65536 parts
  double time = 0;                    // ticks per row of the fastest member; 0: not known
  bool untried = false;               // speeds differ, and a member had no share of the last call

  void share(size_t n, size_t member, size_t* from, size_t* to) const {
    *from = even ? n * member / members : (n * until[member] + 32768) >> 16;
    *to = even ? n * (member + 1) / members : (n * until[member + 1] + 32768) >> 16;
  }
  double total() const {  // of the speeds
    double sum = 0;
    for (size_t i = 0; i < members; i++) sum += static_cast<double>(speed[i]);
    return sum;
  }
};

class Speeds {
 public:
  enum Kind { rows, columns, kinds };  // few rows are bound by memory: another speed
  struct Work {
    uint64_t ticks = 0;
    double rows = 0;
  };

  // What a member did in a call; nothing, if it had no share. Called by this member, before the call ends.
  void note(Kind kind, size_t member, const Work& work);
  // Called by who holds the team, before the call begins.
  Split split(Kind kind, size_t members) const;
  // The speed of a member that has done `work` in this call: that of `split`, or a higher one if it shows that.
  static float now(const Split& split, size_t member, const Work& work);

 private:
  static constexpr size_t calls = 4;
  struct alignas(128) Member {
    float time[kinds][calls] = {};  // per row; 0: not known
    uint32_t next[kinds] = {};
  };
  Member members_[max_team];
};

}  // namespace leanbert
