// SHA-256 by the SHA instructions of x86. This file alone is compiled for them (-msha -msse4.1).
//
// Two registers hold the state, in the order that the instructions want: ABEF and CDGH. Sixteen steps of four rounds;
// each takes four words of the message and their constants, and the words of later steps are made on the way.
#include <cpuid.h>
#include <immintrin.h>

#include "library/sha256.h"

namespace leanbert::library {
namespace {

void blocks_sha(std::uint32_t* state, const unsigned char* blocks, std::size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));       // D C B A
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));  // H G F E
  const __m128i cdab = _mm_shuffle_epi32(low, 0xB1), efgh = _mm_shuffle_epi32(high, 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  for (; count; count--, blocks += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; i++)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks) + i), big_endian);
    for (int step = 0; step < 16; step++) {
      const __m128i words = w[0];
      const __m128i sum =
          _mm_add_epi32(words, _mm_load_si128(reinterpret_cast<const __m128i*>(sha256_constants) + step));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
      // words of four steps later: of the one before, seven words back, and the two small sigmas
      const __m128i partly = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));
      const __m128i later = _mm_sha256msg2_epu32(partly, w[3]);
      w[0] = w[1];
      w[1] = w[2];
      w[2] = w[3];
      w[3] = later;
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace

Sha256Blocks sha256_blocks_of_cpu() {
  unsigned a, b, c, d;
  constexpr unsigned ssse3 = 1u << 9, sse41 = 1u << 19, sha = 1u << 29;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & ssse3) || !(c & sse41)) return nullptr;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & sha)) return nullptr;
  return blocks_sha;
}

}  // namespace leanbert::library
