// The extents of an attention problem, read from operand types.

#ifndef SAGE_DIALECT_SAGE_IR_ATTENTIONSHAPE_H
#define SAGE_DIALECT_SAGE_IR_ATTENTIONSHAPE_H

#include "mlir/IR/BuiltinTypes.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace sage {

/// Extents named as in Spec section 1; ShapedType::kDynamic where unknown.
struct AttentionShape {
  int64_t batch, queryHeads, keyHeads, queryTokens, keyTokens, headDim, valueHeadDim;
  /// f16 or bf16: the element type of O.
  mlir::Type elementType;
};

/// The extents of a rank-4 operand, head-major whatever its layout.
struct OperandShape {
  int64_t batch, heads, tokens, channels;
  static OperandShape get(mlir::ShapedType type, Layout layout);
};

/// Indices of the head and token dimensions in a layout; batch is 0, channel is 3.
inline unsigned getHeadDimension(Layout layout) { return layout == Layout::HeadMajor ? 1 : 2; }
inline unsigned getTokenDimension(Layout layout) { return layout == Layout::HeadMajor ? 2 : 1; }

/// The layout an operand is read in: f32 operands are always head-major.
Layout getOperandLayout(mlir::ShapedType type, Layout layout);

/// The channels that are rotated together: the largest power of two that divides the head dim (Spec
/// N3).
int64_t getRotationBlock(int64_t headDim);
/// How often the rotated Q, or K, is halved; both together undo the growth of their products.
enum class RotatedOperand { Query, Key };
int64_t getRotationHalvings(int64_t headDim, RotatedOperand operand);

} // namespace sage

#endif // SAGE_DIALECT_SAGE_IR_ATTENTIONSHAPE_H
