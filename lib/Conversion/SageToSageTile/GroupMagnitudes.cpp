// Rounding is monotone: an extreme of the centred numbers is a centred extreme. So extremes are
// taken first, two 16-bit numbers an instruction, and only they are converted and centred. What is
// quantized later is centred again from the numbers as loaded, which take half of the registers.

#include "GroupMagnitudes.h"

#include "Preparation.h"

using namespace mlir;
using namespace sage;

RowFold::RowFold(tile::FragmentType type, AffineMap groups) : context(type.getContext()) {
  int64_t rows = type.getRows(), powerOfTwo = rows & -rows;
  auto isOfLanes = [&](int64_t step) {
    return llvm::any_of(type.getLayout().getLane(), [&](const tile::LayoutMode &mode) {
      return mode.row != 0 && mode.row <= step && step < mode.row * mode.size;
    });
  };
  auto getGroup = [&](int64_t row) { return *tile::evaluate(groups.getResult(0), {row, 0}); };
  for (int64_t step = 1; step < powerOfTwo; step *= 2) {
    if (isOfLanes(step) || getGroup(step) != getGroup(0)) {
      kept.push_back(step);
      continue;
    }
    for (int64_t i = 0, count = folded.size(); i < count; ++i)
      folded.push_back(folded[i] + step);
  }
  // An odd factor.
  for (int64_t i = 0, count = folded.size(); i < count; ++i)
    for (int64_t row = powerOfTwo; row < rows; row += powerOfTwo)
      folded.push_back(folded[i] + row);
}

AffineMap RowFold::getRow(int64_t number) const {
  AffineExpr row = getAffineConstantExpr(folded[number], context);
  AffineExpr keptRow = getAffineDimExpr(0, context);
  for (auto [bit, step] : llvm::enumerate(kept))
    row = row + keptRow.floorDiv(int64_t(1) << bit) % 2 * step;
  return AffineMap::get(2, 0, {row, getAffineDimExpr(1, context)}, context);
}

tile::FragmentType RowFold::getKept(tile::FragmentType type) const {
  AffineExpr keptRow = getAffineConstantExpr(0, context);
  for (auto [bit, step] : llvm::enumerate(kept))
    keptRow = keptRow + getAffineDimExpr(0, context).floorDiv(step) % 2 * (int64_t(1) << bit);
  auto map = AffineMap::get(2, 0, {keptRow, getAffineDimExpr(1, context)}, context);
  return tile::FragmentType::get(context, {int64_t(1) << kept.size(), type.getColumns()},
                                 type.getElementType(), type.getLayout().project(map));
}

/// `x`, whose rows from `rowsLeft` on are zeros, and infinity there. A sum, which pairs of numbers
/// have an instruction for: -0 changes nothing.
static Value hidePadding(KernelBuilder &b, Value x, Value rowsLeft, bool isNegative) {
  auto type = cast<tile::FragmentType>(x.getType());
  auto elementType = cast<FloatType>(type.getElementType());
  auto getConstant = [&](const APFloat &value) -> Value {
    return arith::ConstantOp::create(b, b.getFloatAttr(elementType, value));
  };
  const llvm::fltSemantics &semantics = elementType.getFloatSemantics();
  Value infinity = getConstant(APFloat::getInf(semantics, isNegative));
  Value nothing = getConstant(APFloat::getZero(semantics, /*Negative=*/true));
  Value left = b.toI32(rowsLeft);
  return b.map(
      type, {x}, {},
      [&](ValueRange e) -> Value {
        Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[0], left);
        return arith::AddFOp::create(b, e[2], arith::SelectOp::create(b, valid, nothing, infinity));
      },
      /*positions=*/true);
}

/// The larger distance of the extremes from the mean. Where no row is a token the smallest is
/// above the largest.
static Value getCentredDistance(KernelBuilder &b, Value largest, Value smallest, Value mean,
                                bool mayBeEmpty) {
  AffineMap same = b.getMultiDimIdentityMap(2);
  return b.map(cast<tile::FragmentType>(largest.getType()), {largest, smallest, mean},
               {same, same, getRowBroadcast(b)}, [&](ValueRange e) -> Value {
                 auto getDistance = [&](Value extreme) -> Value {
                   return math::AbsFOp::create(b, arith::SubFOp::create(b, extreme, e[2]));
                 };
                 Value distance =
                     arith::MaximumFOp::create(b, getDistance(e[0]), getDistance(e[1]));
                 if (!mayBeEmpty)
                   return distance;
                 Value isEmpty = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, e[1], e[0]);
                 return arith::SelectOp::create(b, isEmpty, b.f32(0.0f), distance);
               });
}

Value sage::getGroupMagnitudes(KernelBuilder &b, Value x, Value mean, Value rowsLeft,
                               tile::FragmentType groupType, AffineMap groups) {
  auto type = cast<tile::FragmentType>(x.getType());
  RowFold fold(type, groups);
  tile::FragmentType foldedType = fold.getKept(type);
  SmallVector<AffineMap> maps;
  for (int64_t number = 0; number < fold.size(); ++number)
    maps.push_back(fold.getRow(number));
  auto getExtreme = [&](Value rows, llvm::function_ref<Value(Value, Value)> combine) {
    SmallVector<Value> inputs(fold.size(), rows);
    Value extreme = b.map(foldedType, inputs, maps, [&](ValueRange e) {
      Value result = mean ? e[0] : math::AbsFOp::create(b, e[0]).getResult();
      for (Value element : e.drop_front())
        result = combine(result, mean ? element : math::AbsFOp::create(b, element).getResult());
      return result;
    });
    return b.convert(extreme, foldedType.withElementType(b.getF32Type()));
  };
  auto getLarger = [&](Value a, Value c) -> Value { return arith::MaximumFOp::create(b, a, c); };
  auto getSmaller = [&](Value a, Value c) -> Value { return arith::MinimumFOp::create(b, a, c); };
  Value magnitudes;
  if (!mean) {
    magnitudes = getExtreme(x, getLarger);
  } else {
    auto hide = [&](bool isNegative) {
      return rowsLeft ? hidePadding(b, x, rowsLeft, isNegative) : x;
    };
    Value largest = getExtreme(hide(/*isNegative=*/true), getLarger);
    Value smallest = getExtreme(hide(/*isNegative=*/false), getSmaller);
    magnitudes = getCentredDistance(b, largest, smallest, mean, /*mayBeEmpty=*/bool(rowsLeft));
  }
  return b.reduce(tile::ReduceKind::MaximumF, magnitudes, groupType,
                  groups.compose(fold.getRow(0)));
}
