//===- ErrorBound.cpp - how far a right kernel may be from the reference --===//
#include "ErrorBound.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "ParallelFor.h"
#include "TileKernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

// The widest loops twice, chosen at run time; the baseline alone is 4 times slower.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SAGE_WIDE_LOOP __attribute__((target_clones("arch=haswell", "default")))
#else
#define SAGE_WIDE_LOOP
#endif

namespace sage::gpu {
namespace {

using namespace sage::runtime;

constexpr int64_t stepKeys = 32;
constexpr float ln2 = 0.693147180559945f;
constexpr float halfUlp = 0x1p-24f;
/// exp2 of the kernel (N9: 2^-22) and of the reference (2^-23).
constexpr float exp2Error = 0x1p-22f + 0x1p-23f;
constexpr float magic = 12582912.0f;
constexpr float hoeffding = 3.6f;

/// largest[d] = max(|sum[d]|, |p·v[d]|…), then sum[d] += p·v[d]….
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

/// squares[d] += count·u², u the unit at which addends are cut off.
SAGE_WIDE_LOOP
void addSpread(const float *__restrict largest, int64_t count, int64_t columns,
               float *__restrict squares) {
  for (int64_t d = 0; d < columns; ++d) {
    float power = floatOf(bitsOf(largest[d]) & 0x7f800000u);
    float unit = power * 0x1p-13f;
    squares[d] += float(count) * unit * unit;
  }
}

class RowBound {
public:
  RowBound(const ReferenceOperands &operands, ScoreConversion conversion)
      : operands(operands), conversion(conversion), columns(operands.valueColumns()),
        log2Range(std::log2(valueRange(operands.recipe).probability)),
        isE5m2(operands.recipe.pv == SAGE_VALUE_E5M2) {
    size_t tile = size_t(operands.geometry.keyTile);
    for (auto *buffer : {&scores, &logits, &factors, &probabilities})
      buffer->resize(tile);
    for (auto *buffer : {&total, &codes, &squares, &fresh, &freshCodes, &freshSquares, &largest})
      buffer->resize(size_t(columns));
  }

  void run(int64_t head, int64_t query, ErrorBounds &bounds) {
    for (auto *buffer : {&total, &codes, &squares})
      std::fill(buffer->begin(), buffer->end(), 0.0f);
    maximum = -INFINITY;
    sum = sumError = relative = 0;
    int64_t tile = operands.geometry.keyTile;
    int64_t visible = operands.visibleKeys(query);
    for (int64_t t = (visible + tile - 1) / tile - 1; t >= 0; --t)
      addTile(head, query, t * tile, std::min(tile, visible - t * tile));
    store(head, query, bounds);
  }

private:
  float roundProbability(float p) const { return isE5m2 ? roundToE5m2(p) : roundToE4m3(p); }

  /// Relative error of p: of exp2 and of its argument S·a + offset.
  float argumentError(float argument, float offset, float factor) const {
    float error = 2 * halfUlp * std::fabs(argument);
    if (conversion == ScoreConversion::FoldedMagic)
      error += halfUlp * (magic * factor + std::fabs(offset));
    return ln2 * error + exp2Error;
  }

