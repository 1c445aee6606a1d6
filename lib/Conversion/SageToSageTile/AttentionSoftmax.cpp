// Online softmax (Spec N9 to N11): maximum, exponentials, row sums, the product with V.

#include "AttentionKernel.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sage;

/// Largest x of each row. Unscaled scores are compared inside a lane's group, and then scaled.
Value AttentionKernel::findMaximum(const Scores &scores) {
  Value maxima = b.reduce(tile::ReduceKind::MaximumF, scores.values, getQuad(), toQuad());
  if (scores.multiplier)
    maxima = b.map(getQuad(), {maxima, scores.multiplier},
                   [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  return b.reduce(tile::ReduceKind::MaximumF, maxima, getRow(b.getF32Type()));
}

AttentionKernel::Maximum AttentionKernel::updateMaximum(const Scores &scores, Value previous) {
  auto rowType = getRow(b.getF32Type());
  Value tileMaximum = findMaximum(scores);
  Maximum result;
  result.maximum = b.map(rowType, {previous, tileMaximum}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], e[1]);
  });
  Value subtrahend = getSubtrahend(result.maximum);
  result.rescale = b.map(rowType, {previous, subtrahend}, [&](ValueRange e) -> Value {
    return math::Exp2Op::create(b, arith::SubFOp::create(b, e[0], e[1]));
  });
  result.offset = b.map(rowType, {subtrahend}, [&](ValueRange e) -> Value {
    return arith::SubFOp::create(b, b.f32(getLog2OfRange()), e[0]);
  });
  return result;
}

Value AttentionKernel::computeProbabilities(const Scores &scores, const Maximum &maximum) {
  auto type = getAccumulator(keyTile, b.getF32Type());
  AffineMap identity = b.getMultiDimIdentityMap(2);
  if (!scores.multiplier)
    return b.map(type, {scores.values, maximum.offset}, {identity, toRow()},
                 [&](ValueRange e) -> Value {
                   return math::Exp2Op::create(b, arith::AddFOp::create(b, e[0], e[1]));
                 });
  bool isQuad = cast<tile::FragmentType>(scores.multiplier.getType()).getColumns() > 1;
  return b.map(type, {scores.values, scores.multiplier, maximum.offset},
               {identity, isQuad ? toQuad() : toRow(), toRow()}, [&](ValueRange e) -> Value {
                 return math::Exp2Op::create(b, math::FmaOp::create(b, e[0], e[1], e[2]));
               });
}

Value AttentionKernel::addToSum(Value sum, Value rescale, Value probabilities) {
  Value partial = b.reduce(tile::ReduceKind::AddF, probabilities, getQuad(), toQuad());
  return b.map(getQuad(), {sum, rescale, partial},
               [&](ValueRange e) -> Value { return math::FmaOp::create(b, e[0], e[1], e[2]); });
}

Value AttentionKernel::packProbabilities(Value probabilities) {
  // 8-bit operands take the tokens in V's order; 16-bit ones take them as they are.
  AffineMap order = problem.geometry.getValueOrderMap();
  return b.convert(probabilities, getOperand(keyTile, problem.getValueType()),
                   order.isIdentity() ? AffineMap() : order);
}

Value AttentionKernel::addProduct(Value output, Value rescale, Value packed) {
  Value sum = b.map(getAccumulator(outputColumns, b.getF32Type()), {output, rescale},
                    {b.getMultiDimIdentityMap(2), toRow()},
                    [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  for (const Panel &panel : value) {
    Value part = packed;
    if (panel.columns != keyTile)
      part = tile::SliceOp::create(b, getOperand(panel.columns, problem.getValueType()), packed,
                                   panel.first);
    sum = tile::MmaOp::create(b, part, panel.tile, sum);
  }
  return sum;
}
