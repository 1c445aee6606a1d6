// Scores of one key tile (Spec N8, N13): their factor, the product of Q and K, masks.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

AffineMap AttentionKernel::toGroup() {
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  return AffineMap::get(2, 0, {row, (column % 8).floorDiv(2)}, b.getContext());
}

/// Rows t and t + 8 of a warp share a scale (Spec N3); one multiplier for scale and log2 e.
Value AttentionKernel::loadQueryMultiplier() {
  AffineExpr row = b.getAffineDimExpr(0);
  AffineMap groups =
      AffineMap::get(2, 0, {row.floorDiv(Problem::warpRows) * 8 + row % 8}, b.getContext());
  Value unitQueryRow = b.add(b.mul(queryHeadRow, paddedQueries), firstUnitQuery);
  Value firstScale = b.mul(b.divide(unitQueryRow, b.index(Problem::warpRows)).first, 8);
  Value scales = b.load(getRow(b.getF32Type()), queryScales, {firstScale}, {}, groups);
  return b.map(getRow(b.getF32Type()), {scales},
               [&](ValueRange x) -> Value { return arith::MulFOp::create(b, x[0], scaleLog2e); });
}

/// One multiplier per lane: its query and key scales (Spec N8). The smallest normal number keeps
/// -infinity times it infinite.
Value AttentionKernel::computeMultiplier() {
  auto quadType =
      getFragment(1, keyGroups, b.getF32Type(), tile::LayoutAttr::quad(b.getContext(), warps()));
  Value keyMultiplier = b.load(quadType, keyScalesShared, {b.index(0)});
  return b.map(getGrouped(), {queryMultiplier, keyMultiplier}, {toRow(), toColumn()},
               [&](ValueRange e) -> Value {
                 return arith::MaximumFOp::create(b, arith::MulFOp::create(b, e[0], e[1]),
                                                  b.f32(0x1p-126f));
               });
}

AttentionKernel::Scores AttentionKernel::computeScores(Value iteration, const KeyTile &tile) {
  Type f32 = b.getF32Type();
  Scores scores;
  scores.multiplier = computeMultiplier();
  auto integerScores = getAccumulator(keyTile, b.getI32Type());
  Value none32 = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value fresh = tile::SplatOp::create(b, integerScores, none32);
  Value products = tile::MmaOp::create(b, queryOperand, keyShared, fresh);
  auto scoresType = getAccumulator(keyTile, f32);
  Value values = b.map(scoresType, {products}, [&](ValueRange e) -> Value {
    return arith::SIToFPOp::create(b, f32, e[0]);
  });
  Value isMasked = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, iteration, maskedTiles);
  auto masked = scf::IfOp::create(b, TypeRange{scoresType}, isMasked, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(masked.thenBlock());
  scf::YieldOp::create(b, maskPositions(values, tile.firstToken));
  b.setInsertionPointToStart(masked.elseBlock());
  scf::YieldOp::create(b, values);
  scores.values = masked.getResult(0);
  return scores;
}

/// Scores of keys that a row does not see become -infinity.
Value AttentionKernel::maskPositions(Value x, Value keyStart) {
  // The first key that a row does not see, relative to the tile.
  Value keysLeft = b.toI32(b.sub(keys, keyStart));
  Value limit;
  if (problem.mask != Mask::None) {
    Value visibleToFirst =
        b.toI32(b.sub(b.add(b.add(firstUnitQuery, causalOffset), b.index(1)), keyStart));
    limit = b.map(
        getRow(b.getI32Type()), {}, {},
        [&](ValueRange e) -> Value {
          return arith::MinSIOp::create(b, arith::AddIOp::create(b, e[0], visibleToFirst),
                                        keysLeft);
        },
        /*positions=*/true);
  } else {
    limit = tile::SplatOp::create(b, getRow(b.getI32Type()), keysLeft);
  }
  auto type = cast<tile::FragmentType>(x.getType());
  return b.map(
      type, {x, limit}, {b.getMultiDimIdentityMap(2), toRow()},
      [&](ValueRange e) -> Value {
        Value visible = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[1], e[3]);
        return arith::SelectOp::create(b, visible, e[2], b.f32(-INFINITY));
      },
      /*positions=*/true);
}
