// How many threads a team has at most.
#pragma once

#include <cstddef>

namespace leanbert {

constexpr size_t max_team = 64;

}  // namespace leanbert
