// sage.rotate, sage.quantize and sage.quantize_value (Spec N3 to N6).

#include "HeadLoop.h"
#include "Scales.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

using namespace mlir;
using namespace sage;

/// Replaces an op with values and scales by a loop over their heads.
template <typename Op>
static void
replaceByHeadLoop(PatternRewriter &rewriter, Op op,
                  function_ref<SmallVector<Value>(TensorBuilder &, Head, Extents, Extents)> body) {
  TensorBuilder b(op.getLoc(), rewriter);
  ReifiedRankedShapedTypeDims shapes;
  (void)op.reifyResultShapes(b, shapes);
  SmallVector<HeadOutput> outputs;
  for (auto [shape, type] : llvm::zip_equal(shapes, op->getResultTypes()))
    outputs.push_back({b.empty(shape, cast<RankedTensorType>(type).getElementType())});
  SmallVector<Value> results =
      forEachHead(b, shapes[0][0], shapes[0][1], outputs, [&](TensorBuilder &inner, Head head) {
        return body(inner, head, Extents(shapes[0]).drop_front(2),
                    Extents(shapes[1]).drop_front(2));
      });
  for (auto [result, type] : llvm::zip_equal(results, op->getResultTypes()))
    result = b.castTo(type, result);
  rewriter.replaceOp(op, results);
}

/// The largest magnitude of every group, from those of the tokens.
static Value gatherGroups(TensorBuilder &b, Value ofTokens, AffineMap groups, Extents groupCount) {
  auto loop = scf::ForOp::create(
      b, b.index(b.getIndexAttr(0)), b.index(b.extent(ofTokens, 0)), b.index(b.getIndexAttr(1)),
      b.filled(groupCount, 0.0f),
      [&](OpBuilder &nested, Location loc, Value n, ValueRange largest) {
        TensorBuilder inner(loc, nested);
        Value group = inner.index(inner.apply(groups, {n}));
        Value joined = arith::MaximumFOp::create(inner, inner.read(largest[0], group),
                                                 inner.read(ofTokens, n));
        Value updated = tensor::InsertOp::create(inner, joined, largest[0], group);
        scf::YieldOp::create(inner, updated);
      });
  return loop.getResult(0);
}

/// round(value) in i8, at most `range` in magnitude; NaN gives 0.
static Value roundToInteger(TensorBuilder &b, Value value, float range) {
  Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  Value number = arith::SelectOp::create(b, isNaN, b.constant(0.0f), value);
  // Beyond the range only where range / absmax overflows: groups of subnormal numbers.
  number = arith::MinimumFOp::create(b, number, b.constant(range));
  number = arith::MaximumFOp::create(b, number, b.constant(-range));
  return arith::FPToSIOp::create(b, b.getI8Type(), math::RoundEvenOp::create(b, number));
}

/// Two INT4 values of a row in one byte, the even channel in the low half.
static Value packPairs(TensorBuilder &b, Value integers, Extents extents) {
  AffineMap doubled = AffineMap::get(1, 0, b.getAffineDimExpr(0) * 2);
  AffineMap next = AffineMap::get(1, 0, b.getAffineDimExpr(0) * 2 + 1);
  return b.generate(extents, b.getI8Type(), {}, {}, [&](TensorBuilder &b, ValueRange) -> Value {
    Value n = b.coordinate(0), pair = b.coordinate(1);
    auto constant = [&](int8_t value) {
      return arith::ConstantOp::create(b, b.getI8IntegerAttr(value));
    };
    Value even = b.read(integers, {n, b.index(b.apply(doubled, {pair}))});
    Value odd = b.read(integers, {n, b.index(b.apply(next, {pair}))});
    Value low = arith::AndIOp::create(b, even, constant(15));
    return arith::OrIOp::create(b, low, arith::ShLIOp::create(b, odd, constant(4)));
  });
}

/// Every element times `factor`.
static Value multiply(TensorBuilder &b, Value tensor, float factor) {
  if (factor == 1.0f)
    return tensor;
  return b.elementwise(b.getF32Type(), tensor, [&](TensorBuilder &b, ValueRange x) -> Value {
    return arith::MulFOp::create(b, x[0], b.constant(factor));
  });
}

/// One stage of the transform: channels c and c + distance become their sum and difference.
static Value transformPairs(TensorBuilder &b, Value tokens, int64_t distance) {
  AffineExpr c = b.getAffineDimExpr(0);
  AffineExpr isSecond = c.floorDiv(distance) % 2;
  AffineMap second = AffineMap::get(1, 0, isSecond);
  AffineMap partner = AffineMap::get(1, 0, c + distance - isSecond * (2 * distance));
  return b.elementwise(b.getF32Type(), tokens, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value channel = b.coordinate(1);
    Value other = b.read(tokens, {b.coordinate(0), b.index(b.apply(partner, {channel}))});
    Value takesDifference =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, b.index(b.apply(second, {channel})),
                              b.index(b.getIndexAttr(0)));
    return arith::SelectOp::create(b, takesDifference, arith::SubFOp::create(b, other, x[0]),
                                   arith::AddFOp::create(b, x[0], other));
  });
}

