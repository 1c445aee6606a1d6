//===- TileKernels.cpp - inner loops of the CPU reference -----------------===//
#include "TileKernels.h"

#include "Exp2.h"
#include "FloatFormats.h"

#include <algorithm>
#include <cmath>

#ifndef SAGE_TILE_KERNELS
#define SAGE_TILE_KERNELS baselineTileKernels
#define SAGE_TILE_KERNELS_DISPATCH
#endif

namespace sage::runtime {
namespace {

void integerScores(const int16_t *__restrict query, const int16_t *__restrict keys, int64_t headDim,
                   int64_t count, float *__restrict scores) {
  for (int64_t j = 0; j < count; ++j) {
    const int16_t *key = keys + j * headDim;
    int32_t sum = 0;
    for (int64_t d = 0; d < headDim; ++d)
      sum += int32_t(query[d]) * int32_t(key[d]);
    scores[j] = float(sum);
  }
}

void floatScores(const float *__restrict query, const float *__restrict keysTransposed,
                 int64_t keyStride, int64_t headDim, int64_t count, float *__restrict scores) {
  std::fill(scores, scores + count, 0.0f);
  for (int64_t d = 0; d < headDim; ++d) {
    const float *key = keysTransposed + d * keyStride;
    float q = query[d];
    for (int64_t j = 0; j < count; ++j)
      scores[j] += q * key[j];
  }
}

float logits(const float *__restrict scores, const float *__restrict keyScales, float rowFactor,
             const float *__restrict correction, float scaleLog2e, int64_t count,
             float *__restrict x, float *__restrict factors) {
  if (correction) {
    for (int64_t j = 0; j < count; ++j) {
      factors[j] = rowFactor * keyScales[j];
      float added = correction[j] * scaleLog2e;
      x[j] = __builtin_fmaf(scores[j], factors[j], added);
    }
  } else {
    for (int64_t j = 0; j < count; ++j) {
      factors[j] = rowFactor * keyScales[j];
      x[j] = scores[j] * factors[j];
    }
  }
  float largest[8];
  std::fill(largest, largest + 8, -__builtin_inff());
  int32_t nans[8] = {};
  int64_t j = 0;
  for (; j + 8 <= count; j += 8)
    for (int64_t lane = 0; lane < 8; ++lane) {
      float value = x[j + lane];
      largest[lane] = value > largest[lane] ? value : largest[lane];
      nans[lane] |= value != value;
    }
  for (; j < count; ++j) {
    largest[0] = x[j] > largest[0] ? x[j] : largest[0];
    nans[0] |= x[j] != x[j];
  }
  for (int64_t lane = 1; lane < 8; ++lane) {
    largest[0] = std::max(largest[0], largest[lane]);
    nans[0] |= nans[lane];
  }
  return nans[0] ? __builtin_nanf("") : largest[0];
}

template <typename Round> void roundAll(float *p, int64_t count, Round round) {
  for (int64_t j = 0; j < count; ++j)
    p[j] = round(p[j]);
}

float probabilities(const float *__restrict scores, const float *__restrict factors,
                    const float *__restrict x, bool corrected, float offset, Probability format,
                    int64_t count, float *__restrict p) {
  if (corrected) {
    for (int64_t j = 0; j < count; ++j)
      p[j] = exp2Float(x[j] + offset);
  } else {
    for (int64_t j = 0; j < count; ++j)
      p[j] = exp2Float(__builtin_fmaf(scores[j], factors[j], offset));
  }
  float sums[8] = {};
  int64_t j = 0;
  for (; j + 8 <= count; j += 8)
    for (int64_t lane = 0; lane < 8; ++lane)
      sums[lane] += p[j + lane];
  for (; j < count; ++j)
    sums[0] += p[j];
  for (int64_t width = 4; width >= 1; width /= 2)
    for (int64_t lane = 0; lane < width; ++lane)
      sums[lane] += sums[lane + width];

  switch (format) {
  case Probability::E4M3:
    roundAll(p, count, [](float value) { return roundToE4m3(value); });
    break;
  case Probability::E5M2:
    roundAll(p, count, [](float value) { return roundToE5m2(value); });
    break;
  case Probability::F16:
    roundAll(p, count, [](float value) { return roundToF16(value); });
    break;
  case Probability::BF16:
    roundAll(p, count, [](float value) { return roundToBf16(value); });
    break;
  }
  return sums[0];
}

/// Products of two 16-bit floats are exact in float32, so that a fused
/// multiply-add would give the same.
void accumulateFloat32(const float *__restrict p, const float *__restrict values,
                       int64_t valueStride, int64_t count, int64_t columns, float *__restrict sum) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float *v0 = values + j * valueStride, *v1 = v0 + valueStride;
    const float *v2 = v1 + valueStride, *v3 = v2 + valueStride;
    float p0 = p[j], p1 = p[j + 1], p2 = p[j + 2], p3 = p[j + 3];
    for (int64_t d = 0; d < columns; ++d)
      sum[d] = (((sum[d] + p0 * v0[d]) + p1 * v1[d]) + p2 * v2[d]) + p3 * v3[d];
  }
  for (; j < count; ++j) {
    const float *v = values + j * valueStride;
    for (int64_t d = 0; d < columns; ++d)
      sum[d] += p[j] * v[d];
  }
}

