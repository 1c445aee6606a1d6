// sage.quantized_attention, and sage.attention with 16-bit scores: decodes the operands of each
// head.

#include "HeadLoop.h"
#include "OnlineAttention.h"
#include "Scales.h"

#include "mlir/IR/PatternMatch.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/Sage/IR/TokenGroups.h"
#include "sage/Dialect/Sage/Transforms/KeyParts.h"

#include <numeric>

using namespace mlir;
using namespace sage;

/// The scale of every token, from those of the groups.
static Value expandScales(TensorBuilder &b, Value scales, AffineMap groups, OpFoldResult tokens) {
  return b.generate(tokens, b.getF32Type(), {}, {}, [&](TensorBuilder &b, ValueRange) -> Value {
    return b.read(scales, b.index(b.apply(groups, {b.coordinate(0)})));
  });
}

/// INT4 pairs [N, D/2] as [N, D].
static Value unpackPairs(TensorBuilder &b, Value pairs) {
  AffineExpr d = b.getAffineDimExpr(0);
  OpFoldResult channels = b.apply(AffineMap::get(1, 0, d * 2), b.extent(pairs, 1));
  AffineMap pairOf = AffineMap::get(1, 0, d.floorDiv(2)), half = AffineMap::get(1, 0, d % 2);
  return b.generate(
      {b.extent(pairs, 0), channels}, b.getI8Type(), {}, {},
      [&](TensorBuilder &b, ValueRange) -> Value {
        Value channel = b.coordinate(1);
        Value pair = b.read(pairs, {b.coordinate(0), b.index(b.apply(pairOf, {channel}))});
        Value four = arith::ConstantOp::create(b, b.getI8IntegerAttr(4));
        Value isEven =
            arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.index(b.apply(half, {channel})),
                                  b.index(b.getIndexAttr(0)));
        Value raised =
            arith::SelectOp::create(b, isEven, arith::ShLIOp::create(b, pair, four), pair);
        return arith::ShRSIOp::create(b, raised, four);
      });
}

/// The storage position of every token of one period of the order.
static Value createPositionTable(TensorBuilder &b, AffineMap order, int64_t period) {
  SmallVector<int64_t> positions(period);
  for (int64_t p = 0; p < period; ++p)
    positions[evaluateTokenMap(order, p)] = p;
  auto type = RankedTensorType::get(period, b.getI64Type());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef(positions)));
}

/// V [Nk, Dv] in token order, from 8-bit floats [Dv, positions] (N6).
static Value decodeValue(TensorBuilder &b, Value stored, AffineMap order, OpFoldResult tokens) {
  AffineExpr n = b.getAffineDimExpr(0);
  int64_t period = std::lcm(TokenGroups::analyze(order)->period, int64_t(16));
  Value table = createPositionTable(b, order, period);
  return b.generate(
      {tokens, b.extent(stored, 0)}, b.getF32Type(), {}, {},
      [&](TensorBuilder &b, ValueRange) -> Value {
        Value token = b.coordinate(0);
        OpFoldResult base = b.apply(AffineMap::get(1, 0, n.floorDiv(period) * period), {token});
        Value inPeriod = b.read(table, b.index(b.apply(AffineMap::get(1, 0, n % period), {token})));
        Value position = arith::AddIOp::create(
            b, b.index(base), arith::IndexCastOp::create(b, b.getIndexType(), inPeriod));
        return arith::ExtFOp::create(b, b.getF32Type(),
                                     b.read(stored, {b.coordinate(1), position}));
      });
}

/// 16-bit V as floats, and scales that are 1, or NaN for a channel with a NaN or an infinity (P1).
static void useSixteenBitValue(TensorBuilder &b, Value value, AttentionHead &result) {
  result.value = b.toF32(value);
  result.valueScales =
      computeUnitScales(b, findLargestMagnitudes(b, result.value, /*overRows=*/true));
}

/// What holds for all heads of an attention.
template <typename AttentionLike>
static AttentionNumerics getNumerics(AttentionLike op, float scale) {
  AttentionNumerics numerics{};
  numerics.recipe = op.getRecipe();
  numerics.geometry = op.getGeometryAttr();
  numerics.mask = op.getMask();
  numerics.windowLeft = op.getWindowLeft();
  numerics.windowRight = op.getWindowRight();
  numerics.sinkTokens = op.getSinkTokens().value_or(0);
  if (std::optional<APFloat> softcap = op.getSoftcap())
    numerics.softcap = softcap->convertToFloat();
  numerics.scale = scale;
  numerics.elementType = cast<FloatType>(op.getShape().elementType);
  return numerics;
}

/// Key tiles of a part (Spec N18); null where the geometry knows no parts.
template <typename AttentionLike>
static Value countPartTiles(TensorBuilder &b, AttentionLike op, OpFoldResult heads,
                            OpFoldResult keyHeads, OpFoldResult keyTokens) {
  GeometryAttr geometry = op.getGeometryAttr();
  if (!geometry.getKeyParts())
    return {};
  OpFoldResult queryTokens = b.extent(op.getOutput(), getTokenDimension(op.getLayout()));
  SmallVector<Value> extents;
  for (OpFoldResult extent : {b.extent(op.getOutput(), 0), heads, keyHeads, queryTokens, keyTokens})
    extents.push_back(b.index(extent));
  Value tile = b.index(b.getIndexAttr(geometry.getKeyTile()));
  Value tiles = arith::CeilDivSIOp::create(b, extents.back(), tile);
  return arith::CeilDivSIOp::create(b, tiles, emitKeyParts(b, geometry, extents));
}