namespace {

struct DecomposeRotate : OpRewritePattern<RotateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RotateOp op, PatternRewriter &rewriter) const override {
    TensorBuilder b(op.getLoc(), rewriter);
    ReifiedRankedShapedTypeDims shapes;
    (void)op.reifyResultShapes(b, shapes);
    int64_t block = getRotationBlock(op.getType().getDimSize(3));
    HeadOutput output{b.empty(shapes[0], b.getF32Type())};
    SmallVector<Value> results =
        forEachHead(b, shapes[0][0], shapes[0][1], output, [&](TensorBuilder &inner, Head head) {
          Value x = inner.toF32(getHead(inner, op.getInput(), head, op.getLayout()));
          for (int64_t distance = 1; distance < block; distance *= 2)
            x = transformPairs(inner, x, distance);
          return SmallVector{multiply(inner, x, std::ldexp(1.0f, -int(op.getHalvings())))};
        });
    rewriter.replaceOp(op, b.castTo(op.getType(), results[0]));
    return success();
  }
};

struct DecomposeQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    float range = op.getType() == ScoreType::Int8   ? 127.0f
                  : op.getType() == ScoreType::Int4 ? 7.0f
                                                    : 448.0f;
    replaceByHeadLoop(rewriter, op,
                      [&](TensorBuilder &b, Head head, Extents extents,
                          Extents groupCount) -> SmallVector<Value> {
                        Value input = b.toF32(getHead(b, op.getInput(), head, op.getLayout()));
                        Value largest = gatherGroups(b, findLargestMagnitudes(b, input),
                                                     op.getGroups(), groupCount);
                        largest = multiply(b, largest, op.getFraction().convertToFloat());
                        Value inverses = computeInverses(b, largest, range);
                        Value values = quantize(b, input, inverses, op, range);
                        if (op.getPacked())
                          values = packPairs(b, values, extents);
                        return {values, computeScales(b, largest, range)};
                      });
    return success();
  }

private:
  static Value quantize(TensorBuilder &b, Value input, Value inverses, QuantizeOp op, float range) {
    Type element = op.getResult().getType().getElementType();
    return b.elementwise(element, input, [&](TensorBuilder &b, ValueRange x) -> Value {
      Value group = b.index(b.apply(op.getGroups(), {b.coordinate(0)}));
      Value scaled = arith::MulFOp::create(b, x[0], b.read(inverses, group));
      if (auto type = dyn_cast<FloatType>(element))
        return roundSaturating(b, scaled, type);
      return roundToInteger(b, scaled, range);
    });
  }
};

struct DecomposeQuantizeValue : OpRewritePattern<QuantizeValueOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeValueOp op, PatternRewriter &rewriter) const override {
    float range = op.getRange().convertToFloat();
    replaceByHeadLoop(
        rewriter, op,
        [&](TensorBuilder &b, Head head, Extents extents, Extents) -> SmallVector<Value> {
          Value input = b.toF32(getHead(b, op.getInput(), head, op.getLayout()));
          Value largest = findLargestMagnitudes(b, input, /*overRows=*/true);
          Value inverses = computeInverses(b, largest, range);
          return {quantize(b, input, inverses, op, extents), computeScales(b, largest, range)};
        });
    return success();
  }

private:
  /// [D, positions]: position p holds token order(p), or 0 past the last token.
  static Value quantize(TensorBuilder &b, Value input, Value inverses, QuantizeValueOp op,
                        Extents extents) {
    auto type = cast<FloatType>(op.getType());
    Value tokens = b.index(b.extent(input, 0)), first = b.index(b.getIndexAttr(0));
    AffineMap channel = AffineMap::get(2, 0, b.getAffineDimExpr(0));
    return b.generate(
        extents, type, inverses, channel, [&](TensorBuilder &b, ValueRange inverse) -> Value {
          Value token = b.index(b.apply(op.getOrder(), {b.coordinate(1)}));
          Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, token, tokens);
          Value readable = arith::SelectOp::create(b, exists, token, first);
          Value value = b.read(input, {readable, b.coordinate(0)});
          Value scaled = arith::MulFOp::create(b, value, inverse[0]);
          Value stored = arith::SelectOp::create(b, exists, scaled, b.constant(0.0f));
          return roundSaturating(b, stored, type);
        });
  }
};

} // namespace

void sage::populateDecomposeQuantizationPatterns(RewritePatternSet &patterns) {
  patterns.add<DecomposeRotate, DecomposeQuantize, DecomposeQuantizeValue>(patterns.getContext());
}
