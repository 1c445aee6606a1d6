// Scores and probabilities of one key tile (Spec N8, N9, N13, N14).

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_TILESCORES_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_TILESCORES_H

#include "OnlineAttention.h"

namespace sage {

/// The keys first to first + count - 1.
struct KeyTile {
  mlir::OpFoldResult first, count;
};

class TileScores {
public:
  TileScores(const AttentionNumerics &numerics, const AttentionHead &head);

  /// S as floats: exact int32 sums, or float32 sums of e4m3 and 16-bit operands.
  mlir::Value computeScores(TensorBuilder &b, KeyTile tile) const;
  /// x, -∞ where it is hidden.
  mlir::Value computeLogits(TensorBuilder &b, KeyTile tile, mlir::Value scores) const;
  /// p, scaled to the range of P's type.
  mlir::Value computeProbabilities(TensorBuilder &b, KeyTile tile, mlir::Value scores,
                                   mlir::Value logits, mlir::Value maximum) const;

private:
  mlir::Value readBias(TensorBuilder &b, KeyTile tile) const;
  mlir::Value isVisible(TensorBuilder &b, KeyTile tile) const;
  mlir::Value computeLogit(TensorBuilder &b, KeyTile tile, mlir::Value score,
                           mlir::Value factor) const;
  bool addsBias() const;
  /// Whether p comes from the score and its factor, not from x.
  bool isFused() const;

  const AttentionNumerics &numerics;
  const AttentionHead &head;
  float scaleLog2e, log2Range;
};

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_TILESCORES_H
