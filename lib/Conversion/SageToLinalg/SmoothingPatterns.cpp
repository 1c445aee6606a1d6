// sage.mean, center, score_correction and lse_correction (Spec N1, N2, N12).

#include "HeadLoop.h"
#include "TokenSum.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

using namespace mlir;
using namespace sage;

/// The extents of an op's only result.
template <typename Op> static SmallVector<OpFoldResult> getResultExtents(TensorBuilder &b, Op op) {
  ReifiedRankedShapedTypeDims shapes;
  // These ops always reify: verified operands suffice.
  (void)op.reifyResultShapes(b, shapes);
  return shapes.front();
}

/// Replaces an op with one f32 result by a loop over the heads of that result.
template <typename Op>
static void replaceByHeadLoop(PatternRewriter &rewriter, Op op,
                              function_ref<Value(TensorBuilder &, Head)> body) {
  TensorBuilder b(op.getLoc(), rewriter);
  SmallVector<OpFoldResult> extents = getResultExtents(b, op);
  HeadOutput output{b.empty(extents, b.getF32Type())};
  SmallVector<Value> results =
      forEachHead(b, extents[0], extents[1], output,
                  [&](TensorBuilder &inner, Head head) { return SmallVector{body(inner, head)}; });
  rewriter.replaceOp(op, b.castTo(op.getType(), results[0]));
}

/// sum / count; of no tokens 0.
static Value divideByCount(TensorBuilder &b, Value sum, OpFoldResult count) {
  Value tokens = arith::MaxUIOp::create(b, b.index(count), b.index(b.getIndexAttr(1)));
  Value integer = arith::IndexCastOp::create(b, b.getI64Type(), tokens);
  Value divisor = arith::SIToFPOp::create(b, b.getF32Type(), integer);
  return b.elementwise(b.getF32Type(), sum, [&](TensorBuilder &b, ValueRange x) -> Value {
    return arith::DivFOp::create(b, x[0], divisor);
  });
}

namespace {

struct DecomposeMean : OpRewritePattern<MeanOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MeanOp op, PatternRewriter &rewriter) const override {
    replaceByHeadLoop(rewriter, op, [&](TensorBuilder &b, Head head) {
      Value tokens = getHead(b, op.getInput(), head, op.getLayout());
      return op.getBlock() == 0 ? meanOfAll(b, tokens) : meansOfBlocks(b, tokens, op.getBlock());
    });
    return success();
  }

private:
  static Value meanOfAll(TensorBuilder &b, Value tokens) {
    OpFoldResult count = b.extent(tokens, 0);
    return divideByCount(b, sumTokens(b, tokens, b.getIndexAttr(0), count), count);
  }

  static Value meansOfBlocks(TensorBuilder &b, Value tokens, int64_t block) {
    AffineExpr n = b.getAffineDimExpr(0), i = b.getAffineDimExpr(1);
    AffineExpr size = b.getAffineConstantExpr(block);
    OpFoldResult count = b.extent(tokens, 0);
    OpFoldResult blocks = b.apply(AffineMap::get(1, 0, n.ceilDiv(block)), count);
    Value init = b.empty({blocks, b.extent(tokens, 1)}, b.getF32Type());
    auto loop = scf::ForOp::create(
        b, b.index(b.getIndexAttr(0)), b.index(blocks), b.index(b.getIndexAttr(1)), init,
        [&](OpBuilder &nested, Location loc, Value index, ValueRange means) {
          TensorBuilder inner(loc, nested);
          OpFoldResult first = inner.apply(AffineMap::get(1, 0, n * block), {index});
          OpFoldResult length = affine::makeComposedFoldedAffineMin(
              inner, loc, AffineMap::get(2, 0, {n - i * block, size}, b.getContext()),
              {count, index});
          Value mean = divideByCount(inner, sumTokens(inner, tokens, first, length), length);
          scf::YieldOp::create(inner, inner.insertRows(mean, means[0], index));
        });
    return loop.getResult(0);
  }
};

struct DecomposeCenter : OpRewritePattern<CenterOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CenterOp op, PatternRewriter &rewriter) const override {
    AffineExpr n = rewriter.getAffineDimExpr(0);
    int64_t block = op.getBlock();
    AffineMap blockOf = AffineMap::get(1, 0, block ? n.floorDiv(block) : n * 0);
    replaceByHeadLoop(rewriter, op, [&](TensorBuilder &b, Head head) {
      Value tokens = b.toF32(getHead(b, op.getInput(), head, op.getLayout()));
      Value means = getHead(b, op.getMean(), head);
      return b.elementwise(b.getF32Type(), tokens, [&](TensorBuilder &b, ValueRange x) -> Value {
        Value index = b.index(b.apply(blockOf, {b.coordinate(0)}));
        return arith::SubFOp::create(b, x[0], b.read(means, {index, b.coordinate(1)}));
      });
    });
    return success();
  }
};

struct DecomposeScoreCorrection : OpRewritePattern<ScoreCorrectionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ScoreCorrectionOp op, PatternRewriter &rewriter) const override {
    replaceByHeadLoop(rewriter, op, [&](TensorBuilder &b, Head head) {
      Head keyHead = getKeyHead(b, head, b.extent(op.getMean(), 1),
                                b.extent(op.getKey(), getHeadDimension(op.getLayout())));
      Value mean = getHead(b, op.getMean(), head);
      Value key = getHead(b, op.getKey(), keyHead, op.getLayout());
      return b.multiplyTransposed(mean, key, b.filled({b.extent(mean, 0), b.extent(key, 0)}, 0.0f));
    });
    return success();
  }
};

struct DecomposeLseCorrection : OpRewritePattern<LseCorrectionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(LseCorrectionOp op, PatternRewriter &rewriter) const override {
    float scale = op.getScale().convertToFloat();
    replaceByHeadLoop(rewriter, op, [&](TensorBuilder &b, Head head) {
      Head keyHead = getKeyHead(b, head, b.extent(op.getQuery(), getHeadDimension(op.getLayout())),
                                b.extent(op.getMean(), 1));
      Value query = getHead(b, op.getQuery(), head, op.getLayout());
      Value mean = getHead(b, op.getMean(), keyHead);
      OpFoldResult tokens = b.extent(query, 0);
      Value products =
          b.multiplyTransposed(query, mean, b.filled({tokens, b.getIndexAttr(1)}, 0.0f));
      AffineMap column =
          AffineMap::get(1, 0, {b.getAffineDimExpr(0), b.getAffineConstantExpr(0)}, b.getContext());
      return b.generate(tokens, b.getF32Type(), products, column,
                        [&](TensorBuilder &b, ValueRange x) -> Value {
                          return arith::MulFOp::create(b, x[0], b.constant(scale));
                        });
    });
    return success();
  }
};

} // namespace

void sage::populateDecomposeSmoothingPatterns(RewritePatternSet &patterns) {
  patterns.add<DecomposeMean, DecomposeCenter, DecomposeScoreCorrection, DecomposeLseCorrection>(
      patterns.getContext());
}
