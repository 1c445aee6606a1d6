// Constraints that the three attention ops share; docs/Spec.md section 2 numbers them.

#ifndef SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H
#define SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/ValueRange.h"
#include "sage/Dialect/Sage/IR/AttentionShape.h"

namespace sage {

/// What hides keys, ends sequences and changes scores; null where absent.
struct Masking {
  Mask mask;
  mlir::Value bias, keyLengths, sinks, queryOffsets, keyOffsets;
  mlir::IntegerAttr windowLeft, windowRight, sinkTokens;
  mlir::FloatAttr softcap;

  template <typename AttentionLike> static Masking get(AttentionLike op) {
    return {
        op.getMask(),           op.getBias(),       op.getKeyLengths(),     op.getSinks(),
        op.getQueryOffsets(),   op.getKeyOffsets(), op.getWindowLeftAttr(), op.getWindowRightAttr(),
        op.getSinkTokensAttr(), op.getSoftcapAttr()};
  }
};

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
  Masking masking;

  AttentionShape getShape() const;
  /// Whether scores lack what centring K removed where that matters (Spec M7).
  bool needsLseCorrection() const;
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
/// C9, C13 to C17.
mlir::LogicalResult verifyMasking(const AttentionView &view);
/// C8, C10 to C12.
mlir::LogicalResult verifyPlan(const AttentionView &view);
/// M7.
mlir::LogicalResult verifyCorrections(const AttentionView &view, const Corrections &corrections);

/// M8: `lengths` is i32 [batch], `offsets` is i32 [sequences + 1] with a batch of 1, and at most
/// one of them is given.
mlir::LogicalResult checkTokenLengths(std::optional<mlir::Location> location, mlir::Value lengths,
                                      mlir::Value offsets, int64_t batch);
/// The number of sequences of `offsets`; kDynamic where unknown.
int64_t countSequences(mlir::Value offsets);
/// The number of blocks of `block` tokens, or of whole sequences for 0 (Spec M2); `offsets` may be
/// null.
int64_t countBlocks(int64_t tokens, int64_t block, mlir::Value offsets);

/// 1/sqrt(D) unless given; nothing when D is dynamic.
std::optional<float> getEffectiveScale(mlir::FloatAttr scale, int64_t headDim);

/// Extents of the outputs, for reification.
mlir::LogicalResult
reifyOutputs(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange outputs,
             llvm::SmallVectorImpl<llvm::SmallVector<mlir::OpFoldResult>> &shapes);

} // namespace sage

#endif // SAGE_LIB_DIALECT_SAGE_IR_ATTENTIONCONSTRAINTS_H
