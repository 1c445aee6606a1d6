//===- ErrorBound.cpp - how far a right kernel may be from the reference --===//
#include "ErrorBound.h"

#include "HostTensor.h"
#include "ParallelFor.h"
#include "RowBound.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sage::gpu {
using namespace sage::runtime;

ErrorBounds computeErrorBounds(const ReferenceOperands &operands, const sage_call &call,
                               const std::vector<float> &queryMeans, ScoreConversion conversion) {
  const Extents &extents = operands.extents;
  int64_t rows = extents.batch * extents.queryHeads * extents.queries;
  size_t elements = size_t(rows * operands.problem.value_head_dim);
  ErrorBounds bounds{std::vector<float>(elements), std::vector<float>(elements),
                     std::vector<float>(size_t(rows)), std::vector<float>(size_t(rows)),
                     operands.recipe.pv != SAGE_VALUE_F16 &&
                         operands.recipe.inner == SAGE_INNER_F32};
  constexpr int64_t chunk = 16;
  parallelFor((rows + chunk - 1) / chunk, 0, [&](int64_t task) {
    RowBound bound(operands, call, queryMeans, conversion);
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
    // Of errors that no model stands for, a row of n adds up to sqrt(n/12) units on average.
    double typical = bounds.hasModel ? 2 * model : bounds.spread[i] / 12;
    allowed += bounds.codes[i] + typical + scaled + 0.25 * unit;
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

double compareLse(const std::vector<float> &lse, const std::vector<float> &reference32,
                  const std::vector<float> &reference22, const ErrorBounds &bounds,
                  double tolerance) {
  double worst = 0;
  for (size_t i = 0; i < reference32.size(); ++i) {
    double a = lse[i], b = reference32[i], other = reference22[i];
    if (!std::isfinite(a) || !std::isfinite(b)) {
      bool same = (std::isnan(a) && std::isnan(b)) || a == b;
      worst = same ? worst : std::numeric_limits<double>::infinity();
      continue;
    }
    double model = std::isfinite(other) ? std::fabs(other - b) : 0;
    double bound = tolerance * std::max(1.0, std::fabs(b)) + bounds.lse[i] + model;
    worst = std::max(worst, std::fabs(a - b) / bound);
  }
  return worst;
}

} // namespace sage::gpu
