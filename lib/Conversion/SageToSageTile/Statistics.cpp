// The first pass over Q, K and V: sums, extremes and magnitudes of channels over tiles of tokens.

#include "TileStatistics.h"

using namespace mlir;
using namespace sage;

/// Columns that a warp joins, one for each lane.
static constexpr int64_t joinedColumns = 32;
/// Tokens of one partial sum in a chunk.
static constexpr int64_t chunkRows = Problem::chunkTokens / preparationWarps;

SmallVector<Value> Accumulators::getValues() const {
  SmallVector<Value> values;
  for (Value value : {sum, maximum, minimum})
    if (value)
      values.push_back(value);
  return values;
}

Accumulators Accumulators::replace(ValueRange values) const {
  Accumulators result;
  unsigned next = 0;
  result.sum = sum ? values[next++] : Value();
  result.maximum = maximum ? values[next++] : Value();
  result.minimum = minimum ? values[next++] : Value();
  return result;
}

TileStatistics::TileStatistics(ProgramBuilder &program, KernelBuilder &b,
                               const StatisticsPlan &plan, Value counters, AffineExpr firstCounter)
    : program(program), b(b), plan(plan),
      slotTokens(plan.centresTiles ? program.getProblem().getQueryPadding() : plan.tileTokens),
      space(program, b, plan.side, slotTokens),
      input(program, b, plan.operand, plan.channels, plan.batchStride, plan.alignment),
      counters(counters), firstCounter(firstCounter) {
  // As many loads in flight as registers allow: they hide the latency of memory. A row of all
  // channels is a warp's.
  int64_t rows = plan.paddedChannels <= 128 ? chunkRows / 2 : chunkRows / 4;
  int64_t columns = plan.paddedChannels;
  inputType = getRowMajor(b, rows, columns, program.getProblem().elementType,
                          columns % 3 == 0 ? 2 : columns / 32);
  type = tile::FragmentType::get(b.getContext(), {1, columns}, b.getF32Type(),
                                 inputType.getLayout().dropRows());
  columnType = getRowMajor(b, 1, joinedColumns, b.getF32Type(), 1);
  addTables();
}

void TileStatistics::addTables() {
  int64_t columns = plan.paddedChannels;
  auto add = [&](StringRef slice, AffineExpr rows, int64_t rowColumns) {
    program.addWorkspace(plan.getName(slice), rows * (rowColumns * 4));
    return b.addBuffer(plan.getName(slice),
                       rowColumns == 1 ? b.getVector() : b.getTable(rowColumns));
  };
  bool isQuery = plan.side == Side::Query;
  AffineExpr tiles = (isQuery ? program.getQueryHeads() : program.getKeyHeads()) * getItemsOfHead();
  AffineExpr ranges = isQuery ? program.getQueryRanges() : program.getKeyRanges();
  if (plan.centresTiles)
    sums = add("mean", tiles + correctionRows, columns);
  else if (plan.smooths)
    sums = add("sums", tiles, columns);
  if (plan.needsMagnitude) {
    maxima = add("maxima", tiles, columns);
    int64_t scaleColumns = plan.joinsChannels ? 1 : columns;
    scales = add("scales", ranges, scaleColumns);
    inverses = add("inverse", ranges, scaleColumns);
  }
  if (plan.hasExtremes())
    minima = add("minima", tiles, columns);
  if (plan.hasSums())
    means = add("mean", ranges, columns);
  auto allocate = [&]() -> Value {
    return tile::AllocOp::create(
        b, tile::SharedType::get(b.getContext(), {preparationWarps, columns}, b.getF32Type(), 0));
  };
  if (plan.smooths)
    shared.sum = allocate();
  if (plan.needsMagnitude)
    shared.maximum = allocate();
  if (takesExtremes())
    shared.minimum = allocate();
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// One tile where there are no tokens: others wait for every range.
AffineExpr TileStatistics::getItemsOfHead() {
  AffineExpr tiles = space.getTilesOfHead(plan.tileTokens);
  if (program.getProblem().isPacked)
    return tiles;
  AffineExpr tokens = program.get(plan.side == Side::Query ? Symbol::Nq : Symbol::Nk);
  int64_t tilesOfSlot = slotTokens / plan.tileTokens;
  return tiles - tokens.ceilDiv(tokens + 1) * tilesOfSlot + tilesOfSlot;
}

/// Tiles of `range`, those of its slots' padding too.
Value TileStatistics::countTiles(const TokenRange &range) {
  Value tokens = arith::MaxSIOp::create(b, range.tokens, b.index(1));
  return b.mul(b.ceilDivide(tokens, slotTokens), slotTokens / plan.tileTokens);
}

Value TileStatistics::getCounter(Value entryHead) {
  return b.add(b.addInteger(firstCounter), entryHead);
}

void TileStatistics::await(Value entryHead) {
  Value tiles = countTiles(space.getRangeOfEntryHead(entryHead));
  // The block that joins counts twice.
  if (plan.isJoined())
    tiles = b.add(tiles, b.index(1));
  tile::AwaitOp::create(b, counters, getCounter(entryHead), tiles);
}

//===----------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------===//

Accumulators TileStatistics::getInitial(tile::FragmentType type) {
  Accumulators initial;
  if (plan.smooths)
    initial.sum = b.splat(type, 0.0f);
  if (plan.needsMagnitude)
    initial.maximum = b.splat(type, takesExtremes() ? -INFINITY : 0.0f);
  if (takesExtremes())
    initial.minimum = b.splat(type, -INFINITY);
  return initial;
}

/// `accumulator` and the rows of `x`, in their order, by `combine`(accumulated, element, row).
static Value foldRows(KernelBuilder &b, Value accumulator, Value x,
                      llvm::function_ref<Value(Value, Value, int64_t)> combine) {
  SmallVector<Value> inputs{accumulator};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  for (int64_t row = 0; row < cast<tile::FragmentType>(x.getType()).getRows(); ++row) {
    inputs.push_back(x);
    maps.push_back(AffineMap::get(2, 0, {b.getAffineConstantExpr(row), b.getAffineDimExpr(1)},
                                  b.getContext()));
  }
  return b.map(cast<tile::FragmentType>(accumulator.getType()), inputs, maps, [&](ValueRange e) {
    Value result = e[0];
    for (auto [row, element] : llvm::enumerate(e.drop_front()))
      result = combine(result, element, row);
    return result;
  });
}

/// The larger of `maximum` and the (negated) elements of the tokens in `x`.
Value TileStatistics::extend(Value maximum, Value x, Value rowsLeft, bool negate) {
  return foldRows(b, maximum, x, [&](Value result, Value element, int64_t row) -> Value {
    // Zeros of the padding are no tokens.
    Value token = arith::ConstantOp::create(b, b.getI32IntegerAttr(row * preparationWarps));
    Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, token, rowsLeft);
    if (negate)
      element = arith::NegFOp::create(b, element);
    element = arith::SelectOp::create(b, valid, element, b.f32(-INFINITY));
    return arith::MaximumFOp::create(b, result, element);
  });
}

