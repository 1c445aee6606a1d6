// The caller's tensors of an attention, found behind what quantizing and smoothing made of them.

#ifndef SAGE_LIB_CONVERSION_SAGETOSAGETILE_OPERANDS_H
#define SAGE_LIB_CONVERSION_SAGETOSAGETILE_OPERANDS_H

#include "sage/Dialect/Sage/IR/SageOps.h"

namespace sage {

/// Refuses `op` with a remedy.
mlir::LogicalResult refuse(mlir::Operation *op, const mlir::Twine &what, const mlir::Twine &remedy);

/// The caller's tensors in the order of `sage_tile.invoke`: Q, K and V, then those of bias,
/// key_lengths, sinks and offsets that there are.
mlir::FailureOr<llvm::SmallVector<mlir::Value>> findOperands(QuantizedAttentionOp op);
mlir::FailureOr<llvm::SmallVector<mlir::Value>> findOperands(AttentionOp op);

/// Erases what fed an attention that is gone, from its operands up.
void eraseUnused(mlir::ValueRange operands);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOSAGETILE_OPERANDS_H
