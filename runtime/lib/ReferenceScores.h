//===- ReferenceScores.h - masks and what changes scores --------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_REFERENCESCORES_H
#define SAGE_RUNTIME_LIB_REFERENCESCORES_H

#include "Reference.h"

namespace sage::runtime {

/// Spec N13 and N14 on the scores of one row and key tile. `head` counts through
/// the batch.
class ScoreAdjustment {
public:
  ScoreAdjustment(const ReferenceOperands &operands, const sage_call &call);

  VisibleKeys visibleKeys(int64_t query) const;
  /// Keys behind the last visible one are left out.
  TileKeys keysOfTile(const VisibleKeys &visible, int64_t head, int64_t query,
                      int64_t tileFirst) const;
  bool isNeeded(const TileKeys &keys) const;
  /// Changes what `TileKernels::logits` computed; hidden keys become -∞ in `x`,
  /// and in the product of `scores` and `factors`. Returns the largest x, or
  /// NaN if any is.
  float apply(int64_t head, int64_t query, const TileKeys &keys, float *scores, float *x,
              float *factors) const;
  /// Whether p comes from the product of score and factor (N9), not from x.
  bool isFused() const;
  /// The sink of a row in the units of x (N15).
  float sinkOf(int64_t head, int64_t query) const;
  float softcap() const { return cap; } ///< N14's c, 0 for none

private:
  const ReferenceOperands &operands;
  const sage_call &call;
  BiasView bias;
  float cap;
};

} // namespace sage::runtime

#endif
