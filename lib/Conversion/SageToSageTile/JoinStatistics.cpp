// Joins the statistics of a range's tiles: means, scales of channels and of whole heads.

#include "TileStatistics.h"

using namespace mlir;
using namespace sage;

/// Tiles that are read at once.
static constexpr int64_t stepTiles = 16;

/// `accumulator` with the rows of `rows` in order; those past the last tile are zeros of no
/// meaning.
Value TileStatistics::joinRows(Value accumulator, Value rows, Value rowsLeft, bool isSum) {
  SmallVector<Value> inputs{accumulator};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  for (int64_t row = 0; row < stepTiles; ++row) {
    inputs.push_back(rows);
    maps.push_back(AffineMap::get(2, 0, {b.getAffineConstantExpr(row), b.getAffineDimExpr(1)},
                                  b.getContext()));
  }
  return b.map(columnType, inputs, maps, [&](ValueRange e) {
    Value result = e[0];
    for (auto [row, element] : llvm::enumerate(e.drop_front())) {
      if (isSum) {
        result = arith::AddFOp::create(b, result, element);
        continue;
      }
      Value number = arith::ConstantOp::create(b, b.getI32IntegerAttr(row));
      Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, number, rowsLeft);
      result = arith::MaximumFOp::create(
          b, result, arith::SelectOp::create(b, valid, element, b.f32(-INFINITY)));
    }
    return result;
  });
}

Accumulators TileStatistics::joinTables(Value firstRow, Value tiles, Value column) {
  Accumulators tables{plan.hasSums() ? sums : Value(), maxima, minima};
  SmallVector<Value> initial;
  // A head without tokens has magnitude 0.
  for (Value table : tables.getValues())
    initial.push_back(b.splat(columnType, table == tables.sum || !minima ? 0.0f : -INFINITY));
  auto rowsType = getRowMajor(b, stepTiles, columnType.getColumns(), b.getF32Type(), 1);
  auto loop = scf::ForOp::create(b, b.index(0), tiles, b.index(stepTiles), initial);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value row = b.add(firstRow, loop.getInductionVar());
  Value rowsLeft = b.toI32(b.sub(tiles, loop.getInductionVar()));
  SmallVector<Value> next;
  for (auto [table, accumulator] : llvm::zip_equal(tables.getValues(), loop.getRegionIterArgs())) {
    Value rows = b.load(rowsType, table, {row, column}, b.add(firstRow, tiles));
    next.push_back(joinRows(accumulator, rows, rowsLeft, table == tables.sum));
  }
  scf::YieldOp::create(b, next);
  return tables.replace(loop.getResults());
}

/// The largest of all channels' magnitudes, which the warps have by columns.
Value TileStatistics::joinWarps(Value magnitude) {
  auto scalarType = tile::FragmentType::get(b.getContext(), {1, 1}, b.getF32Type(),
                                            columnType.getLayout().project(getScalarBroadcast(b)));
  magnitude = b.reduce(tile::ReduceKind::MaximumF, magnitude, scalarType);
  Value zero = b.index(0);
  b.store(magnitude, shared.maximum, {tile::UnitIdOp::create(b), zero});
  tile::SyncOp::create(b);
  SmallVector<Value> ofWarps;
  for (int64_t warp = 0; warp < preparationWarps; ++warp)
    ofWarps.push_back(b.load(scalarType, shared.maximum, {b.index(warp), zero}));
  return b.map(scalarType, ofWarps, [&](ValueRange e) {
    Value result = e.front();
    for (Value other : e.drop_front())
      result = arith::MaximumFOp::create(b, result, other);
    return result;
  });
}

/// A scale for every channel, or one for all.
void TileStatistics::storeScales(Value magnitude, Value entryHead, Value column) {
  const RecipeAttr &recipe = program.getProblem().recipe;
  float range = plan.joinsChannels ? recipe.getScoreRange() : recipe.getValueRange();
  SmallVector<Value> indices{entryHead};
  Value isWriter = isFirstOfColumn();
  if (plan.joinsChannels) {
    // The chunk's extremes have been read.
    tile::SyncOp::create(b);
    magnitude = joinWarps(magnitude);
    isWriter =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, tile::UnitIdOp::create(b), b.index(0));
  } else {
    indices.push_back(column);
  }
  b.when(isWriter, [&] {
    b.store(getScales(b, magnitude, range, /*inverse=*/false), scales, indices);
    b.store(getScales(b, magnitude, range, /*inverse=*/true), inverses, indices);
  });
}

/// The rows from `firstRow` on, which other blocks have written.
void TileStatistics::join(const TokenTile &tile, Value firstRow) {
  Value column = getColumn(), tiles = b.ceilDivide(tile.tokens, plan.tileTokens);
  Accumulators totals = joinTables(firstRow, tiles, column);
  Value mean;
  if (totals.sum) {
    // The mean of no tokens is 0.
    Value count = arith::MaxSIOp::create(b, tile.tokens, b.index(1));
    Value divisor = arith::SIToFPOp::create(b, b.getF32Type(), b.toI32(count));
    mean = b.map(columnType, {totals.sum},
                 [&](ValueRange e) -> Value { return arith::DivFOp::create(b, e[0], divisor); });
    b.when(isFirstOfColumn(), [&] { b.store(mean, means, {tile.entryHead, column}); });
  }
  if (minima)
    storeScales(getCentredMagnitude(b, totals.maximum, totals.minimum, mean), tile.entryHead,
                column);
  else if (maxima)
    storeScales(totals.maximum, tile.entryHead, column);
}
