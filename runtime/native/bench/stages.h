// Time by stage of whole calls, from the counters in the engine (schedule/stages.h).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "shapes.h"

// Prints a table for each chosen model, number of threads and shape.
void bench_stages(const leanbert::Kernels& kernels, double seconds, const std::vector<uint32_t>& threads,
                  const Choice& choice);
