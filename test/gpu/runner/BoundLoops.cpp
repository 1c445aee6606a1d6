//===- BoundLoops.cpp - the widest loops of a row's error bound -----------===//
#include "BoundLoops.h"

#include "FloatFormats.h"

#include <cmath>

// The widest loops twice, chosen at run time; the baseline alone is 4 times slower.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SAGE_WIDE_LOOP __attribute__((target_clones("arch=haswell", "default")))
#else
#define SAGE_WIDE_LOOP
#endif

namespace sage::gpu {

using namespace sage::runtime;

SAGE_WIDE_LOOP
void addStep(const float *__restrict p, const float *__restrict values, int64_t count,
             int64_t columns, float *__restrict sum, float *__restrict largest) {
  for (int64_t d = 0; d < columns; ++d)
    largest[d] = std::fabs(sum[d]);
  for (int64_t j = 0; j < count; ++j) {
    const float *v = values + j * columns;
    for (int64_t d = 0; d < columns; ++d) {
      float product = p[j] * v[d];
      float magnitude = std::fabs(product);
      largest[d] = magnitude > largest[d] ? magnitude : largest[d];
      sum[d] += product;
    }
  }
}

SAGE_WIDE_LOOP
void addSpread(const float *__restrict largest, float count, float unitOfOne, int64_t columns,
               float *__restrict squares) {
  for (int64_t d = 0; d < columns; ++d) {
    float unit = floatOf(bitsOf(largest[d]) & 0x7f800000u) * unitOfOne;
    squares[d] += count * unit * unit;
  }
}

SAGE_WIDE_LOOP
void addFloatChannels(const float *__restrict query, const float *__restrict keysTransposed,
                      int64_t stride, int64_t dims, int64_t keys, const float *mean,
                      float *__restrict largest, float *__restrict means) {
  for (int64_t d = 0; d < dims; ++d) {
    const float *key = keysTransposed + d * stride;
    for (int64_t j = 0; j < keys; ++j) {
      float product = std::fabs(query[d] * key[j]);
      largest[j] = product > largest[j] ? product : largest[j];
    }
    if (!mean)
      continue;
    float weight = std::fabs(mean[d]);
    for (int64_t j = 0; j < keys; ++j)
      means[j] += weight * (std::fabs(key[j]) + 1);
  }
}

SAGE_WIDE_LOOP
float sumOfMeans(const float *__restrict mean, const int16_t *__restrict key, int64_t dims) {
  constexpr int64_t lanes = 8;
  float sums[lanes] = {}, sum = 0;
  auto addend = [&](int64_t d) { // K' is within a step of what was stored for it
    return std::fabs(mean[d]) * (std::fabs(float(key[d])) + 1);
  };
  int64_t d = 0;
  for (; d + lanes <= dims; d += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      sums[lane] += addend(d + lane);
  for (; d < dims; ++d)
    sum += addend(d);
  for (float lane : sums)
    sum += lane;
  return sum;
}

} // namespace sage::gpu