constexpr int64_t stepKeys = 32; // k of the FP8 matrix instructions
constexpr int64_t columnBlock = 64;

/// One step over up to 64 columns.
void stepTensorCore(const float *__restrict p, const float *__restrict values, int64_t valueStride,
                    int64_t count, int64_t columns, float *__restrict sum) {
  constexpr int keptBits = 13;
  float largest[columnBlock], toInteger[columnBlock], toFloat[columnBlock];
  int32_t total[columnBlock];
  for (int64_t d = 0; d < columns; ++d)
    largest[d] = std::fabs(sum[d]);
  for (int64_t j = 0; j < count; ++j) {
    const float *v = values + j * valueStride;
    for (int64_t d = 0; d < columns; ++d) {
      float magnitude = std::fabs(p[j] * v[d]);
      largest[d] = magnitude > largest[d] ? magnitude : largest[d];
    }
  }
  for (int64_t d = 0; d < columns; ++d) {
    int32_t exponent = int32_t(bitsOf(largest[d]) >> 23);
    // 2^(13 - exponent): the largest addend becomes an integer below 2^14. The
    // bounds matter only for sums below 2^-112, which are 0 here.
    int32_t shift = std::clamp(127 + keptBits + 127 - exponent, 1, 253);
    toInteger[d] = floatOf(uint32_t(shift) << 23);
    toFloat[d] = floatOf(uint32_t(254 - shift) << 23);
    total[d] = int32_t(sum[d] * toInteger[d]);
  }
  for (int64_t j = 0; j < count; ++j) {
    const float *v = values + j * valueStride;
    for (int64_t d = 0; d < columns; ++d)
      total[d] += int32_t(p[j] * v[d] * toInteger[d]);
  }
  for (int64_t d = 0; d < columns; ++d) {
    float exact = float(total[d]) * toFloat[d];
    sum[d] = floatOf(bitsOf(exact) & ~((1u << (23 - keptBits)) - 1u));
  }
}

void stepFloat16(const float *__restrict p, const float *__restrict values, int64_t valueStride,
                 int64_t count, int64_t columns, float *__restrict sum) {
  float products[columnBlock] = {};
  accumulateFloat32(p, values, valueStride, count, columns, products);
  for (int64_t d = 0; d < columns; ++d)
    sum[d] = roundToF16(sum[d] + products[d]);
}

void accumulate(Accumulator accumulator, const float *p, const float *values, int64_t valueStride,
                int64_t count, int64_t columns, float *sum) {
  if (accumulator == Accumulator::Float32)
    return accumulateFloat32(p, values, valueStride, count, columns, sum);
  auto step = accumulator == Accumulator::Float16 ? stepFloat16 : stepTensorCore;
  for (int64_t j = 0; j < count; j += stepKeys)
    for (int64_t d = 0; d < columns; d += columnBlock)
      step(p + j, values + j * valueStride + d, valueStride, std::min(stepKeys, count - j),
           std::min(columnBlock, columns - d), sum + d);
}

void rescaleAndAdd(float *__restrict total, float factor, const float *__restrict addend,
                   int64_t columns) {
  for (int64_t d = 0; d < columns; ++d)
    total[d] = __builtin_fmaf(total[d], factor, addend[d]);
}

} // namespace

const TileKernels &SAGE_TILE_KERNELS() {
  static const TileKernels kernels = {integerScores, floatScores, logits,
                                      probabilities, accumulate,  rescaleAndAdd};
  return kernels;
}

#ifdef SAGE_TILE_KERNELS_DISPATCH
#ifdef SAGE_HAS_AVX2_KERNELS
const TileKernels &avx2TileKernels();

const TileKernels &tileKernels() {
  static const bool available = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return available ? avx2TileKernels() : baselineTileKernels();
}
#else
const TileKernels &tileKernels() { return baselineTileKernels(); }
#endif

float exp2Reference(float x) { return exp2Float(x); }

float tanhReference(float x) {
  // Beyond 40 it is ±1 in float32 and the power would overflow.
  double limited = x < -40.0f ? -40.0 : double(x);
  limited = x > 40.0f ? 40.0 : limited;
  double power = exp2Double(limited * (2 * 1.44269504088896340736));
  return float((power - 1) / (power + 1));
}
#endif

} // namespace sage::runtime
