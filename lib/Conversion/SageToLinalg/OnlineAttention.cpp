// The attention of one head: an online softmax over key tiles.

#include "OnlineAttention.h"

#include "Scales.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sage;

static constexpr float negativeInfinity = -std::numeric_limits<float>::infinity();

namespace {

/// What the loop over key tiles carries.
struct RowState {
  Value maximum; // m [Nq]
  Value sum;     // l [Nq]
  Value output;  // O [Nq, Dv]
};

class OnlineAttention {
public:
  OnlineAttention(const AttentionNumerics &numerics, const AttentionHead &head)
      : recipe(numerics.recipe), geometry(numerics.geometry), mask(numerics.mask),
        elementType(numerics.elementType), head(head),
        scaleLog2e(static_cast<float>(static_cast<double>(numerics.scale) * M_LOG2E)),
        log2Range(static_cast<float>(std::log2(recipe.getProbabilityRange()))) {}

  AttentionResult run(TensorBuilder &b);

private:
  /// The keys first to first + count - 1.
  struct Tile {
    OpFoldResult first, count;
  };

  RowState visitTile(TensorBuilder &b, Tile tile, RowState state);
  Value computeScores(TensorBuilder &b, Tile tile);
  Value computeLogits(TensorBuilder &b, Tile tile, Value scores);
  Value computeProbabilities(TensorBuilder &b, Tile tile, Value scores, Value logits,
                             Value maximum);
  Value roundProbabilities(TensorBuilder &b, Value probabilities);
  Value accumulateSum(TensorBuilder &b, Value sum, Value rescale, Value tileSum);
  Value accumulateOutput(TensorBuilder &b, Value output, Value rescale, Value probabilities,
                         Value values);
  Value isVisible(TensorBuilder &b, OpFoldResult firstKey);
  Value computeOutput(TensorBuilder &b, RowState state);
  Value computeLse(TensorBuilder &b, RowState state);

  AffineMap ofRow(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(0)); }
  AffineMap ofColumn(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(1)); }

  RecipeAttr recipe;
  GeometryAttr geometry;
  Mask mask;
  FloatType elementType;
  const AttentionHead &head;
  float scaleLog2e, log2Range;
};

} // namespace

static Value isEqual(TensorBuilder &b, Value value, float constant) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, value, b.constant(constant));
}

static Value maximum(TensorBuilder &b, ValueRange x) {
  return arith::MaximumFOp::create(b, x[0], x[1]);
}

/// alpha of N9; 1 for a row without a visible key so far, which keeps its state.
static Value computeRescale(TensorBuilder &b, Value old, Value tileMaximum) {
  return b.elementwise(
      b.getF32Type(), {old, tileMaximum}, [](TensorBuilder &b, ValueRange m) -> Value {
        Value joined = maximum(b, m);
        Value rescale = math::Exp2Op::create(b, arith::SubFOp::create(b, m[0], joined));
        return arith::SelectOp::create(b, isEqual(b, joined, negativeInfinity), b.constant(1.0f),
                                       rescale);
      });
}

AttentionResult OnlineAttention::run(TensorBuilder &b) {
  AffineExpr keys, index;
  bindDims(b.getContext(), keys, index);
  int64_t length = geometry.getKeyTile();
  OpFoldResult queryCount = b.extent(head.query, 0), keyCount = b.extent(head.key, 0);
  OpFoldResult tiles = b.apply(AffineMap::get(1, 0, keys.ceilDiv(length)), keyCount);
  std::optional<int64_t> staticKeys = getConstantIntValue(keyCount);
  bool wholeTiles = staticKeys && *staticKeys % length == 0;

  SmallVector<Value> init = {b.filled(queryCount, negativeInfinity), b.filled(queryCount, 0.0f),
                             b.filled({queryCount, b.extent(head.value, 1)}, 0.0f)};
  auto loop = scf::ForOp::create(
      b, b.index(b.getIndexAttr(0)), b.index(tiles), b.index(b.getIndexAttr(1)), init,
      [&](OpBuilder &nested, Location loc, Value step, ValueRange carried) {
        TensorBuilder inner(loc, nested);
        // From the last tile to the first (N7).
        AffineExpr first = (keys.ceilDiv(length) - 1 - index) * length;
        AffineExpr whole = b.getAffineConstantExpr(length);
        Tile tile;
        tile.first = inner.apply(AffineMap::get(2, 0, first), {keyCount, step});
        tile.count = wholeTiles ? OpFoldResult(b.getIndexAttr(length))
                                : affine::makeComposedFoldedAffineMin(
                                      inner, loc,
                                      AffineMap::get(2, 0, {keys - first, whole}, b.getContext()),
                                      {keyCount, step});
        RowState state = visitTile(inner, tile, {carried[0], carried[1], carried[2]});
        scf::YieldOp::create(inner, ValueRange{state.maximum, state.sum, state.output});
      });
  RowState state{loop.getResult(0), loop.getResult(1), loop.getResult(2)};
  return {computeOutput(b, state), computeLse(b, state)};
}