/// `totals` with the tokens of `x`, which are `preparationWarps` apart; those from `rowsLeft` on
/// are padding. Magnitudes are compared as they are loaded, two in an instruction.
Accumulators TileStatistics::addRows(const Accumulators &totals, Value x, Value rowsLeft) {
  Accumulators next = totals;
  if (next.maximum && !takesExtremes())
    next.maximum = foldRows(b, next.maximum, x, [&](Value result, Value element, int64_t) -> Value {
      return arith::MaximumFOp::create(b, result, math::AbsFOp::create(b, element));
    });
  x = b.convert(x, inputType.withElementType(b.getF32Type()));
  if (next.sum)
    next.sum = foldRows(b, next.sum, x, [&](Value sum, Value element, int64_t) -> Value {
      return arith::AddFOp::create(b, sum, element);
    });
  if (takesExtremes()) {
    next.maximum = extend(next.maximum, x, rowsLeft, /*negate=*/false);
    next.minimum = extend(next.minimum, x, rowsLeft, /*negate=*/true);
  }
  return next;
}

/// What the warp adds of a chunk of `tile`: every eighth token.
Accumulators TileStatistics::accumulateWarp(const TokenTile &tile, Value chunk) {
  int64_t rows = inputType.getRows();
  int64_t tokens = std::min(plan.tileTokens, Problem::chunkTokens);
  Value first = b.add(chunk, tile::UnitIdOp::create(b));
  Value end = arith::MinSIOp::create(b, tile.tokens, b.add(tile.first, b.index(plan.tileTokens)));
  AffineMap everyEighth = AffineMap::get(
      2, 0, {b.getAffineDimExpr(0) * preparationWarps, b.getAffineDimExpr(1)}, b.getContext());
  Accumulators totals = getInitial(type);
  bool takesMagnitudes = plan.needsMagnitude && !takesExtremes();
  if (takesMagnitudes)
    totals.maximum = tile::SplatOp::create(
        b, type.withElementType(inputType.getElementType()),
        arith::ConstantOp::create(b, b.getFloatAttr(inputType.getElementType(), 0.0)));
  for (int64_t row = 0; row * preparationWarps < tokens; row += rows) {
    Value offset = b.add(first, b.index(row * preparationWarps));
    Value x = input.load(inputType, tile, offset, {}, end, everyEighth);
    totals = addRows(totals, x, b.toI32(b.sub(end, b.add(tile.first, offset))));
  }
  if (takesMagnitudes)
    totals.maximum = b.convert(totals.maximum, type);
  return totals;
}

Value TileStatistics::getColumn() {
  Value panel =
      b.divide(tile::UnitIdOp::create(b), b.index(plan.paddedChannels / joinedColumns)).second;
  return b.mul(panel, joinedColumns);
}

