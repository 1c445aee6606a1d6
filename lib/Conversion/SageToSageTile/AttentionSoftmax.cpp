// Online softmax (Spec N9 to N11): maximum, exponentials, row sums, the product with V.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

static constexpr float log2Of448 = 8.807354922057604f;

/// The maximum is taken on unscaled scores inside a lane's group, then scaled.
AttentionKernel::Maximum AttentionKernel::updateMaximum(const Scores &scores, Value previous) {
  Value groupMaxima = b.reduce(tile::ReduceKind::MaximumF, scores.values, getGrouped(), toGroup());
  Value scaledMaxima =
      b.map(getGrouped(), {groupMaxima, scores.multiplier},
            [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  auto rowType = getRow(b.getF32Type());
  Value tileMaximum = b.reduce(tile::ReduceKind::MaximumF, scaledMaxima, rowType);
  Maximum result;
  result.maximum = b.map(rowType, {previous, tileMaximum}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], e[1]);
  });
  // A row that has seen no key yet subtracts 0, so that exp2 gives 0 and not NaN.
  Value subtrahend = b.map(rowType, {result.maximum}, [&](ValueRange e) -> Value {
    Value unseen = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[0], b.f32(-INFINITY));
    return arith::SelectOp::create(b, unseen, b.f32(0.0f), e[0]);
  });
  result.rescale = b.map(rowType, {previous, subtrahend}, [&](ValueRange e) -> Value {
    return math::Exp2Op::create(b, arith::SubFOp::create(b, e[0], e[1]));
  });
  result.offset = b.map(rowType, {subtrahend}, [&](ValueRange e) -> Value {
    return arith::SubFOp::create(b, b.f32(log2Of448), e[0]);
  });
  return result;
}

Value AttentionKernel::computeProbabilities(const Scores &scores, const Maximum &maximum) {
  return b.map(getAccumulator(keyTile, b.getF32Type()),
               {scores.values, scores.multiplier, maximum.offset},
               {b.getMultiDimIdentityMap(2), toGroup(), toRow()}, [&](ValueRange e) -> Value {
                 return math::Exp2Op::create(b, math::FmaOp::create(b, e[0], e[1], e[2]));
               });
}

Value AttentionKernel::addToSum(Value sum, Value rescale, Value probabilities) {
  Value partial = b.reduce(tile::ReduceKind::AddF, probabilities, getGrouped(), toGroup());
  return b.map(getGrouped(), {sum, rescale, partial},
               [&](ValueRange e) -> Value { return math::FmaOp::create(b, e[0], e[1], e[2]); });
}

Value AttentionKernel::packProbabilities(Value probabilities) {
  MLIRContext *context = b.getContext();
  auto type = getFragment(unitRows, keyTile, Float8E4M3FNType::get(context),
                          tile::LayoutAttr::operandA8(context, warps(), keyTile));
  return b.convert(probabilities, type, problem.geometry.getValueOrderMap());
}

Value AttentionKernel::addProduct(Value output, Value rescale, Value packed) {
  Value rescaled = b.map(getAccumulator(outputColumns, b.getF32Type()), {output, rescale},
                         {b.getMultiDimIdentityMap(2), toRow()}, [&](ValueRange e) -> Value {
                           return arith::MulFOp::create(b, e[0], e[1]);
                         });
  return tile::MmaOp::create(b, packed, valueShared, rescaled);
}
