// What attention reads of relative positions, made when a model is opened (kernels.h, AttentionCall):
//
//   bias     [head][distance]   the biases of each head along key - query, in powers of two
//   rows     [distance]         the row of a layer's tables for each distance, in both directions
//   tables   [layer][head]      position_key and position_query packed as keys are; position_key from its last row to its
//                               first, so that rows rise with the distance in both
//
// Distances go 32 beyond the longest text at either end, because sixteen are read at once.
#pragma once

#include "model/model.h"

namespace leanbert {

// Bytes of a region for a checked model.
size_t relative_bytes(const Model& model);

// Takes the memory, and fills biases and rows of distances.
void make_distances(Model& model, Region& region);

// Packs the tables of a layer, whose memory make_distances took. False without memory.
bool pack_tables(const Model& model, const Layer& layer);

}  // namespace leanbert
