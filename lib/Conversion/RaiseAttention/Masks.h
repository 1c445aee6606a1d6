// Which terms of the scores are masks that `sage.attention` names, and which stay operands.

#ifndef SAGE_CONVERSION_RAISEATTENTION_MASKS_H
#define SAGE_CONVERSION_RAISEATTENTION_MASKS_H

#include "Operands.h"

#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace sage::raising {

struct MaskPlan {
  Mask mask = Mask::None;
  std::optional<int64_t> windowLeft, windowRight;
  /// What is left for the bias.
  llvm::SmallVector<ScoreTerm> biases;
};

/// Proves what it can of the terms; nothing, and `obstacle`, where a mask hides every key of a
/// query or is none that can be expressed. With `strict`, queries that may see no key are an
/// obstacle too.
std::optional<MaskPlan> planMask(ElementReader &reader, const AttentionMatch &match,
                                 const Roles &roles, bool strict, Obstacle &obstacle);

/// One tensor [batch or 1, heads or 1, queries or 1, keys or 1] that does what the terms do: a
/// boolean one, or floats to add. Null, and `obstacle`, where a term cannot be brought in that
/// form.
mlir::Value buildBias(ElementReader &reader, OperandBuilder &operands, mlir::OpBuilder &builder,
                      llvm::ArrayRef<ScoreTerm> terms, const Dimensions &dimensions,
                      Obstacle &obstacle);

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_MASKS_H
