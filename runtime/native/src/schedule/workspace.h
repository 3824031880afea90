// The working memory of a call: one region, cut into the buffers of the group that the team shares and of each thread.
//
//   | team: x, context, a, c, (h, hq, ranges) | thread 0: alone: x, context, a, c | qkv | h | hq | ranges | scratch | logits | 1: ...
//
// x, context, h and qkv are f32, a, c and hq quantized rows (kernels.h). Row distances are padded (`pad_floats`, `pad_bytes`):
// they must not be a multiple of the cache's set period, or the rows of a block would evict each other.
#pragma once

#include "platform/memory.h"
#include "model/model.h"
#include "schedule/schedule.h"
#include "schedule/team.h"

namespace leanbert {

constexpr size_t chunk_rows = 28;  // two full register blocks on AVX-512; 64 rows: 5% slower at 8 x 128, 42: 1.5%
constexpr size_t head_rows = 16;
constexpr size_t pad_floats = 16;
constexpr size_t pad_bytes = 64;

struct Shared {  // memory of a group; `row` is a token
  float* x;
  float* normed;  // models whose norms stand before: what their matmuls read where weights are f32
  float* context;
  QuantizedRows a, c;
  float* h;  // columns mode only
  QuantizedRows hq;
  float* ranges;  // [member][row][range_floats]
  size_t column_rows;
};

struct Private {  // memory of a thread
  float* qkv;     // [row][Q | K | V of a block of heads]
  float* h;
  QuantizedRows hq;
  float* ranges;
  float* scale;  // of the rows of the team's hq
  int32_t* zero;
  float* attention;
  float* logits;
  Shared alone;
};

struct Workspace {
  Shared team;
  Private own[max_team];
};

// Heads whose columns fill whole panels, for any head size: the smallest block that a matmul can compute.
size_t heads_per_unit(const Model& model);

// Heads of one block: whole units, few enough that Q, K, V of `rows` tokens stay in the second-level cache.
size_t heads_per_block(const Model& model, size_t rows);

// Bytes that a schedule needs.
size_t workspace_bytes(const Model& model, const Schedule& schedule);

// Cuts `region`, which has that many, from its front.
void make_workspace(const Model& model, const Schedule& schedule, Region& region, Workspace* to);

}  // namespace leanbert
