//===- RowBound.cpp - the error bound of one row of O ---------------------===//
#include "RowBound.h"

#include "BoundLoops.h"
#include "FloatFormats.h"
#include "HostTensor.h"

#include <algorithm>
#include <cmath>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

constexpr float ln2 = 0.693147180559945f;
constexpr float halfUlp = 0x1p-24f;
/// exp2 of the kernel (N9: 2^-22) and of the reference (2^-23).
constexpr float exp2Error = 0x1p-22f + 0x1p-23f;
constexpr float magic = 12582912.0f;
constexpr float hoeffding = 3.6f;

/// P·V: 8-bit products keep 13 bits, or 10 in an f16 accumulator (which may round
/// twice a step); 16-bit products keep float32, give or take a bit.
ProductPrecision precisionOfValues(const sage_recipe &recipe) {
  if (recipe.pv == SAGE_VALUE_F16)
    return {16, 22, 1};
  return recipe.inner == SAGE_INNER_F16 ? ProductPrecision{32, 10, 2} : ProductPrecision{32, 13, 1};
}

/// Q·K of floats; integers are exact.
ProductPrecision precisionOfScores(const sage_recipe &recipe) {
  return recipe.qk == SAGE_SCORE_E4M3 ? ProductPrecision{32, 13, 1} : ProductPrecision{16, 22, 1};
}

/// What a product of `magnitude` loses when it is cut off.
float unitOf(float magnitude, const ProductPrecision &precision) {
  return std::ldexp(floatOf(bitsOf(magnitude) & 0x7f800000u), -precision.keptBits);
}

} // namespace

RowBound::RowBound(const ReferenceOperands &operands, const sage_call &call,
                   const std::vector<float> &queryMeans, ScoreConversion conversion)
    : operands(operands), queryMeans(queryMeans), adjustment(operands, call),
      kernels(tileKernels()), conversion(conversion),
      scorePrecision(precisionOfScores(operands.recipe)),
      valuePrecision(precisionOfValues(operands.recipe)), columns(operands.valueColumns()),
      log2Range(std::log2(valueRange(operands.recipe).probability)) {
  size_t tile = size_t(operands.geometry.keyTile);
  for (auto *buffer :
       {&scores, &logits, &factors, &probabilities, &argumentErrors, &products, &means})
    buffer->resize(tile);
  for (auto *buffer : {&total, &codes, &squares, &fresh, &freshCodes, &freshSquares, &largest})
    buffer->resize(size_t(columns));
}

void RowBound::run(int64_t head, int64_t query, ErrorBounds &bounds) {
  slack = 0;
  int64_t tile = operands.geometry.keyTile, partTiles = operands.partTiles();
  VisibleKeys visible = adjustment.visibleKeys(query);
  std::vector<Part> parts;
  startPart();
  for (int64_t t = (visible.end + tile - 1) / tile - 1; t >= 0; --t) {
    TileKeys keys = adjustment.keysOfTile(visible, head, query, t * tile);
    if (keys.count() > 0)
      addTile(head, query, keys);
    if (t % partTiles != 0 || (t == 0 && parts.empty()))
      continue;
    parts.push_back({maximum, sum, sumError, relative, total, codes, squares});
    startPart();
  }
  if (!parts.empty())
    joinParts(parts);
  if (operands.problem.sinks)
    addSink(head, query);
  store(head, query, bounds);
}

float RowBound::roundProbability(float p) const {
  switch (operands.recipe.pv) {
  case SAGE_VALUE_E4M3:
    return roundToE4m3(p);
  case SAGE_VALUE_E5M2:
    return roundToE5m2(p);
  case SAGE_VALUE_F16:
    break;
  }
  return operands.problem.element_type == SAGE_F16 ? roundToF16(p) : roundToBf16(p);
}

/// Relative error of p: of exp2 and of its argument S·a + offset, whose offset holds a
/// maximum that was rounded at its own magnitude.
float RowBound::argumentError(float argument, float offset, float factor) const {
  float error = halfUlp * (2 * std::fabs(argument) + std::fabs(offset));
  if (conversion == ScoreConversion::FoldedMagic)
    error += halfUlp * magic * factor;
  return ln2 * error + exp2Error;
}

