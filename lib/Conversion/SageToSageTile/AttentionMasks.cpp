// Which keys a query sees (Spec N13, N14): key tiles to visit, tiles to mask, positions.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// Visited are the key tiles that some row of the block sees. Those at either end, which some row
/// does not see whole, are masked.
void AttentionKernel::countKeyTiles() {
  countVisibleTiles();
  if (part)
    restrictToPart();
}

void AttentionKernel::countVisibleTiles() {
  diagonal = problem.isBottomRight() ? b.sub(keys.tokens, queries.tokens) : b.index(0);
  Value tileSize = b.index(keyTile);
  Value endQuery = minimum(b.add(queries.first, b.index(problem.getQueryTile())), queries.tokens);
  // Ends of what the last row and the first row see.
  Value visibleToLast = keys.tokens, visibleToFirst = keys.tokens;
  if (std::optional<int64_t> right = problem.getRightBound()) {
    Value end = b.add(b.add(endQuery, diagonal), b.index(*right));
    visibleToLast = minimum(keys.tokens, notNegative(end));
    Value firstEnd = b.add(b.add(queries.first, diagonal), b.index(*right + 1));
    visibleToFirst = minimum(keys.tokens, notNegative(firstEnd));
  }
  endTile = b.ceilDivide(visibleToLast, keyTile);
  tiles = windowTiles = endTile;
  maskedTiles = b.sub(endTile, b.divide(visibleToFirst, tileSize).first);
  if (!hasLeftBound())
    return;
  // Beginnings of what the first row and the last row see.
  Value left = b.index(problem.windowLeft.getInt());
  Value seenByFirst = notNegative(b.sub(b.add(queries.first, diagonal), left));
  Value seenByLast = notNegative(b.sub(b.sub(b.add(endQuery, diagonal), b.index(1)), left));
  Value firstTile = minimum(b.divide(seenByFirst, tileSize).first, endTile);
  windowTiles = b.sub(endTile, firstTile);
  Value leadingTiles = b.index(0);
  if (problem.sinkTokens)
    leadingTiles =
        minimum(b.ceilDivide(minimum(visibleToLast, b.index(problem.sinkTokens.getInt())), keyTile),
                firstTile);
  tiles = b.add(windowTiles, leadingTiles);
  skippedTiles = b.sub(firstTile, leadingTiles);
  firstMaskedByLeft = b.sub(endTile, b.ceilDivide(seenByLast, keyTile));
}

/// Whether the tile of an iteration is among the masked ones. Without a left bound those are the
/// first iterations, which sage-tile-peel-masks looks for.
Value AttentionKernel::isMasked(Value iteration) {
  Value right = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, iteration, maskedTiles);
  if (!hasLeftBound())
    return right;
  Value left = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, iteration, firstMaskedByLeft);
  return arith::OrIOp::create(b, left, right);
}

Value AttentionKernel::maskTile(Value scores, Value iteration, const KeyTile &tile) {
  Value condition = isMasked(iteration);
  auto masked =
      scf::IfOp::create(b, TypeRange{scores.getType()}, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(masked.thenBlock());
  scf::YieldOp::create(b, maskPositions(scores, tile.firstToken));
  b.setInsertionPointToStart(masked.elseBlock());
  scf::YieldOp::create(b, scores);
  return masked.getResult(0);
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// Scores of keys that a row does not see become -infinity.
Value AttentionKernel::maskPositions(Value scores, Value keyStart) {
  auto rowType = getRow(b.getI32Type());
  auto relative = [&](Value key) { return b.toI32(b.sub(key, keyStart)); };
  // The first key past what a row sees, and the first that it sees, relative to the tile.
  Value keysLeft = relative(keys.tokens);
  Value ownKey = relative(b.add(firstUnitQuery, diagonal));
  auto addToRow = [&](Value row, int64_t distance) -> Value {
    Value constant = arith::ConstantOp::create(b, b.getI32IntegerAttr(distance));
    return arith::AddIOp::create(b, row, arith::AddIOp::create(b, ownKey, constant));
  };
  SmallVector<Value> inputs{scores};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2), toRow()};
  if (std::optional<int64_t> right = problem.getRightBound())
    inputs.push_back(b.map(
        rowType, {}, {},
        [&](ValueRange e) -> Value {
          return arith::MinSIOp::create(b, addToRow(e[0], *right + 1), keysLeft);
        },
        /*positions=*/true));
  else
    inputs.push_back(tile::SplatOp::create(b, rowType, keysLeft));
  if (hasLeftBound()) {
    int64_t left = problem.windowLeft.getInt();
    inputs.push_back(b.map(
        rowType, {}, {}, [&](ValueRange e) -> Value { return addToRow(e[0], -left); },
        /*positions=*/true));
    maps.push_back(toRow());
  }
  Value leadingEnd;
  if (problem.sinkTokens)
    leadingEnd = relative(b.index(problem.sinkTokens.getInt()));
  auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, predicate, x, y);
  };
  return b.map(
      cast<tile::FragmentType>(scores.getType()), inputs, maps,
      [&](ValueRange e) -> Value {
        Value visible = compare(arith::CmpIPredicate::slt, e[1], e[3]);
        if (hasLeftBound()) {
          Value inWindow = compare(arith::CmpIPredicate::sge, e[1], e[4]);
          if (leadingEnd)
            inWindow = arith::OrIOp::create(b, inWindow,
                                            compare(arith::CmpIPredicate::slt, e[1], leadingEnd));
          visible = arith::AndIOp::create(b, visible, inWindow);
        }
        return arith::SelectOp::create(b, visible, e[2], b.f32(-INFINITY));
      },
      /*positions=*/true);
}

//===----------------------------------------------------------------------===//
// Bias
//===----------------------------------------------------------------------===//

/// The tile's elements of the bias; 0 past the last query and the last key.
Value AttentionKernel::loadBias(const KeyTile &tile) {
  Access access;
  access.limit = b.add(queries.callerFirst, queries.tokens);
  access.columnLimit = b.add(keys.callerFirst, keys.tokens);
  // Strides are the caller's: the innermost may be 0, too.
  access.aligned = arith::ConstantOp::create(b, b.getBoolAttr(false));
  return b.load(getAccumulator(keyTile, problem.bias), bias,
                {queries.batch, queries.head, b.add(queries.callerFirst, firstUnitQuery),
                 b.add(keys.callerFirst, tile.firstToken)},
                access);
}

/// A boolean bias says which keys are visible.
Value AttentionKernel::maskByBias(Value scores, const KeyTile &tile) {
  return b.map(cast<tile::FragmentType>(scores.getType()), {scores, loadBias(tile)},
               [&](ValueRange e) -> Value {
                 return arith::SelectOp::create(b, e[1], e[0], b.f32(-INFINITY));
               });
}
