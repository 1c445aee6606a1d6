// Scales of the groups of Q's and K's rows (Spec N3, N4): of a warp's own rows, of several warps',
// or of a whole head.

#include "QuantizeRows.h"
#include "ScoreOperand.h"

using namespace mlir;
using namespace sage;

ScaleSource ScoreOperand::getSource() const {
  if (!problem.recipe.quantizesScores())
    return ScaleSource::None;
  if (groups.coversHead())
    return ScaleSource::Head;
  bool isWarp = groups.tokens <= Problem::warpRows ||
                problem.recipe.getGranularity() == Granularity::PerToken;
  return isWarp ? ScaleSource::Warp : ScaleSource::Block;
}

/// The groups of one warp's rows, (row, column) -> (group, 0), and how many they are (Spec N3).
std::pair<AffineMap, int64_t> ScoreOperand::getWarpGroups() {
  AffineExpr row = b.getAffineDimExpr(0);
  AffineExpr group = b.getAffineConstantExpr(0);
  int64_t count = 1;
  if (problem.recipe.getGranularity() == Granularity::PerThread) {
    group = isQuery ? row % 8 : (row % 8).floorDiv(2);
    count = groups.groups;
  } else if (problem.recipe.getGranularity() == Granularity::PerToken) {
    group = row;
    count = rows;
  }
  return {AffineMap::get(2, 0, {group, b.getAffineConstantExpr(0)}, b.getContext()), count};
}

/// The largest magnitudes of the tile's groups, of which every warp of the tile has seen some rows.
Value ScoreOperand::joinWarps(Value magnitudes) {
  if (warpsOfTile == 1)
    return magnitudes;
  auto groupType = cast<tile::FragmentType>(magnitudes.getType());
  Value shared = tile::AllocOp::create(
      b, tile::SharedType::get(b.getContext(), {preparationWarps, groupType.getRows()},
                               b.getF32Type(), 0));
  Value zero = b.index(0), unit = tile::UnitIdOp::create(b);
  AffineExpr group = b.getAffineDimExpr(0);
  auto inRow = [&](int64_t row) {
    return AffineMap::get(2, 0, {b.getAffineConstantExpr(row), group}, b.getContext());
  };
  b.store(magnitudes, shared, {unit, zero}, {}, inRow(0));
  tile::SyncOp::create(b);
  Value first = b.mul(b.divide(unit, b.index(warpsOfTile)).first, warpsOfTile);
  SmallVector<Value> ofWarps;
  for (int64_t warp = 0; warp < warpsOfTile; ++warp)
    ofWarps.push_back(b.load(groupType, shared, {first, zero}, {}, inRow(warp)));
  return b.map(groupType, ofWarps, [&](ValueRange e) {
    Value result = e.front();
    for (Value other : e.drop_front())
      result = arith::MaximumFOp::create(b, result, other);
    return result;
  });
}

/// Of rows as they are loaded.
Value ScoreOperand::getMagnitudes(Value x, Value mean, Value rowsLeft,
                                  tile::FragmentType groupType) {
  AffineMap groups = getWarpGroups().first;
  if (!mean)
    return getGroupMagnitudes(b, x, mean, {}, groupType, groups);
  Value isWhole = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, rowsLeft, b.index(rows));
  auto branch = scf::IfOp::create(b, groupType, isWhole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, getGroupMagnitudes(b, x, mean, {}, groupType, groups));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, getGroupMagnitudes(b, x, mean, rowsLeft, groupType, groups));
  return branch.getResult(0);
}

/// Stores the scales and returns their inverses, one for each group of the warp's rows.
Value ScoreOperand::getInverses(llvm::function_ref<Value(tile::FragmentType)> getMagnitudes,
                                const TokenTile &tile, Value row) {
  auto [map, count] = getWarpGroups();
  auto groupType = tile::FragmentType::get(b.getContext(), {count, 1}, b.getF32Type(),
                                           type.getLayout().project(map));
  if (source == ScaleSource::Head)
    return b.load(groupType, inverseOfHead, {tile.entryHead});
  Value magnitudes = getMagnitudes(groupType);
  magnitudes = joinWarps(magnitudes);
  Value isWriter = tile.exists;
  if (warpsOfTile > 1) {
    Value warp = b.divide(tile::UnitIdOp::create(b), b.index(warpsOfTile)).second;
    isWriter = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, warp, b.index(0));
    if (tile.exists)
      isWriter = arith::AndIOp::create(b, isWriter, tile.exists);
  }
  magnitudes = clipMagnitudes(b, problem, side, magnitudes);
  float range = problem.recipe.getScoreRange();
  Value scale = getScales(b, magnitudes, range, /*inverse=*/false);
  Value index = b.mul(b.divide(row, b.index(tileTokens)).first, count);
  b.when(isWriter, [&] { b.store(scale, scales, {index}); });
  return getScales(b, magnitudes, range, /*inverse=*/true);
}

/// What a row's numbers are multiplied by, of type {rows, 1}. Padding is centred too: 0 hides what
/// becomes an integer, and a mark, since no inverse is negative, tells `quantize` about floats.
Value ScoreOperand::getRowInverses(Value inverses, Value rowsLeft) {
  auto rowType = tile::FragmentType::get(b.getContext(), {rows, 1}, b.getF32Type(),
                                         type.getLayout().dropColumns());
  Value left = b.toI32(rowsLeft), hidden = b.f32(storesFloats() ? -1.0f : 0.0f);
  return b.map(
      rowType, {inverses}, {getWarpGroups().first},
      [&](ValueRange e) -> Value {
        if (!means)
          return e[2];
        Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[0], left);
        return arith::SelectOp::create(b, valid, e[2], hidden);
      },
      /*positions=*/true);
}