/// x of the tile's keys, and by how much a kernel's may differ.
void RowBound::computeScores(int64_t head, int64_t query, const TileKeys &tile) {
  const Extents &extents = operands.extents;
  int64_t firstKey = tile.first, keys = tile.count();
  int64_t dims = operands.problem.head_dim;
  int64_t keyHead = head / extents.headGroup();
  int64_t keyRow = keyHead * extents.keys + firstKey;
  int64_t row = head * extents.queries + query;
  if (operands.integerScores())
    kernels.integerScores(operands.queryIntegers.data() + row * dims,
                          operands.keyIntegers.data() + keyRow * dims, dims, keys, scores.data());
  else
    kernels.floatScores(operands.queryFloats.data() + row * dims,
                        operands.keyFloatsTransposed.data() + keyHead * dims * extents.keys +
                            firstKey,
                        extents.keys, dims, keys, scores.data());
  const float *correction = nullptr;
  if (operands.recipe.smooth_q)
    correction =
        operands.scoreCorrection.data() +
        (head * operands.queryBlocks() + query / operands.geometry.queryBlock) * extents.keys +
        firstKey;
  float rowFactor = operands.queryScales[size_t(row)] * operands.scaleLog2e;
  tileMaximum =
      kernels.logits(scores.data(), operands.keyScales.data() + keyRow, rowFactor, correction,
                     operands.scaleLog2e, keys, logits.data(), factors.data());
  std::fill(argumentErrors.begin(), argumentErrors.end(), 0.0f);
  addScoreErrors(head, query, firstKey, keys);
  if (adjustment.isNeeded(tile))
    adjustScores(head, query, tile);
}

/// A score is rounded once in every step of N14, and the hyperbolic tangent is near.
void RowBound::adjustScores(int64_t head, int64_t query, const TileKeys &tile) {
  constexpr float tangentError = 0x1p-20f;
  float largest = 0;
  for (int64_t j = 0; j < tile.count(); ++j)
    largest = std::max(largest, std::fabs(logits[size_t(j)]));
  float completion = 0;
  if (operands.completesScores()) // a float32 sum of products in any order
    completion = std::fabs(operands.lseCorrectionOf(head, query)) +
                 float(operands.problem.head_dim) * operands.scale;
  tileMaximum = adjustment.apply(head, query, tile, scores.data(), logits.data(), factors.data());
  if (adjustment.isFused())
    return;
  for (int64_t j = 0; j < tile.count(); ++j) {
    float x = logits[size_t(j)];
    if (!std::isfinite(x))
      continue;
    float error =
        halfUlp * (4 * (largest + std::fabs(x)) + float(operands.problem.head_dim) * completion) +
        tangentError * adjustment.softcap();
    argumentErrors[size_t(j)] += error;
    slack = std::max(slack, ln2 * argumentErrors[size_t(j)]);
  }
}

/// Float products add in another order and width; so does the score correction.
void RowBound::addScoreErrors(int64_t head, int64_t query, int64_t firstKey, int64_t keys) {
  const Extents &extents = operands.extents;
  int64_t dims = operands.problem.head_dim;
  int64_t keyHead = head / extents.headGroup();
  int64_t keyRow = keyHead * extents.keys + firstKey;
  bool integers = operands.integerScores();
  const float *mean = nullptr;
  if (!queryMeans.empty())
    mean = queryMeans.data() +
           (head * operands.queryBlocks() + query / operands.geometry.queryBlock) * dims;
  if (integers && !mean)
    return;
  std::fill(means.begin(), means.end(), 0.0f);
  for (int64_t j = 0; j < keys; ++j)
    products[size_t(j)] = integers ? 0 : std::fabs(scores[size_t(j)]);
  if (!integers)
    addFloatChannels(operands.queryFloats.data() + (head * extents.queries + query) * dims,
                     operands.keyFloatsTransposed.data() + keyHead * dims * extents.keys + firstKey,
                     extents.keys, dims, keys, mean, products.data(), means.data());
  for (int64_t j = 0; j < keys; ++j) {
    float error = 0;
    if (integers) {
      means[size_t(j)] = sumOfMeans(mean, operands.keyIntegers.data() + (keyRow + j) * dims, dims);
    } else {
      float steps = float((dims + scorePrecision.step - 1) / scorePrecision.step);
      float addends = steps * float(scorePrecision.step + scorePrecision.addendsMore);
      error = addends * unitOf(products[size_t(j)], scorePrecision) * factors[size_t(j)];
    }
    float keyScale = operands.keyScales[size_t(keyRow + j)];
    error += float(dims) * halfUlp * means[size_t(j)] * keyScale * operands.scaleLog2e;
    argumentErrors[size_t(j)] = error;
    slack = std::max(slack, ln2 * error);
  }
}

/// α of a new maximum, with what it is off.
float RowBound::rescaleTo(float next) {
  float rescale = maximum == -INFINITY ? 0 : std::exp2(maximum - next);
  if (rescale != 0 && next != maximum)
    relative += exp2Error + ln2 * halfUlp * (next - maximum);
  relative += halfUlp; // the promotion's own rounding
  maximum = next;
  return rescale;
}

/// N15: one more addend of the row sum.
void RowBound::addSink(int64_t head, int64_t query) {
  float sink = adjustment.sinkOf(head, query), next = std::max(maximum, sink);
  if (!(std::fabs(next) < INFINITY))
    return;
  float rescale = rescaleTo(next);
  for (size_t d = 0; d < size_t(columns); ++d) {
    total[d] *= rescale;
    codes[d] *= rescale;
    squares[d] *= rescale * rescale;
  }
  float argument = sink + (log2Range - maximum), p = exp2Reference(argument);
  float correction = operands.recipe.smooth_k ? operands.lseCorrectionOf(head, query) : 0;
  float error = argumentError(argument, log2Range - maximum, 0) +
                halfUlp * (2 * std::fabs(sink) +
                           float(operands.problem.head_dim) * 4 * std::fabs(correction));
  sum = sum * rescale + p;
  sumError = sumError * rescale + p * error;
  if (operands.sumsColumn()) {
    total.back() += p;
    codes.back() += p * error;
  }
  slack = std::max(slack, error);
}

