// Q and K as the attention kernel reads them: centred, rotated, quantized or copied, padded; their
// scales; the correction of the log-sum-exp.

#include "QuantizeRows.h"
#include "ScoreOperand.h"

using namespace mlir;
using namespace sage;

void ScoreOperand::addBuffers() {
  AffineExpr heads = isQuery ? program.getQueryHeads() : program.getKeyHeads();
  AffineExpr paddedRows = heads * (isQuery ? program.getPaddedQueries() : program.getPaddedKeys());
  StringRef name = isQuery ? buffer::query : buffer::key;
  program.addWorkspace(name, paddedRows * problem.getScoreRowBytes());
  target = b.addBuffer(name, MemRefType::get({ShapedType::kDynamic, problem.getScoreColumns()},
                                             problem.getScoreType()));
  if (source == ScaleSource::Head) {
    inverseOfHead = b.addBuffer(isQuery ? buffer::queryInverse : buffer::keyInverse, b.getVector());
  } else if (source != ScaleSource::None) {
    StringRef scaleName = isQuery ? buffer::queryScales : buffer::keyScales;
    program.addWorkspace(
        scaleName, heads * ((isQuery ? program.getQueryScales() : program.getKeyScales()) * 4));
    scales = b.addBuffer(scaleName, b.getVector());
  }
  MemRefType meanTable = b.getTable(problem.getPaddedHeadDim());
  if (isQuery && problem.recipe.smoothsQuery())
    means = b.addBuffer(buffer::queryMean, meanTable);
  if (!isQuery && problem.recipe.smoothsKey())
    means = b.addBuffer(buffer::keyMean, meanTable);
  if (isQuery && problem.correctsLse()) {
    program.addWorkspace(buffer::lseCorrection, paddedRows * 4);
    keyMean = b.addBuffer(buffer::keyMean, meanTable);
    lseCorrection = b.addBuffer(buffer::lseCorrection, b.getVector());
    softmaxScale = b.addScale(1.0);
  }
}

/// Q's of its block, K's of all its tokens (Spec N2); null where nothing is centred.
Value ScoreOperand::loadMean(const TokenTile &tile, Value row) {
  if (!means)
    return {};
  Value meanRow =
      isQuery ? b.divide(row, b.index(problem.geometry.getQueryBlock())).first : tile.entryHead;
  return sage::loadMean(b, type, means, meanRow, b.index(0));
}

Value ScoreOperand::centre(Value x, Value mean, Value rowsLeft) {
  return mean ? subtractMean(b, x, mean, rowsLeft) : x;
}

/// `map` says which of `inverses` is an element's.
Value ScoreOperand::quantize(Value x, Value inverses, AffineMap map) {
  bool isSlice = cast<tile::FragmentType>(x.getType()).getRows() != rows;
  Value converted = quantizeRows(b, problem, x, inverses, map,
                                 /*hidesPadding=*/isSlice && means && storesFloats());
  if (!problem.packsNibbles())
    return converted;
  tile::FragmentType packedType = getRows(problem.getScoreColumns(), b.getI8Type(), 4);
  if (isSlice)
    packedType = getSlices(packedType).getKept(packedType);
  return tile::PackNibblesOp::create(b, packedType, converted);
}

/// Row of K's tables for the head that the queries of `tile` read.
Value ScoreOperand::getKeyRow(const TokenTile &tile) {
  Value group = b.divide(space.getHeadCount(), keys.getHeadCount()).first;
  return b.add(b.mul(tile.entry, keys.getHeadCount()), b.divide(tile.head, group).first);
}

/// What centring K takes from the log-sum-exp of rows of Q. `rowMap` says which row of the warp one
/// of `x` is.
void ScoreOperand::correctLse(Value x, Value mean, const TokenTile &tile, Value row,
                              AffineMap rowMap) {
  auto rowsType = cast<tile::FragmentType>(x.getType());
  auto dotType = tile::FragmentType::get(b.getContext(), {rowsType.getRows(), 1}, b.getF32Type(),
                                         rowsType.getLayout().dropColumns());
  Value correction = getLseCorrection(b, x, mean, softmaxScale, dotType);
  auto map = AffineMap::get(2, 0, rowMap.getResult(0));
  b.when(tile.exists, [&] { b.store(correction, lseCorrection, {row}, {}, map); });
}

/// The mean of the keys; null where the log-sum-exp needs no correction.
Value ScoreOperand::loadKeyMean(const TokenTile &tile) {
  if (!lseCorrection)
    return {};
  return sage::loadMean(b, type, keyMean, getKeyRow(tile), b.index(0));
}