Value TileStatistics::isFirstOfColumn() {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, tile::UnitIdOp::create(b),
                               b.index(plan.paddedChannels / joinedColumns));
}

/// A chunk of Spec N1, of the channels of `getColumn()`.
Accumulators TileStatistics::accumulateChunk(const TokenTile &tile, Value chunk) {
  Accumulators ofWarp = accumulateWarp(tile, chunk);
  Value zero = b.index(0), unit = tile::UnitIdOp::create(b);
  auto partialType = getRowMajor(b, preparationWarps, joinedColumns, b.getF32Type(), 1);
  for (auto [value, target] : llvm::zip_equal(ofWarp.getValues(), shared.getValues()))
    b.store(value, target, {unit, zero});
  tile::SyncOp::create(b);
  SmallVector<Value> results;
  for (Value source : shared.getValues()) {
    Value partial = b.load(partialType, source, {zero, getColumn()});
    results.push_back(
        b.reduce(source == shared.sum ? tile::ReduceKind::AddF : tile::ReduceKind::MaximumF,
                 partial, columnType));
  }
  return shared.replace(results);
}

Accumulators TileStatistics::accumulate(const TokenTile &tile) {
  if (plan.tileTokens <= Problem::chunkTokens)
    return accumulateChunk(tile, b.index(0));
  Accumulators initial = getInitial(columnType);
  auto loop = scf::ForOp::create(b, b.index(0), b.index(plan.tileTokens),
                                 b.index(Problem::chunkTokens), initial.getValues());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  // The last chunk's partial sums have been read.
  tile::SyncOp::create(b);
  Accumulators chunk = accumulateChunk(tile, loop.getInductionVar());
  SmallVector<Value> next;
  for (auto [total, value] : llvm::zip_equal(loop.getRegionIterArgs(), chunk.getValues())) {
    bool isSum = value == chunk.sum;
    next.push_back(b.map(columnType, {total, value}, [&](ValueRange e) -> Value {
      if (isSum)
        return arith::AddFOp::create(b, e[0], e[1]);
      return arith::MaximumFOp::create(b, e[0], e[1]);
    }));
  }
  scf::YieldOp::create(b, next);
  return initial.replace(loop.getResults());
}

/// The mean of the tile, and the largest magnitude of what is left: rounding is monotone, so that
/// an extreme of the centred tokens is a centred extreme.
void TileStatistics::storeCentred(const TokenTile &tile, const Accumulators &totals, Value row) {
  Value left = b.sub(tile.tokens, tile.first);
  Value count = arith::MinSIOp::create(b, left, b.index(plan.tileTokens));
  // The mean of no tokens is 0.
  count = arith::MaxSIOp::create(b, count, b.index(1));
  Value divisor = arith::SIToFPOp::create(b, b.getF32Type(), b.toI32(count));
  Value mean = b.map(columnType, {totals.sum}, [&](ValueRange e) -> Value {
    return arith::DivFOp::create(b, e[0], divisor);
  });
  b.store(mean, sums, {row, getColumn()});
  if (plan.needsMagnitude)
    b.store(getCentredMagnitude(b, totals.maximum, totals.minimum, mean), maxima,
            {row, getColumn()});
}

void TileStatistics::emit(Value headRow, Value item) {
  TokenTile tile = space.locate(headRow, item, plan.tileTokens);
  Value tiles = countTiles(tile);
  Value firstOfHead = b.mul(headRow, b.addInteger(getItemsOfHead()));
  Value row = b.add(firstOfHead, item);
  // Unsigned: slots before the first sequence are nobody's.
  Value isCounted = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, tile.first,
                                          b.mul(tiles, plan.tileTokens));
  b.when(isCounted, [&] {
    Accumulators totals = accumulate(tile);
    b.when(isFirstOfColumn(), [&] {
      if (plan.centresTiles)
        return storeCentred(tile, totals, row);
      if (sums)
        b.store(totals.sum, sums, {row, getColumn()});
      if (maxima)
        b.store(totals.maximum, maxima, {row, getColumn()});
      if (minima)
        b.store(totals.minimum, minima, {row, getColumn()});
    });
    Value counter = getCounter(tile.entryHead);
    Value done = tile::CountOp::create(b, counters, counter, Value());
    if (!plan.isJoined())
      return;
    Value isLast =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, done, b.sub(tiles, b.index(1)));
    b.when(isLast, [&] {
      // Makes visible what the others wrote.
      tile::AwaitOp::create(b, counters, counter, tiles);
      Value firstTile = b.divide(tile.paddedFirst, b.index(plan.tileTokens)).first;
      join(tile, b.add(firstOfHead, firstTile));
      tile::CountOp::create(b, counters, counter, Value());
    });
  });
}

std::unique_ptr<Statistics> sage::createStatistics(ProgramBuilder &program, KernelBuilder &b,
                                                   const StatisticsPlan &plan, Value counters,
                                                   AffineExpr firstCounter) {
  return std::make_unique<TileStatistics>(program, b, plan, counters, firstCounter);
}
