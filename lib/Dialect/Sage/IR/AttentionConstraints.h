// Constraints that the three attention ops share; docs/Spec.md section 2 numbers them.

#ifndef SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H
#define SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/ValueRange.h"
#include "sage/Dialect/Sage/IR/AttentionShape.h"

namespace sage {

/// What the three attention ops have in common, read from one of them.
struct AttentionView {
  mlir::Operation *op;
  OperandShape query, key, value;
  mlir::ValueRange outputs;
  Layout layout;
  RecipeAttr recipe;
  mlir::FloatAttr scale;
  GeometryAttr geometry;
  ScheduleAttr schedule;
  TargetAttr target;

  AttentionShape getShape() const;
};

/// Operands that restore what smoothing removed; null where absent.
struct Corrections {
  mlir::Value score, lse, valueMean;
};

inline bool isSixteenBit(mlir::Type type) { return type.isF16() || type.isBF16(); }

/// Whether two extents are known and differ.
inline bool differ(int64_t a, int64_t b) {
  return !mlir::ShapedType::isDynamic(a) && !mlir::ShapedType::isDynamic(b) && a != b;
}

/// Whether the known extents of `type` are `shape`'s.
bool hasShape(mlir::ShapedType type, llvm::ArrayRef<int64_t> shape);

/// C2, C3: a rank-4 operand, 16-bit or (where allowed) f32; f32 operands only head-major (M1).
mlir::LogicalResult verifyOperand(mlir::Operation *op, llvm::StringRef name, mlir::ShapedType type,
                                  bool allowF32 = false);
/// C4 to C6 of Q, K and V.
mlir::LogicalResult verifyExtents(const AttentionView &view);
/// C2, C3, C5 to C7 of the outputs.
mlir::LogicalResult verifyOutputs(const AttentionView &view);
/// C8, C10 to C12.
mlir::LogicalResult verifyPlan(const AttentionView &view);
/// M7.
mlir::LogicalResult verifyCorrections(const AttentionView &view, const Corrections &corrections);

/// 1/sqrt(D) unless given; nothing when D is dynamic.
std::optional<float> getEffectiveScale(mlir::FloatAttr scale, int64_t headDim);

/// Extents of the outputs, for reification.
mlir::LogicalResult
reifyOutputs(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange outputs,
             llvm::SmallVectorImpl<llvm::SmallVector<mlir::OpFoldResult>> &shapes);

} // namespace sage

#endif // SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H