template <typename AttentionLike>
static LogicalResult
decompose(AttentionLike op, PatternRewriter &rewriter, OpFoldResult keyHeads,
          OpFoldResult keyTokens,
          function_ref<AttentionHead(TensorBuilder &, Head query, Head key)> readHead) {
  std::optional<float> scale = op.getEffectiveScale();
  if (!scale || !op.getGeometryAttr())
    return rewriter.notifyMatchFailure(op, "scale and geometry must be known");
  AttentionNumerics numerics = getNumerics(op, *scale);
  TensorBuilder b(op.getLoc(), rewriter);
  SmallVector<HeadOutput> outputs = {{op.getOutput(), op.getLayout()}};
  if (op.getLse())
    outputs.push_back({op.getLse()});
  OpFoldResult heads = b.extent(op.getOutput(), getHeadDimension(op.getLayout()));
  numerics.partTiles = countPartTiles(b, op, heads, keyHeads, keyTokens);
  SmallVector<Value> results =
      forEachHead(b, b.extent(op.getOutput(), 0), heads, outputs,
                  [&](TensorBuilder &inner, Head head) -> SmallVector<Value> {
                    Head keyHead = getKeyHead(inner, head, heads, keyHeads);
                    AttentionHead operands = readHead(inner, head, keyHead);
                    operands.position = head;
                    operands.bias = op.getBias();
                    if (op.getSinks())
                      operands.sink = inner.read(op.getSinks(), head.head);
                    AttentionResult result = attend(inner, numerics, operands);
                    if (!op.getLse())
                      return {result.output};
                    return {result.output, result.lse};
                  });
  rewriter.replaceOp(op, results);
  return success();
}

namespace {

struct DecomposeQuantizedAttention : OpRewritePattern<QuantizedAttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizedAttentionOp op, PatternRewriter &rewriter) const override {
    TensorBuilder b(op.getLoc(), rewriter);
    // Quantized keys are head-major.
    return decompose(op, rewriter, b.extent(op.getKey(), 1), b.extent(op.getKey(), 2),
                     [&](TensorBuilder &inner, Head query, Head key) {
                       return readHead(inner, op, query, key);
                     });
  }

private:
  static AttentionHead readHead(TensorBuilder &b, QuantizedAttentionOp op, Head query, Head key) {
    GeometryAttr geometry = op.getGeometry();
    AttentionHead head;
    head.query = getHead(b, op.getQuery(), query);
    head.key = getHead(b, op.getKey(), key);
    if (op.getPacked()) {
      head.query = unpackPairs(b, head.query);
      head.key = unpackPairs(b, head.key);
    }
    if (op.getRecipe().getQk() == ScoreType::E4M3) {
      head.query = b.toF32(head.query);
      head.key = b.toF32(head.key);
    }
    OpFoldResult keyTokens = b.extent(head.key, 0);
    head.queryScales = expandScales(b, getHead(b, op.getQueryScales(), query),
                                    geometry.getQueryGroupMap(), b.extent(head.query, 0));
    head.keyScales =
        expandScales(b, getHead(b, op.getKeyScales(), key), geometry.getKeyGroupMap(), keyTokens);
    if (op.getValueScales()) {
      head.valueScales = getHead(b, op.getValueScales(), key);
      head.value =
          decodeValue(b, getHead(b, op.getValue(), key), geometry.getValueOrderMap(), keyTokens);
    } else {
      useSixteenBitValue(b, getHead(b, op.getValue(), key, op.getLayout()), head);
    }
    if (op.getScoreCorrection())
      head.scoreCorrection = getHead(b, op.getScoreCorrection(), query);
    if (op.getLseCorrection())
      head.lseCorrection = getHead(b, op.getLseCorrection(), query);
    if (op.getValueMean())
      head.valueMean = getHead(b, op.getValueMean(), key);
    return head;
  }
};

/// sage-quantize leaves attentions with 16-bit scores as they are: they smooth and scale nothing
/// (R1, R2). Of the two ops that it may leave, sage.smoothed_attention then has no corrections
/// either (M7).
template <typename AttentionLike>
struct DecomposeSixteenBitAttention : OpRewritePattern<AttentionLike> {
  using OpRewritePattern<AttentionLike>::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionLike op, PatternRewriter &rewriter) const override {
    if (op.getRecipe().quantizesScores() || !isa<RankedTensorType>(op.getQuery().getType()))
      return rewriter.notifyMatchFailure(op, "scores must be 16-bit, operands tensors");
    TensorBuilder b(op.getLoc(), rewriter);
    OpFoldResult keyHeads = b.extent(op.getKey(), getHeadDimension(op.getLayout()));
    OpFoldResult keyTokens = b.extent(op.getKey(), getTokenDimension(op.getLayout()));
    return decompose(op, rewriter, keyHeads, keyTokens,
                     [&](TensorBuilder &inner, Head query, Head key) {
                       Layout layout = op.getLayout();
                       AttentionHead head;
                       head.query = getHead(inner, op.getQuery(), query, layout);
                       head.key = getHead(inner, op.getKey(), key, layout);
                       head.queryScales = inner.filled(inner.extent(head.query, 0), 1.0f);
                       head.keyScales = inner.filled(inner.extent(head.key, 0), 1.0f);
                       useSixteenBitValue(inner, getHead(inner, op.getValue(), key, layout), head);
                       return head;
                     });
  }
};

} // namespace

void sage::populateDecomposeAttentionPatterns(RewritePatternSet &patterns) {
  patterns.add<DecomposeQuantizedAttention, DecomposeSixteenBitAttention<AttentionOp>,
               DecomposeSixteenBitAttention<SmoothedAttentionOp>>(patterns.getContext());
}
