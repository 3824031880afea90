#include "library/numerics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace leanbert::library {
namespace {

// numpy's sum of numbers that lie one after another: eight sums side by side, in blocks of at most 128.
float pairwise_sum(const float* values, std::size_t count) {
  if (count < 8) {
    float sum = 0;
    for (std::size_t i = 0; i < count; i++) sum += values[i];
    return sum;
  }
  if (count <= 128) {
    float s[8];
    std::memcpy(s, values, sizeof s);
    std::size_t i = 8;
    for (; i < count - count % 8; i += 8)
      for (std::size_t j = 0; j < 8; j++) s[j] += values[i + j];
    float sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    for (; i < count; i++) sum += values[i];
    return sum;
  }
  const std::size_t half = count / 2 - count / 2 % 8;
  return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
}

}  // namespace

void pool(Pooling pooling, const float* hidden, std::size_t tokens, std::size_t width, float* out) {
  if (pooling == Pooling::cls || pooling == Pooling::lasttoken) {
    std::memcpy(out, hidden + (pooling == Pooling::cls ? 0 : tokens - 1) * width, width * sizeof *out);
    return;
  }
  std::memcpy(out, hidden, width * sizeof *out);  // the first token's weight is 1 in each of them
  for (std::size_t t = 1; t < tokens; t++) {
    const float* row = hidden + t * width;
    const float weight = static_cast<float>(t + 1);
    if (pooling == Pooling::max)
      for (std::size_t i = 0; i < width; i++) out[i] = out[i] < row[i] ? row[i] : out[i];
    else if (pooling == Pooling::weightedmean)
      for (std::size_t i = 0; i < width; i++) out[i] += row[i] * weight;
    else
      for (std::size_t i = 0; i < width; i++) out[i] += row[i];
  }
  if (pooling == Pooling::max) return;
  float divisor = static_cast<float>(tokens);
  if (pooling == Pooling::mean_sqrt_len_tokens) divisor = std::sqrt(divisor);
  if (pooling == Pooling::weightedmean) {
    std::vector<float> weights(tokens);
    for (std::size_t t = 0; t < tokens; t++) weights[t] = static_cast<float>(t + 1);
    divisor = pairwise_sum(weights.data(), tokens);
  }
  for (std::size_t i = 0; i < width; i++) out[i] /= divisor;
}

void normalize(float* vector, std::size_t width) {
  std::vector<float> squares(width);
  for (std::size_t i = 0; i < width; i++) squares[i] = vector[i] * vector[i];
  const float length = std::max(std::sqrt(pairwise_sum(squares.data(), width)), 1e-12f);
  for (std::size_t i = 0; i < width; i++) vector[i] /= length;
}

}  // namespace leanbert::library
