// Ops on tensors that are known to hold no token. Their results are constants, and the loops of the
// other patterns would not verify: tensor.extract_slice refuses dimensions of static extent 0.

#include "TensorBuilder.h"

#include "mlir/IR/PatternMatch.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include <limits>

using namespace mlir;
using namespace sage;

/// Whether batch, heads or tokens are known to be 0. The head dim is the last dimension of every
/// layout.
static bool isEmpty(Value operand) {
  auto type = dyn_cast<RankedTensorType>(operand.getType());
  return type && type.getRank() == 4 && llvm::is_contained(type.getShape().drop_back(), 0);
}

namespace {

/// Fills the results of an op with an empty operand. The mean of no tokens is 0, the scale of no
/// tokens 1.
template <typename Op> struct DecomposeEmpty : OpRewritePattern<Op> {
  DecomposeEmpty(MLIRContext *context) : OpRewritePattern<Op>(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!llvm::any_of(op->getOperands(), isEmpty))
      return rewriter.notifyMatchFailure(op, "no operand is known to be empty");
    TensorBuilder b(op.getLoc(), rewriter);
    ReifiedRankedShapedTypeDims shapes;
    if (failed(op.reifyResultShapes(b, shapes)))
      return rewriter.notifyMatchFailure(op, "extents of the results must be known");
    SmallVector<Value> results;
    for (auto [index, shape] : llvm::enumerate(shapes)) {
      auto type = cast<RankedTensorType>(op->getResult(index).getType());
      bool isScales = index == 1;
      TypedAttr value =
          isScales ? TypedAttr(b.getF32FloatAttr(1.0f)) : b.getZeroAttr(type.getElementType());
      results.push_back(b.castTo(type, b.filled(shape, value)));
    }
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// The output of rows that see nothing but a sink (N15): 0 for O, the sink for the log-sum-exp, NaN
/// where the sink is NaN or +∞.
static Value fillWithSinks(TensorBuilder &b, Value output, Value sinks, bool isLse, Layout layout) {
  auto type = cast<RankedTensorType>(output.getType());
  unsigned heads = isLse ? 1 : getHeadDimension(layout);
  AffineMap ofHead = AffineMap::get(type.getRank(), 0, b.getAffineDimExpr(heads));
  return b.update(output, sinks, ofHead, [&](TensorBuilder &b, ValueRange x) -> Value {
    float infinity = std::numeric_limits<float>::infinity();
    Value isFinite =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x[0], b.constant(infinity));
    Value result = arith::SelectOp::create(b, isFinite, isLse ? x[0] : b.constant(0.0f),
                                           b.constant(std::numeric_limits<float>::quiet_NaN()));
    if (isLse)
      return result;
    return arith::TruncFOp::create(b, type.getElementType(), result);
  });
}

/// Fills O with 0 and the log-sum-exp with -∞ (N12), or with what sinks say.
template <typename AttentionLike> struct DecomposeEmptyAttention : OpRewritePattern<AttentionLike> {
  DecomposeEmptyAttention(MLIRContext *context)
      : OpRewritePattern<AttentionLike>(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(AttentionLike op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0 || !(isEmpty(op.getQuery()) || isEmpty(op.getKey())))
      return rewriter.notifyMatchFailure(op, "query and key are not known to be empty");
    TensorBuilder b(op.getLoc(), rewriter);
    SmallVector<Value> results;
    for (Value output : op.getOutputs()) {
      Type element = cast<RankedTensorType>(output.getType()).getElementType();
      bool isLse = !results.empty();
      if (op.getSinks()) {
        results.push_back(fillWithSinks(b, output, op.getSinks(), isLse, op.getLayout()));
        continue;
      }
      TypedAttr value = isLse ? b.getF32FloatAttr(-std::numeric_limits<float>::infinity())
                              : b.getZeroAttr(element);
      Value scalar = arith::ConstantOp::create(b, value);
      results.push_back(linalg::FillOp::create(b, scalar, output).getResult(0));
    }
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void sage::populateDecomposeEmptyPatterns(RewritePatternSet &patterns) {
  patterns.add<DecomposeEmpty<MeanOp>, DecomposeEmpty<CenterOp>, DecomposeEmpty<ScoreCorrectionOp>,
               DecomposeEmpty<LseCorrectionOp>, DecomposeEmpty<QuantizeOp>,
               DecomposeEmpty<QuantizeValueOp>, DecomposeEmptyAttention<AttentionOp>,
               DecomposeEmptyAttention<SmoothedAttentionOp>,
               DecomposeEmptyAttention<QuantizedAttentionOp>>(patterns.getContext());
}