RowState OnlineAttention::visitTile(TensorBuilder &b, Tile tile, RowState state) {
  Value scores = computeScores(b, tile);
  Value logits = computeLogits(b, tile, scores);
  OpFoldResult queryCount = b.extent(scores, 0);
  Value tileMaximum = b.fold(logits, b.filled(queryCount, negativeInfinity), maximum);
  Value rescale = computeRescale(b, state.maximum, tileMaximum);
  state.maximum = b.update(state.maximum, tileMaximum, b.getMultiDimIdentityMap(1), maximum);

  Value probabilities = computeProbabilities(b, tile, scores, logits, state.maximum);
  Value rounded = roundProbabilities(b, probabilities);
  Value addends = recipe.getRowSum() == RowSum::Quantized ? rounded : probabilities;
  Value tileSum =
      b.fold(addends, b.filled(queryCount, 0.0f), [](TensorBuilder &b, ValueRange x) -> Value {
        return arith::AddFOp::create(b, x[1], x[0]);
      });
  state.sum = accumulateSum(b, state.sum, rescale, tileSum);
  Value values = b.rows(head.value, tile.first, tile.count);
  state.output = accumulateOutput(b, state.output, rescale, rounded, values);
  return state;
}

/// S as floats: exact int32 sums, or float32 sums of e4m3 and 16-bit operands.
Value OnlineAttention::computeScores(TensorBuilder &b, Tile tile) {
  Type element = cast<RankedTensorType>(head.query.getType()).getElementType();
  TypedAttr zero = isa<IntegerType>(element) ? TypedAttr(b.getI32IntegerAttr(0))
                                             : TypedAttr(b.getF32FloatAttr(0.0f));
  Value init = b.filled({b.extent(head.query, 0), tile.count}, zero);
  return b.toF32(b.multiplyTransposed(head.query, b.rows(head.key, tile.first, tile.count), init));
}

/// a = (qs · scale_log2e) · ks of N8.
static Value multiplyScales(TensorBuilder &b, Value queryScale, Value keyScale, float scaleLog2e) {
  Value row = arith::MulFOp::create(b, queryScale, b.constant(scaleLog2e));
  return arith::MulFOp::create(b, row, keyScale);
}

/// Inside a body over [queries, keys]: whether the mask lets the query see the key (N13).
Value OnlineAttention::isVisible(TensorBuilder &b, OpFoldResult firstKey) {
  Value query = b.coordinate(0);
  Value key = arith::AddIOp::create(b, b.index(firstKey), b.coordinate(1));
  if (mask == Mask::CausalBottomRight) {
    query = arith::AddIOp::create(b, query, b.index(b.extent(head.key, 0)));
    key = arith::AddIOp::create(b, key, b.index(b.extent(head.query, 0)));
  }
  return arith::CmpIOp::create(b, arith::CmpIPredicate::sle, key, query);
}

/// x of N8.
Value OnlineAttention::computeLogits(TensorBuilder &b, Tile tile, Value scores) {
  Value keyScales = b.rows(head.keyScales, tile.first, tile.count);
  AffineMap block = AffineMap::get(1, 0, b.getAffineDimExpr(0).floorDiv(geometry.getQueryBlock()));
  return b.generate(b.extents(scores), b.getF32Type(), {scores, head.queryScales, keyScales},
                    {b.getMultiDimIdentityMap(2), ofRow(b), ofColumn(b)},
                    [&](TensorBuilder &b, ValueRange x) -> Value {
                      Value factor = multiplyScales(b, x[1], x[2], scaleLog2e);
                      Value logit;
                      if (head.scoreCorrection) {
                        Value key = arith::AddIOp::create(b, b.index(tile.first), b.coordinate(1));
                        Value correction =
                            b.read(head.scoreCorrection,
                                   {b.index(b.apply(block, {b.coordinate(0)})), key});
                        correction = arith::MulFOp::create(b, correction, b.constant(scaleLog2e));
                        logit = math::FmaOp::create(b, x[0], factor, correction);
                      } else {
                        logit = arith::MulFOp::create(b, x[0], factor);
                      }
                      if (mask == Mask::None)
                        return logit;
                      return arith::SelectOp::create(b, isVisible(b, tile.first), logit,
                                                     b.constant(negativeInfinity));
                    });
}

