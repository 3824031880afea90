// Who computes what: the texts of a call in groups of whole texts, and the threads that take them.
//
// Texts are sorted by length and cut into groups. How a group is computed depends on its size only for speed: every
// output bit is a function of its own text (row-wise operations, exact sums, attention within a text).
//
//   columns   few tokens (at most 7 per thread): every thread computes some columns of each matmul for all rows, so that
//             each weight is read by one core only; a barrier after every stage. Bound by memory.
//   rows      the team shares a group: every thread has some rows; two barriers per layer.
//   alone     every thread takes whole groups: no barriers. What remains unbalanced is computed by rows at the end.
//
//   sequences, sorted   | 512 | 200 | 64 60 | 31 30 30 29 | 12 9 8 ... |
//   groups              |  0  |  1  |   2   |      3      |     4      |
//                       [0, alone_count): taken by single threads   the rest: `team_group`, computed by all
//
// Measured (BERT-base, Zen 4, two threads): 8 tokens by columns 2.3 ms, by rows 3.1 to 4.4. Making the schedule
// of 128 texts takes 2.3 us.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schedule/speeds.h"

namespace leanbert {

// What lb_run was given, after it was checked.
struct Call {
  uint64_t n_sequences;
  const int32_t* lengths;
  uint64_t n_tokens;
  const int32_t* ids;
  const int32_t* types;  // or null
  float* out;
  uint64_t out_floats;
};

struct Sequence {
  uint64_t first;  // its first token in the call
  uint64_t index;  // its place in the call
  uint32_t length;
};

struct Group {
  size_t first, count;  // sequences, in sorted order
  size_t tokens;
};

#if defined(LEANBERT_NATIVE_NO_COLUMNS)
constexpr size_t column_rows_per_thread = 0;
#else
constexpr size_t column_rows_per_thread = 7;
#endif

// Whether the team shares all tokens of a call by columns.
inline bool by_columns(size_t tokens, size_t members) {
  return members > 1 && tokens <= column_rows_per_thread * members;
}

struct Schedule {
  const Call* call;
  Sequence* sequences;  // longest first
  Group* groups;        // room for n_sequences of them
  size_t alone_count;   // groups [0, alone_count) are taken by single threads
  Group team_group;     // tokens = 0: none
  size_t members;
  Speeds::Kind kind;  // of the work; the caller has set it and `split`
  Split split;        // among the members
  // Groups that a member takes alone, unless it is fast by now: a slow one must not begin what others would end sooner.
  uint32_t most[max_team];
};

// Fills and sorts `sequences`; the caller has set `call` and given the memory.
void list_sequences(Schedule& schedule);

// Fills the groups for `members` threads of the speeds of `split`.
void make_schedule(Schedule& schedule);

}  // namespace leanbert
