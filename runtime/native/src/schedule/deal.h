// The pieces of a stage that the team shares. A member takes its own share from the front, and when it has none left, the
// last pieces of the others' shares, so that no one waits for a thread that is slower than it was, or interrupted.
//
// A share is one 64-bit number, its first and its last piece, changed by compare-and-swap: who took a piece is decided
// there. What the pieces read and write is ordered by the barriers around a stage.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "schedule/speeds.h"
#include "schedule/team_size.h"

namespace leanbert {

class Deal {
 public:
  // Before the barrier that opens the stage, and after the one that ended the last stage with this deal.
  void offer(size_t member, size_t from, size_t to) {
    shares_[member].store(pack(from, to), std::memory_order_relaxed);
  }

  // The next pieces [from, to) of this member's own share: equal parts of what is left, at most `most`.
  bool take(size_t member, size_t most, size_t* from, size_t* to) {
    std::atomic<uint64_t>& share = shares_[member].range;
    uint64_t range = share.load(std::memory_order_relaxed);
    do {
      *from = first(range);
      if (*from >= last(range)) return false;
      *to = *from + part(last(range) - *from, most);
    } while (!share.compare_exchange_weak(range, pack(*to, last(range)), std::memory_order_relaxed));
    return true;
  }

  // The last pieces of another's share: half of what its owner would take next, or all that is left if that is less than
  // `least`. Not where the owner would be done with its share before this member, at this `speed`, with these pieces:
  // then a slow thread would hold up a fast one again.
  bool steal(size_t member, float speed, const Split& split, size_t least, size_t most, size_t* from, size_t* to) {
    for (size_t i = 1; i < split.members; i++) {
      const size_t owner = (member + i) % split.members;
      std::atomic<uint64_t>& share = shares_[owner].range;
      uint64_t range = share.load(std::memory_order_relaxed);
      while (first(range) < last(range)) {
        const size_t left = last(range) - first(range), next = part(left, most), half = (next + 1) / 2;
        const size_t count = half >= least ? half : left < least ? left : least;
        // The owner has half a piece under way, supposedly.
        const float mine = static_cast<float>(count) * split.speed[owner],
                    owners = (static_cast<float>(left) + static_cast<float>(next) / 2) * speed;
        if (mine > owners) break;
        *to = last(range);
        *from = *to - count;
        if (share.compare_exchange_weak(range, pack(first(range), *from), std::memory_order_relaxed)) return true;
      }
    }
    return false;
  }

  static size_t part(size_t n, size_t most) {
    const size_t parts = (n + most - 1) / most;
    return (n + parts - 1) / parts;
  }

 private:
  static uint64_t pack(size_t from, size_t to) { return uint64_t{from} << 32 | to; }
  static size_t first(uint64_t range) { return static_cast<size_t>(range >> 32); }
  static size_t last(uint64_t range) { return static_cast<size_t>(range & 0xffffffff); }

  struct alignas(128) Share {
    std::atomic<uint64_t> range{0};
    void store(uint64_t value, std::memory_order order) { range.store(value, order); }
  };
  Share shares_[max_team];
};

}  // namespace leanbert
