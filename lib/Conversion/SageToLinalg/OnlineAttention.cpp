// The attention of one head: an online softmax over key tiles.

#include "JoinParts.h"
#include "Scales.h"
#include "TileScores.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sage;

static constexpr float negativeInfinity = -std::numeric_limits<float>::infinity();

namespace {

class OnlineAttention {
public:
  OnlineAttention(const AttentionNumerics &numerics, const AttentionHead &head)
      : recipe(numerics.recipe), geometry(numerics.geometry), elementType(numerics.elementType),
        partTiles(numerics.partTiles), head(head), scores(numerics, head),
        completesScores(numerics.softcap.has_value()),
        log2Range(static_cast<float>(std::log2(recipe.getProbabilityRange()))) {}

  AttentionResult run(TensorBuilder &b);

private:
  RowState visitTiles(TensorBuilder &b, Value first, Value end);
  RowState visitTile(TensorBuilder &b, KeyTile tile, RowState state);
  Value roundProbabilities(TensorBuilder &b, Value probabilities);
  Value accumulateSum(TensorBuilder &b, Value sum, Value rescale, Value tileSum);
  Value accumulateOutput(TensorBuilder &b, Value output, Value rescale, Value probabilities,
                         Value values);
  void accumulatePanels(TensorBuilder &b, KeyTile tile, Value rescale, Value probabilities,
                        RowState &state);
  void addSink(TensorBuilder &b, RowState &state);
  Value computeOutput(TensorBuilder &b, RowState state);
  Value computeLse(TensorBuilder &b, RowState state);

  AffineMap ofRow(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(0)); }
  AffineMap ofColumn(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(1)); }

  RecipeAttr recipe;
  GeometryAttr geometry;
  FloatType elementType;
  Value partTiles;
  const AttentionHead &head;
  TileScores scores;
  /// What centring K removed is in the scores already (N14).
  bool completesScores;
  float log2Range;
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

static Value sumRows(TensorBuilder &b, Value addends) {
  return b.fold(
      addends, b.filled(b.extent(addends, 0), 0.0f),
      [](TensorBuilder &b, ValueRange x) -> Value { return arith::AddFOp::create(b, x[1], x[0]); });
}

AttentionResult OnlineAttention::run(TensorBuilder &b) {
  AffineExpr keys = b.getAffineDimExpr(0);
  Value tiles = b.index(
      b.apply(AffineMap::get(1, 0, keys.ceilDiv(geometry.getKeyTile())), b.extent(head.key, 0)));
  auto visit = [&](TensorBuilder &b, Value first, Value end) { return visitTiles(b, first, end); };
  RowState state = partTiles ? joinParts(b, tiles, partTiles, b.extent(head.query, 0),
                                         b.extent(head.value, 1), visit)
                             : visitTiles(b, b.index(b.getIndexAttr(0)), tiles);
  if (head.sink)
    addSink(b, state);
  return {computeOutput(b, state), computeLse(b, state)};
}

/// Tiles first to end - 1, counted from the last one (N7).
RowState OnlineAttention::visitTiles(TensorBuilder &b, Value firstStep, Value endStep) {
  AffineExpr keys, index;
  bindDims(b.getContext(), keys, index);
  int64_t length = geometry.getKeyTile();
  OpFoldResult queryCount = b.extent(head.query, 0), keyCount = b.extent(head.key, 0);
  std::optional<int64_t> staticKeys = getConstantIntValue(keyCount);
  bool wholeTiles = staticKeys && *staticKeys % length == 0;

  SmallVector<Value> init = {b.filled(queryCount, negativeInfinity), b.filled(queryCount, 0.0f),
                             b.filled({queryCount, b.extent(head.value, 1)}, 0.0f)};
  auto loop = scf::ForOp::create(
      b, firstStep, endStep, b.index(b.getIndexAttr(1)), init,
      [&](OpBuilder &nested, Location loc, Value step, ValueRange carried) {
        TensorBuilder inner(loc, nested);
        AffineExpr first = (keys.ceilDiv(length) - 1 - index) * length;
        AffineExpr whole = b.getAffineConstantExpr(length);
        KeyTile tile;
        tile.first = inner.apply(AffineMap::get(2, 0, first), {keyCount, step});
        tile.count = wholeTiles ? OpFoldResult(b.getIndexAttr(length))
                                : affine::makeComposedFoldedAffineMin(
                                      inner, loc,
                                      AffineMap::get(2, 0, {keys - first, whole}, b.getContext()),
                                      {keyCount, step});
        RowState state = visitTile(inner, tile, {carried[0], carried[1], carried[2], Value()});
        scf::YieldOp::create(inner, ValueRange{state.maximum, state.sum, state.output});
      });
  return {loop.getResult(0), loop.getResult(1), loop.getResult(2), Value()};
}

RowState OnlineAttention::visitTile(TensorBuilder &b, KeyTile tile, RowState state) {
  Value tileScores = scores.computeScores(b, tile);
  Value logits = scores.computeLogits(b, tile, tileScores);
  OpFoldResult queryCount = b.extent(tileScores, 0);
  Value tileMaximum = b.fold(logits, b.filled(queryCount, negativeInfinity), maximum);
  Value rescale = computeRescale(b, state.maximum, tileMaximum);
  state.maximum = b.update(state.maximum, tileMaximum, b.getMultiDimIdentityMap(1), maximum);

  Value probabilities = scores.computeProbabilities(b, tile, tileScores, logits, state.maximum);
  Value rounded = roundProbabilities(b, probabilities);
  if (recipe.getRowSum() == RowSum::Float)
    state.sum = accumulateSum(b, state.sum, rescale, sumRows(b, probabilities));
  accumulatePanels(b, tile, rescale, rounded, state);
  return state;
}