  void addTile(int64_t head, int64_t query, int64_t firstKey, int64_t keys) {
    const Extents &extents = operands.extents;
    int64_t dims = operands.problem.head_dim;
    int64_t keyHead = head / extents.headGroup();
    int64_t keyRow = keyHead * extents.keys + firstKey;
    int64_t row = head * extents.queries + query;
    kernels.integerScores(operands.queryIntegers.data() + row * dims,
                          operands.keyIntegers.data() + keyRow * dims, dims, keys, scores.data());
    const float *correction = nullptr;
    if (operands.recipe.smooth_q)
      correction =
          operands.scoreCorrection.data() +
          (head * operands.queryBlocks() + query / operands.geometry.queryBlock) * extents.keys +
          firstKey;
    float rowFactor = operands.queryScales[size_t(row)] * operands.scaleLog2e;
    float tileMaximum =
        kernels.logits(scores.data(), operands.keyScales.data() + keyRow, rowFactor, correction,
                       operands.scaleLog2e, keys, logits.data(), factors.data());
    float next = std::max(maximum, tileMaximum);
    if (!(std::fabs(next) < INFINITY))
      return; // NaN: the outputs are NaN too, and compared as such
    float rescale = maximum == -INFINITY ? 0 : std::exp2(maximum - next);
    if (rescale != 0 && next != maximum)
      relative += exp2Error + ln2 * halfUlp * (next - maximum);
    relative += halfUlp; // the promotion's own rounding
    maximum = next;

    std::fill(freshCodes.begin(), freshCodes.end(), 0.0f);
    const float *values = operands.values.data() + keyRow * columns;
    float offset = log2Range - maximum, tileSum = 0, tileSumError = 0;
    for (int64_t j = 0; j < keys; ++j) {
      float argument = logits[size_t(j)] + offset;
      float p = exp2Reference(argument);
      float eta = argumentError(argument, offset, factors[size_t(j)]);
      float low = roundProbability(p * (1 - eta));
      float high = roundProbability(p * (1 + eta));
      probabilities[size_t(j)] = roundProbability(p);
      tileSum += p;
      tileSumError += p * eta;
      if (low == high)
        continue;
      for (int64_t d = 0; d < columns; ++d)
        freshCodes[size_t(d)] += (high - low) * std::fabs(values[j * columns + d]);
    }
    accumulate(values, keys);
    for (size_t d = 0; d < size_t(columns); ++d) {
      total[d] = total[d] * rescale + fresh[d];
      codes[d] = codes[d] * rescale + freshCodes[d];
      squares[d] = squares[d] * rescale * rescale + freshSquares[d];
    }
    sum = sum * rescale + tileSum;
    // Float32 sums of a tile, in any order: log2(tile) roundings if it is a tree,
    // as many as a lane has elements otherwise.
    sumError = sumError * rescale + tileSumError + float(keys) * halfUlp * tileSum;
  }

  void accumulate(const float *values, int64_t keys) {
    std::fill(fresh.begin(), fresh.end(), 0.0f);
    std::fill(freshSquares.begin(), freshSquares.end(), 0.0f);
    for (int64_t j = 0; j < keys; j += stepKeys) {
      int64_t count = std::min(stepKeys, keys - j);
      addStep(probabilities.data() + j, values + j * columns, count, columns, fresh.data(),
              largest.data());
      addSpread(largest.data(), count + 1, columns, freshSquares.data());
    }
  }

  void store(int64_t head, int64_t query, ErrorBounds &bounds) const {
    const Extents &extents = operands.extents;
    int64_t dims = operands.problem.value_head_dim;
    int64_t row = head * extents.queries + query;
    float divisor = sum, divisorError = sumError;
    if (operands.sumsColumn()) {
      divisor = total[size_t(dims)];
      divisorError = codes[size_t(dims)] + 2 * hoeffding * std::sqrt(squares[size_t(dims)]);
    }
    if (!(divisor > 0)) {
      divisor = 1;
      divisorError = 0;
    }
    // Division, two products, and the promotion.
    bounds.relative[size_t(row)] = relative + divisorError / divisor + 8 * halfUlp;
    const float *scales = operands.valueScales.data() + head / extents.headGroup() * dims;
    for (int64_t d = 0; d < dims; ++d) {
      float unit = scales[d] / divisor;
      bounds.codes[size_t(row * dims + d)] = codes[size_t(d)] * unit;
      bounds.spread[size_t(row * dims + d)] = 2 * hoeffding * std::sqrt(squares[size_t(d)]) * unit;
    }
  }