/// Tile `number` of the head; where the head has fewer, its last one, as one that does not exist.
TokenTile ScoreOperand::getTile(Value headRow, Value number) {
  if (tilesOfItem == 1)
    return space.locate(headRow, number, tileTokens);
  Value last = b.sub(b.addInteger(space.getTilesOfHead(tileTokens)), b.index(1));
  Value isThere = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, number, last);
  TokenTile tile = space.locate(headRow, arith::MinSIOp::create(b, number, last), tileTokens);
  tile.exists = tile.exists ? arith::AndIOp::create(b, tile.exists, isThere).getResult() : isThere;
  return tile;
}

void ScoreOperand::awaitTile(const TokenTile &tile) {
  if (statistics)
    statistics->await(tile.entryHead);
  if (lseCorrection)
    keyStatistics->await(getKeyRow(tile));
}

/// Waits for the statistics that the item reads: those of one entry, unless sequences are packed.
void ScoreOperand::await(Value headRow, Value item) {
  if (!statistics && !lseCorrection)
    return;
  Value first = b.mul(item, tilesOfItem);
  if (!problem.isPacked)
    return awaitTile(getTile(headRow, first));
  for (int64_t i = 0; i < tilesOfItem; ++i) {
    TokenTile tile = getTile(headRow, b.add(first, b.index(i)));
    b.when(tile.exists, [&] { awaitTile(tile); });
  }
}

void ScoreOperand::store(Value x, const TokenTile &tile, Value row, AffineMap rowMap) {
  b.when(tile.exists, [&] { b.store(x, target, {row, b.index(0)}, {}, rowMap); });
}

/// All numbers stay in registers as floats.
void ScoreOperand::quantizeOnce(Value x, const TokenTile &tile, Value row, Value rowsLeft) {
  x = b.convert(x, type);
  if (lseCorrection)
    correctLse(x, loadKeyMean(tile), tile, row, b.getMultiDimIdentityMap(2));
  x = centre(x, loadMean(tile, row), rowsLeft);
  if (problem.recipe.rotates())
    x = rotateRows(b, problem, side, x);
  Value inverses = getInverses(
      [&](tile::FragmentType groupType) {
        return findMagnitudes(b, x, groupType, getWarpGroups().first);
      },
      tile, row);
  store(quantize(x, inverses, getWarpGroups().first), tile, row);
}

/// Only what was loaded stays in registers while scales are found, half of the floats; then a row
/// of each lane at a time becomes floats again.
void ScoreOperand::quantizeTwice(Value x, const TokenTile &tile, Value row, Value rowsLeft) {
  Value mean = loadMean(tile, row);
  Value inverses = getInverses(
      [&](tile::FragmentType groupType) { return getMagnitudes(x, mean, rowsLeft, groupType); },
      tile, row);
  inverses = getRowInverses(inverses, rowsLeft);
  Value ofKeys = loadKeyMean(tile);
  RowFold slices = getSlices(inputType);
  tile::FragmentType sliceType = slices.getKept(inputType);
  for (int64_t number = 0; number < slices.size(); ++number) {
    AffineMap rowMap = slices.getRow(number);
    Value slice = b.map(sliceType, {x}, {rowMap}, [](ValueRange e) { return e[0]; });
    slice = b.convert(slice, sliceType.withElementType(b.getF32Type()));
    if (lseCorrection)
      correctLse(slice, ofKeys, tile, row, rowMap);
    slice = centre(slice, mean, {});
    auto ofRow =
        AffineMap::get(2, 0, {rowMap.getResult(0), b.getAffineConstantExpr(0)}, b.getContext());
    store(quantize(slice, inverses, ofRow), tile, row, rowMap);
  }
}

/// Loads come before the wait for statistics, and all warps take part in finding scales, so that
/// tiles that do not exist are only not stored.
void ScoreOperand::emit(Value headRow, Value item) {
  auto [tileOfItem, warp] = b.divide(tile::UnitIdOp::create(b), b.index(warpsOfTile));
  TokenTile tile = getTile(headRow, b.add(b.mul(item, tilesOfItem), tileOfItem));
  Value offset = b.mul(warp, rows), row = b.add(space.getRow(tile), offset);
  Value x = input.load(inputType, tile, offset);
  await(headRow, item);
  if (source == ScaleSource::None)
    return store(x, tile, row);
  Value rowsLeft = b.sub(tile.tokens, b.add(tile.first, offset));
  bool takesTwice = !problem.recipe.rotates() && needsMagnitudes() &&
                    RowFold(inputType, getWarpGroups().first).size() > 1;
  if (takesTwice)
    quantizeTwice(x, tile, row, rowsLeft);
  else
    quantizeOnce(x, tile, row, rowsLeft);
}

std::unique_ptr<PreparationPart> sage::createScoreOperand(ProgramBuilder &program, KernelBuilder &b,
                                                          Side side, Statistics *queryStatistics,
                                                          Statistics *keyStatistics) {
  return std::make_unique<ScoreOperand>(program, b, side, queryStatistics, keyStatistics);
}
