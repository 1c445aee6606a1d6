//===- ReferenceScores.cpp - masks and what changes scores ----------------===//
#include "ReferenceScores.h"

#include "TileKernels.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {
constexpr float log2e = 1.44269504088896340736f;
} // namespace

ScoreAdjustment::ScoreAdjustment(const ReferenceOperands &operands, const sage_call &call)
    : operands(operands), call(call), bias(operands.problem, call),
      cap(float(operands.problem.softcap * 1.44269504088896340736)) {}

VisibleKeys ScoreAdjustment::visibleKeys(int64_t query) const {
  return runtime::visibleKeys(operands.problem, operands.extents, query);
}

TileKeys ScoreAdjustment::keysOfTile(const VisibleKeys &visible, int64_t head, int64_t query,
                                     int64_t tileFirst) const {
  int64_t heads = operands.extents.queryHeads;
  TileKeys keys = runtime::keysOfTile(visible, tileFirst, tileFirst + operands.geometry.keyTile);
  if (bias.isBoolean())
    while (keys.count() > 0 && bias.at(head / heads, head % heads, query, keys.end - 1) == 0)
      --keys.end;
  return keys;
}

bool ScoreAdjustment::isNeeded(const TileKeys &keys) const {
  return cap != 0 || operands.problem.has_bias || keys.gapEnd > keys.gapFirst;
}

bool ScoreAdjustment::isFused() const {
  return !operands.recipe.smooth_q && cap == 0 && !bias.isAdded();
}

float ScoreAdjustment::apply(int64_t head, int64_t query, const TileKeys &keys, float *scores,
                             float *x, float *factors) const {
  int64_t batch = head / operands.extents.queryHeads, inBatch = head % operands.extents.queryHeads;
  bool completes = operands.completesScores();
  float completion = completes ? operands.lseCorrectionOf(head, query) * log2e : 0;
  float largest = -__builtin_inff();
  bool sawNan = false;
  for (int64_t j = 0; j < keys.count(); ++j) {
    int64_t key = keys.first + j;
    if (completes)
      x[j] = x[j] + completion;
    if (cap != 0)
      x[j] = cap * tanhReference(x[j] / cap);
    if (bias.isAdded())
      x[j] = __builtin_fmaf(bias.at(batch, inBatch, query, key), log2e, x[j]);
    if (keys.isHidden(key) || (bias.isBoolean() && bias.at(batch, inBatch, query, key) == 0)) {
      scores[j] = x[j] = -__builtin_inff();
      factors[j] = 1;
    }
    largest = std::max(largest, x[j]);
    sawNan |= std::isnan(x[j]);
  }
  return sawNan ? __builtin_nanf("") : largest;
}

float ScoreAdjustment::sinkOf(int64_t head, int64_t query) const {
  float sink = call.sinks[head % operands.extents.queryHeads];
  if (operands.recipe.smooth_k && cap == 0)
    sink -= operands.lseCorrectionOf(head, query);
  return sink * log2e;
}

} // namespace sage::runtime
