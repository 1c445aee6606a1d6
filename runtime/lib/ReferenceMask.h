//===- ReferenceMask.h - which keys a query sees, and biases ----*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_REFERENCEMASK_H
#define SAGE_RUNTIME_LIB_REFERENCEMASK_H

#include "CallCheck.h"

#include <algorithm>

namespace sage::runtime {

/// The keys that a query sees by its mask (Spec N13): begin to end - 1, and
/// those before sinkEnd.
struct VisibleKeys {
  int64_t sinkEnd, begin, end;

  bool sees(int64_t key) const { return key < end && (key >= begin || key < sinkEnd); }
  int64_t count() const {
    return std::max(end - begin, int64_t(0)) + std::min({sinkEnd, begin, end});
  }
};

VisibleKeys visibleKeys(const sage_problem &problem, const Extents &extents, int64_t query);

/// What a row computes of one key tile: the keys from `first` on, of which
/// those of the gap are hidden. It begins at a multiple of 32 in the tile, so
/// that the steps of an accumulator stay what they are (Spec N10).
struct TileKeys {
  int64_t first, end, gapFirst, gapEnd;

  int64_t count() const { return end - first; }
  bool isHidden(int64_t key) const { return key >= gapFirst && key < gapEnd; }
};

TileKeys keysOfTile(const VisibleKeys &visible, int64_t tileFirst, int64_t tileEnd);

/// A bias in host memory, extents of 1 repeated.
class BiasView {
public:
  BiasView(const sage_problem &problem, const sage_call &call)
      : present(problem.has_bias), tensor(call.bias) {}

  /// Whether it is added to the scores.
  bool isAdded() const { return present && tensor.element_type != SAGE_BOOL; }
  /// Whether it says which keys are visible.
  bool isBoolean() const { return present && tensor.element_type == SAGE_BOOL; }
  /// Of a boolean bias 1 where the key is visible, otherwise 0.
  float at(int64_t batch, int64_t head, int64_t query, int64_t key) const;

private:
  bool present;
  sage_tensor tensor;
};

} // namespace sage::runtime

#endif