  const ReferenceOperands &operands;
  const TileKernels &kernels = tileKernels();
  ScoreConversion conversion;
  int64_t columns;
  float log2Range;
  bool isE5m2;
  float maximum = 0, sum = 0, sumError = 0, relative = 0;
  std::vector<float> scores, logits, factors, probabilities;
  std::vector<float> total, codes, squares, fresh, freshCodes, freshSquares, largest;
};

} // namespace

ErrorBounds computeErrorBounds(const ReferenceOperands &operands, ScoreConversion conversion) {
  const Extents &extents = operands.extents;
  int64_t rows = extents.batch * extents.queryHeads * extents.queries;
  size_t elements = size_t(rows * operands.problem.value_head_dim);
  ErrorBounds bounds{std::vector<float>(elements), std::vector<float>(elements),
                     std::vector<float>(size_t(rows))};
  constexpr int64_t chunk = 16;
  parallelFor((rows + chunk - 1) / chunk, 0, [&](int64_t task) {
    RowBound bound(operands, conversion);
    for (int64_t row = task * chunk; row < std::min(rows, (task + 1) * chunk); ++row)
      bound.run(row / extents.queries, row % extents.queries, bounds);
  });
  return bounds;
}

float unitInLastPlace(sage_element_type type, float magnitude) {
  int mantissa = type == SAGE_F16 ? 10 : 7;
  int least = type == SAGE_F16 ? -14 : -126; // of the normal numbers
  int exponent = magnitude > 0 ? std::ilogb(magnitude) : least;
  return std::ldexp(1.0f, std::max(exponent, least) - mantissa);
}

double OutputComparison::worst() const {
  if (mismatches > 0)
    return std::numeric_limits<double>::infinity();
  double l1 = relativeL1Bound > 0 ? relativeL1 / relativeL1Bound : 0;
  return std::max(elementRatio, l1);
}

OutputComparison compareOutputs(const std::vector<uint16_t> &output,
                                const std::vector<uint16_t> &reference32,
                                const std::vector<uint16_t> &reference22, const ErrorBounds &bounds,
                                sage_element_type type) {
  OutputComparison result;
  size_t dims = bounds.relative.empty() ? 1 : bounds.codes.size() / bounds.relative.size();
  double errors = 0, allowed = 0, magnitudes = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    float value = decodeElement(type, output[i]);
    float expected = decodeElement(type, reference32[i]);
    if (!std::isfinite(value) || !std::isfinite(expected)) {
      bool same = (std::isnan(value) && std::isnan(expected)) || value == expected;
      result.mismatches += same ? 0 : 1;
      continue;
    }
    float other = decodeElement(type, reference22[i]);
    float magnitude = std::max(std::fabs(value), std::fabs(expected));
    float unit = unitInLastPlace(type, std::fabs(expected));
    float model = std::isfinite(other) ? std::fabs(other - expected) : 0;
    float scaled = bounds.relative[i / dims] * magnitude;
    double error = std::fabs(double(value) - double(expected));
    double bound = double(bounds.codes[i]) + bounds.spread[i] + model + scaled + unit;
    if (error / bound > result.elementRatio) {
      result.elementRatio = error / bound;
      result.worstIndex = int64_t(i);
    }
    result.largestError = std::max(result.largestError, error);
    errors += error;
    allowed += bounds.codes[i] + 2 * model + scaled + 0.25 * unit;
    magnitudes += std::fabs(expected);
  }
  if (magnitudes > 0) {
    result.relativeL1 = errors / magnitudes;
    result.relativeL1Bound = allowed / magnitudes;
  } else if (errors > 0) {
    result.mismatches += 1; // nothing but zeros was expected
  }
  return result;
}

double compareLse(const std::vector<float> &lse, const std::vector<float> &reference,
                  double tolerance) {
  double worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    double a = lse[i], b = reference[i];
    if (!std::isfinite(a) || !std::isfinite(b)) {
      bool same = (std::isnan(a) && std::isnan(b)) || a == b;
      worst = same ? worst : std::numeric_limits<double>::infinity();
      continue;
    }
    worst = std::max(worst, std::fabs(a - b) / (tolerance * std::max(1.0, std::fabs(b))));
  }
  return worst;
}

} // namespace sage::gpu
