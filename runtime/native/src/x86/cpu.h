// What this CPU and its operating system allow.
#pragma once

namespace leanbert {

bool has_avx2();         // AVX2 and FMA, ymm state saved by the operating system
bool has_avx_vnni();     // that and AVX-VNNI
bool has_avx512_vnni();  // AVX2 and FMA, AVX-512 F, BW, DQ, VL and VNNI, zmm and mask state saved

}  // namespace leanbert
