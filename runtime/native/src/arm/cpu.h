// What this CPU and its operating system allow.
#pragma once

namespace leanbert {

bool has_neon();     // every AArch64 CPU
bool has_dotprod();  // sdot, udot
bool has_i8mm();     // usmmla

}  // namespace leanbert
