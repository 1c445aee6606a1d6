// `sage.attention`: verification, effects, shapes and canonicalization.

#include "AttentionConstraints.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include <limits>

using namespace mlir;
using namespace sage;

static AttentionView getView(AttentionOp op) {
  auto shapeOf = [&](Value operand) {
    return OperandShape::get(cast<ShapedType>(operand.getType()), op.getLayout());
  };
  return {op,
          shapeOf(op.getQuery()),
          shapeOf(op.getKey()),
          shapeOf(op.getValue()),
          op.getOutputs(),
          op.getLayout(),
          op.getRecipe(),
          op.getScaleAttr(),
          op.getGeometryAttr(),
          op.getScheduleAttr(),
          op.getTargetAttr(),
          Masking::get(op)};
}

AttentionShape AttentionOp::getShape() { return getView(*this).getShape(); }

std::optional<float> AttentionOp::getEffectiveScale() {
  return ::sage::getEffectiveScale(getScaleAttr(), getShape().headDim);
}

LogicalResult AttentionOp::verify() {
  bool onTensors = isa<TensorType>(getQuery().getType());
  for (Value operand : getOperands())
    if (isa<TensorType>(operand.getType()) != onTensors)
      return emitOpError() << "operands must be all tensors or all memrefs, but got "
                           << getQuery().getType() << " and " << operand.getType() << " [C1]";
  const std::pair<StringRef, Value> operands[] = {
      {"query", getQuery()}, {"key", getKey()}, {"value", getValue()}};
  for (auto [name, operand] : operands)
    if (failed(verifyOperand(*this, name, cast<ShapedType>(operand.getType()))))
      return failure();
  AttentionView view = getView(*this);
  if (failed(verifyExtents(view)) || failed(verifyOutputs(view)))
    return failure();
  Type element = cast<ShapedType>(getOutput().getType()).getElementType();
  for (auto [name, operand] : operands)
    if (cast<ShapedType>(operand.getType()).getElementType() != element)
      return emitOpError() << "element types of " << name << " and output must be equal, but got "
                           << cast<ShapedType>(operand.getType()).getElementType() << " and "
                           << element << " [C3]";
  return failure(failed(verifyMasking(view)) || failed(verifyPlan(view)));
}

void AttentionOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

Speculation::Speculatability AttentionOp::getSpeculatability() {
  return hasPureTensorSemantics() ? Speculation::Speculatable : Speculation::NotSpeculatable;
}

LogicalResult AttentionOp::reifyResultShapes(OpBuilder &builder,
                                             ReifiedRankedShapedTypeDims &shapes) {
  if (!hasPureTensorSemantics())
    return failure();
  return reifyOutputs(builder, getLoc(), getOutputs(), shapes);
}

namespace {
/// Without keys, O is 0 and the log-sum-exp is -inf (Spec N12).
struct FoldNoKeys : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    // A sink gives the log-sum-exp a value; rows in no sequence keep what the outputs hold.
    if (op.getShape().keyTokens != 0 || op.getSinks() || op.isPacked())
      return failure();
    SmallVector<Value> results;
    for (auto [index, output] : llvm::enumerate(op.getOutputs())) {
      auto type = cast<FloatType>(cast<ShapedType>(output.getType()).getElementType());
      double value = index == 0 ? 0.0 : -std::numeric_limits<double>::infinity();
      Value constant =
          arith::ConstantOp::create(rewriter, op.getLoc(), rewriter.getFloatAttr(type, value));
      auto fill = linalg::FillOp::create(rewriter, op.getLoc(), constant, output);
      llvm::append_range(results, fill->getResults());
    }
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// A log-sum-exp that nobody reads is not computed.
struct DropUnusedLse : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    if (op.getNumResults() != 2 || !op.getResult(1).use_empty())
      return failure();
    auto single = AttentionOp::create(
        rewriter, op.getLoc(), TypeRange{op.getResult(0).getType()}, op.getQuery(), op.getKey(),
        op.getValue(), op.getBias(), op.getKeyLengths(), op.getSinks(), op.getQueryOffsets(),
        op.getKeyOffsets(), ValueRange{op.getOutput()}, op.getRecipeAttr(), op.getLayoutAttr(),
        op.getMaskAttr(), op.getWindowLeftAttr(), op.getWindowRightAttr(), op.getSinkTokensAttr(),
        op.getSoftcapAttr(), op.getScaleAttr(), op.getGeometryAttr(), op.getScheduleAttr(),
        op.getTargetAttr());
    single->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.replaceAllUsesWith(op.getResult(0), single.getResult(0));
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<FoldNoKeys, DropUnusedLse>(context);
}