/// N10 in panels of `interval` tokens, and the row sums that are added like O.
void OnlineAttention::accumulatePanels(TensorBuilder &b, KeyTile tile, Value rescale,
                                       Value probabilities, RowState &state) {
  int64_t length = geometry.getKeyTile();
  int64_t interval = recipe.getInterval() ? recipe.getInterval() : length;
  AffineExpr tokens = b.getAffineDimExpr(0), zero = b.getAffineConstantExpr(0);
  OpFoldResult rows = b.extent(probabilities, 0);
  for (int64_t start = 0; start < length; start += interval) {
    KeyTile panel = tile;
    Value part = probabilities;
    if (interval < length) {
      // A last tile that is shorter may end before the panel begins.
      OpFoldResult left = affine::makeComposedFoldedAffineMax(
          b, b.getLoc(), AffineMap::get(1, 0, {tokens - start, zero}, b.getContext()), tile.count);
      panel.count = affine::makeComposedFoldedAffineMin(
          b, b.getLoc(),
          AffineMap::get(1, 0, {tokens, b.getAffineConstantExpr(interval)}, b.getContext()), left);
      panel.first = b.apply(AffineMap::get(1, 0, tokens + start), tile.first);
      part = b.slice(probabilities, {b.getIndexAttr(0), b.getIndexAttr(start)}, {rows, panel.count},
                     {rows, panel.count});
    }
    if (recipe.getRowSum() == RowSum::Quantized)
      state.sum = accumulateSum(b, state.sum, rescale, sumRows(b, part));
    Value values = b.rows(head.value, panel.first, panel.count);
    state.output = accumulateOutput(b, state.output, rescale, part, values);
    if (start + interval < length)
      rescale = b.filled(rows, 1.0f);
  }
}

/// N15.
void OnlineAttention::addSink(TensorBuilder &b, RowState &state) {
  SmallVector<Value> inputs = {state.maximum};
  if (head.lseCorrection && !completesScores)
    inputs.push_back(head.lseCorrection);
  Value sink = b.elementwise(b.getF32Type(), inputs, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value score = head.sink;
    if (x.size() > 1)
      score = arith::SubFOp::create(b, score, x[1]);
    return arith::MulFOp::create(b, score, b.constant(static_cast<float>(M_LOG2E)));
  });
  Value rescale = computeRescale(b, state.maximum, sink);
  state.maximum =
      b.elementwise(b.getF32Type(), {state.maximum, sink},
                    [](TensorBuilder &b, ValueRange x) -> Value { return maximum(b, x); });
  state.keySum = b.elementwise(
      b.getF32Type(), {state.sum, rescale},
      [](TensorBuilder &b, ValueRange x) -> Value { return arith::MulFOp::create(b, x[0], x[1]); });
  state.sum = b.elementwise(
      b.getF32Type(), {state.keySum, sink, state.maximum},
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value offset = arith::SubFOp::create(b, b.constant(log2Range), x[2]);
        Value p = math::Exp2Op::create(b, arith::AddFOp::create(b, x[1], offset));
        p = arith::SelectOp::create(b, isEqual(b, x[1], negativeInfinity), b.constant(0.0f), p);
        return arith::AddFOp::create(b, x[0], p);
      });
  state.output =
      b.update(state.output, rescale, ofRow(b), [](TensorBuilder &b, ValueRange x) -> Value {
        return arith::MulFOp::create(b, x[1], x[0]);
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
  // Rows of P sum to less than 1 where a sink has a part (N15).
  if (head.valueMean && state.keySum) {
    inputs.push_back(state.keySum);
    maps.push_back(ofRow(b));
  }
  return b.generate(
      b.extents(state.output), elementType, inputs, maps,
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value inverse = arith::DivFOp::create(b, b.constant(1.0f), x[1]);
        Value output = arith::MulFOp::create(b, arith::MulFOp::create(b, x[0], inverse), x[2]);
        if (head.valueMean) {
          Value mean = x[3];
          if (state.keySum)
            mean = arith::MulFOp::create(b, mean, arith::MulFOp::create(b, x[4], inverse));
          output = arith::AddFOp::create(b, output, mean);
        }
        output = arith::SelectOp::create(b, isEqual(b, x[1], 0.0f), b.constant(0.0f), output);
        return arith::TruncFOp::create(b, elementType, output);
      });
}

/// LSE of N12.
Value OnlineAttention::computeLse(TensorBuilder &b, RowState state) {
  SmallVector<Value> inputs = {state.maximum, state.sum};
  bool correct = head.lseCorrection && !completesScores;
  if (correct)
    inputs.push_back(head.lseCorrection);
  return b.elementwise(b.getF32Type(), inputs, [&](TensorBuilder &b, ValueRange x) -> Value {
    Value lse = arith::AddFOp::create(b, x[0], math::Log2Op::create(b, x[1]));
    lse = arith::SubFOp::create(b, lse, b.constant(log2Range));
    lse = arith::MulFOp::create(b, b.constant(static_cast<float>(M_LN2)), lse);
    if (correct)
      lse = arith::AddFOp::create(b, lse, x[2]);
    return arith::SelectOp::create(b, isEqual(b, x[1], 0.0f), b.constant(negativeInfinity), lse);
  });
}

AttentionResult sage::attend(TensorBuilder &b, const AttentionNumerics &numerics,
                             const AttentionHead &head) {
  return OnlineAttention(numerics, head).run(b);
}
