#include "QuantizeRows.h"

#include <cmath>

using namespace mlir;
using namespace sage;

Value sage::getScales(KernelBuilder &b, Value magnitudes, float range, bool inverse) {
  return b.map(cast<tile::FragmentType>(magnitudes.getType()), {magnitudes},
               [&](ValueRange x) { return b.getScale(x[0], range, inverse); });
}

Value sage::rotateRows(KernelBuilder &b, const Problem &problem, Side side, Value x) {
  Value transformed = tile::HadamardOp::create(b, x, getRotationBlock(problem.headDim));
  auto operand = side == Side::Query ? RotatedOperand::Query : RotatedOperand::Key;
  float factor = std::ldexp(1.0f, -int(getRotationHalvings(problem.headDim, operand)));
  return b.map(cast<tile::FragmentType>(x.getType()), {transformed}, [&](ValueRange e) -> Value {
    return arith::MulFOp::create(b, e[0], b.f32(factor));
  });
}

Value sage::findMagnitudes(KernelBuilder &b, Value x, tile::FragmentType groupType, AffineMap map) {
  Value magnitudes = b.map(cast<tile::FragmentType>(x.getType()), {x},
                           [&](ValueRange e) -> Value { return math::AbsFOp::create(b, e[0]); });
  return b.reduce(tile::ReduceKind::MaximumF, magnitudes, groupType, map);
}

Value sage::clipMagnitudes(KernelBuilder &b, const Problem &problem, Side side, Value magnitudes) {
  const RecipeAttr &recipe = problem.recipe;
  float part = side == Side::Query ? recipe.getQueryFraction() : recipe.getKeyFraction();
  if (part == 1)
    return magnitudes;
  return b.map(cast<tile::FragmentType>(magnitudes.getType()), {magnitudes},
               [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], b.f32(part)); });
}

Value sage::quantizeRows(KernelBuilder &b, const Problem &problem, Value x, Value inverses,
                         AffineMap map, bool hidesPadding) {
  auto type = cast<tile::FragmentType>(x.getType());
  float range = problem.recipe.getScoreRange();
  bool limits = problem.recipe.getQk() == ScoreType::Int4;
  auto scale = [&](ValueRange e) -> Value {
    Value product = arith::MulFOp::create(b, e[0], e[1]);
    if (limits) {
      // What exceeds the range where it is clipped, or an inverse overflows; conversion limits
      // 8-bit integers.
      product = arith::MinimumFOp::create(b, product, b.f32(range));
      product = arith::MaximumFOp::create(b, product, b.f32(-range));
    }
    // Integers without negative zeros.
    if (problem.multipliesAsFloats())
      product = arith::AddFOp::create(b, math::RoundEvenOp::create(b, product), b.f32(0.0f));
    if (!hidesPadding)
      return product;
    Value isHidden = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, e[1], b.f32(0.0f));
    return arith::SelectOp::create(b, isHidden, b.f32(0.0f), product);
  };
  Value scaled = b.map(type, {x, inverses}, {b.getMultiDimIdentityMap(2), map}, scale);
  return b.convert(scaled, type.withElementType(problem.getScoreType()));
}

Value sage::loadMean(KernelBuilder &b, tile::FragmentType type, Value means, Value row,
                     Value column) {
  auto meanType = tile::FragmentType::get(b.getContext(), {1, type.getColumns()}, b.getF32Type(),
                                          type.getLayout().dropRows());
  return b.load(meanType, means, {row, column});
}

Value sage::getLseCorrection(KernelBuilder &b, Value x, Value mean, Value softmaxScale,
                             tile::FragmentType rowType) {
  auto type = cast<tile::FragmentType>(x.getType());
  Value products = b.map(
      type, {x, mean}, [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  Value dots = b.reduce(tile::ReduceKind::AddF, products, rowType);
  return b.map(rowType, {dots},
               [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], softmaxScale); });
}