void RowBound::addTile(int64_t head, int64_t query, const TileKeys &tile) {
  int64_t firstKey = tile.first, keys = tile.count();
  computeScores(head, query, tile);
  float next = std::max(maximum, tileMaximum);
  if (!(std::fabs(next) < INFINITY))
    return; // NaN: the outputs are NaN too, and compared as such
  float rescale = rescaleTo(next);

  std::fill(freshCodes.begin(), freshCodes.end(), 0.0f);
  int64_t keyRow = head / operands.extents.headGroup() * operands.extents.keys + firstKey;
  const float *values = operands.values.data() + keyRow * columns;
  float offset = log2Range - maximum, tileSum = 0, tileSumError = 0;
  for (int64_t j = 0; j < keys; ++j) {
    float argument = logits[size_t(j)] + offset;
    probabilities[size_t(j)] = 0;
    if (argument == -INFINITY) // hidden on both sides
      continue;
    float p = exp2Reference(argument);
    // The maximum that is subtracted may be off as much as x itself.
    float eta =
        argumentError(argument, offset, factors[size_t(j)]) + 2 * ln2 * argumentErrors[size_t(j)];
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
  bool carriesOn = operands.recipe.accumulation == SAGE_SINGLE_LEVEL;
  for (size_t d = 0; d < size_t(columns); ++d)
    fresh[d] = carriesOn ? total[d] * rescale : 0.0f;
  accumulate(values, keys);
  for (size_t d = 0; d < size_t(columns); ++d) {
    total[d] = carriesOn ? fresh[d] : total[d] * rescale + fresh[d];
    codes[d] = codes[d] * rescale + freshCodes[d];
    squares[d] = squares[d] * rescale * rescale + freshSquares[d];
  }
  sum = sum * rescale + tileSum;
  // Float32 sums of a tile, in any order: log2(tile) roundings if it is a tree,
  // as many as a lane has elements otherwise.
  sumError = sumError * rescale + tileSumError + float(keys) * halfUlp * tileSum;
}

void RowBound::accumulate(const float *values, int64_t keys) {
  std::fill(freshSquares.begin(), freshSquares.end(), 0.0f);
  // An f16 accumulator is rounded as a whole; its products are added more exactly.
  bool roundsWhole = valuePrecision.keptBits == 10;
  float unitOfOne = std::ldexp(1.0f, -valuePrecision.keptBits);
  for (int64_t j = 0; j < keys; j += valuePrecision.step) {
    int64_t count = std::min(valuePrecision.step, keys - j);
    addStep(probabilities.data() + j, values + j * columns, count, columns, fresh.data(),
            largest.data());
    float addends = float((roundsWhole ? 0 : count) + valuePrecision.addendsMore);
    addSpread(largest.data(), addends, unitOfOne, columns, freshSquares.data());
  }
}

void RowBound::store(int64_t head, int64_t query, ErrorBounds &bounds) const {
  const Extents &extents = operands.extents;
  int64_t dims = operands.problem.value_head_dim;
  int64_t row = head * extents.queries + query;
  float divisor = sum, divisorError = sumError, codesOfSum = 0;
  if (operands.sumsColumn()) {
    divisor = total[size_t(dims)];
    codesOfSum = codes[size_t(dims)];
    divisorError = codesOfSum + 2 * hoeffding * std::sqrt(squares[size_t(dims)]);
  }
  if (!(divisor > 0)) {
    divisor = 1;
    divisorError = codesOfSum = 0;
  }
  // Division, two products, and the promotion.
  float rowRelative = relative + divisorError / divisor + 8 * halfUlp;
  bounds.relative[size_t(row)] = rowRelative;
  // A code of P8 that is off weighs much in the sum of a row that sees few keys.
  bounds.lse[size_t(row)] = slack + codesOfSum / divisor;
  const float *scales = operands.valueScales.data() + head / extents.headGroup() * dims;
  const float *means = operands.recipe.smooth_v
                           ? operands.valueMeans.data() + head / extents.headGroup() * dims
                           : nullptr;
  for (int64_t d = 0; d < dims; ++d) {
    float unit = scales[d] / divisor;
    // What is scaled is O without the mean of V.
    float added = means ? rowRelative * std::fabs(means[d]) : 0.0f;
    bounds.codes[size_t(row * dims + d)] = codes[size_t(d)] * unit + added;
    bounds.spread[size_t(row * dims + d)] = 2 * hoeffding * std::sqrt(squares[size_t(d)]) * unit;
  }
}

} // namespace sage::gpu
