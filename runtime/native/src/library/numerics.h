// From tokens' vectors to a text's, with the same bits as `leanbert.numerics` in Python.
//
// Sums, products and quotients alone, in the order in which numpy takes them, none of them fused (-ffp-contract=off).
#pragma once

#include <cstddef>
#include <cstdint>

namespace leanbert::library {

// One vector of those of a text's tokens, f32 [tokens][width], at least one token.
enum class Pooling : std::uint8_t { cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken };
void pool(Pooling pooling, const float* hidden, std::size_t tokens, std::size_t width, float* out);

// Scales a vector to length 1; zeros stay zeros.
void normalize(float* vector, std::size_t width);

}  // namespace leanbert::library