/// p of N9, scaled to the range of P's type.
Value OnlineAttention::computeProbabilities(TensorBuilder &b, Tile tile, Value scores, Value logits,
                                            Value maximum) {
  Value keyScales = b.rows(head.keyScales, tile.first, tile.count);
  AffineMap identity = b.getMultiDimIdentityMap(2);
  return b.generate(
      b.extents(scores), b.getF32Type(), {scores, logits, head.queryScales, keyScales, maximum},
      {identity, identity, ofRow(b), ofColumn(b), ofRow(b)},
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value offset = arith::SubFOp::create(b, b.constant(log2Range), x[4]);
        Value exponent;
        if (head.scoreCorrection)
          exponent = arith::AddFOp::create(b, x[1], offset);
        else
          exponent =
              math::FmaOp::create(b, x[0], multiplyScales(b, x[2], x[3], scaleLog2e), offset);
        return arith::SelectOp::create(b, isEqual(b, x[1], negativeInfinity), b.constant(0.0f),
                                       math::Exp2Op::create(b, exponent));
      });
}

/// P8, or P in the type of O, widened to float32 again.
Value OnlineAttention::roundProbabilities(TensorBuilder &b, Value probabilities) {
  FloatType type = elementType;
  if (recipe.getPv() == PvType::E4M3)
    type = Float8E4M3FNType::get(b.getContext());
  else if (recipe.getPv() == PvType::E5M2)
    type = Float8E5M2Type::get(b.getContext());
  Value rounded = b.elementwise(type, probabilities, [&](TensorBuilder &b, ValueRange p) -> Value {
    if (recipe.quantizesValue())
      return roundSaturating(b, p[0], type);
    return arith::TruncFOp::create(b, type, p[0]);
  });
  return b.toF32(rounded);
}

/// N11.
Value OnlineAttention::accumulateSum(TensorBuilder &b, Value sum, Value rescale, Value tileSum) {
  AffineMap identity = b.getMultiDimIdentityMap(1);
  return b.update(sum, {rescale, tileSum}, {identity, identity},
                  [&](TensorBuilder &b, ValueRange x) -> Value {
                    if (recipe.getRowSum() == RowSum::Quantized)
                      return math::FmaOp::create(b, x[2], x[0], x[1]);
                    return arith::AddFOp::create(b, arith::MulFOp::create(b, x[2], x[0]), x[1]);
                  });
}

/// N10.
Value OnlineAttention::accumulateOutput(TensorBuilder &b, Value output, Value rescale,
                                        Value probabilities, Value values) {
  if (recipe.getAccumulation() == Accumulation::Single) {
    Value rescaled =
        b.update(output, rescale, ofRow(b), [](TensorBuilder &b, ValueRange x) -> Value {
          return arith::MulFOp::create(b, x[1], x[0]);
        });
    return b.multiply(probabilities, values, rescaled);
  }
  Value product = b.multiply(probabilities, values, b.filled(b.extents(output), 0.0f));
  return b.update(output, {rescale, product}, {ofRow(b), b.getMultiDimIdentityMap(2)},
                  [](TensorBuilder &b, ValueRange x) -> Value {
                    return math::FmaOp::create(b, x[2], x[0], x[1]);
                  });
}

/// O of N12.
Value OnlineAttention::computeOutput(TensorBuilder &b, RowState state) {
  SmallVector<Value> inputs = {state.output, state.sum, head.valueScales};
  SmallVector<AffineMap> maps = {b.getMultiDimIdentityMap(2), ofRow(b), ofColumn(b)};
  if (head.valueMean) {
    inputs.push_back(head.valueMean);
    maps.push_back(
        AffineMap::get(2, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(1)}, b.getContext()));
  }
  return b.generate(
      b.extents(state.output), elementType, inputs, maps,
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value inverse = arith::DivFOp::create(b, b.constant(1.0f), x[1]);
        Value output = arith::MulFOp::create(b, arith::MulFOp::create(b, x[0], inverse), x[2]);
        if (head.valueMean)
          output = arith::AddFOp::create(b, output, x[3]);
        output = arith::SelectOp::create(b, isEqual(b, x[1], 0.0f), b.constant(0.0f), output);
        return arith::TruncFOp::create(b, elementType, output);
      });
}

/// LSE of N12.
Value OnlineAttention::computeLse(TensorBuilder &b, RowState state) {
  SmallVector<Value> inputs = {state.maximum, state.sum};
  if (head.lseCorrection)
    inputs.push_back(head.lseCorrection);
  return b.elementwise(b.getF32Type(), inputs, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value lse = arith::AddFOp::create(b, x[0], math::Log2Op::create(b, x[1]));
    lse = arith::SubFOp::create(b, lse, b.constant(log2Range));
    lse = arith::MulFOp::create(b, b.constant(static_cast<float>(M_LN2)), lse);
    if (head.lseCorrection)
      lse = arith::AddFOp::create(b, lse, x[2]);
    return arith::SelectOp::create(b, isEqual(b, x[1], 0.0f), b.constant(negativeInfinity), lse);
  });
}

AttentionResult sage::attend(TensorBuilder &b, const AttentionNumerics &numerics,
                             const AttentionHead &head) {
  return OnlineAttention(numerics, head).run(b);
}
