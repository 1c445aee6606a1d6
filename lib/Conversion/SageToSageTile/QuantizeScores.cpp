// Q and K as the attention kernel reads them: centred, rotated, quantized or copied, padded; their
// scales; the correction of the log-sum-exp.

#include "Preparation.h"
#include "QuantizeRows.h"

#include <cmath>

using namespace mlir;
using namespace sage;

namespace {

/// Where the scale of a row comes from.
enum class ScaleSource {
  /// Nothing is quantized.
  None,
  /// The statistics: one scale for the head.
  Head,
  /// The rows of the warp itself.
  Warp,
  /// Several warps of the thread block, through shared memory.
  Block
};

class ScoreOperand final : public PreparationPart {
public:
  ScoreOperand(ProgramBuilder &program, KernelBuilder &b, Side side, Statistics *queryStatistics,
               Statistics *keyStatistics)
      : program(program), problem(program.getProblem()), side(side), isQuery(side == Side::Query),
        groups(isQuery ? problem.getQueryGroups() : problem.getKeyGroups()), source(getSource()),
        tileTokens(source == ScaleSource::Block ? groups.tokens : Problem::warpRows),
        warpsOfTile(source == ScaleSource::Block ? countWarps(tileTokens) : 1),
        rows(tileTokens / warpsOfTile), tilesOfItem(preparationWarps / warpsOfTile), b(b),
        space(program, b, side, isQuery ? problem.getQueryPadding() : problem.getKeyTile()),
        keys(program, b, Side::Key, problem.getKeyTile()),
        input(program, b, isQuery ? "query" : "key", problem.headDim,
              isQuery ? Symbol::QueryB : Symbol::KeyB,
              isQuery ? Symbol::QueryAlign : Symbol::KeyAlign),
        inputType(
            getRowMajor(b, rows, problem.getPaddedHeadDim(), problem.elementType, /*vector=*/8)),
        type(inputType.withElementType(b.getF32Type())),
        statistics(isQuery ? queryStatistics : keyStatistics), keyStatistics(keyStatistics) {
    addBuffers();
  }

  AffineExpr getItemsOfHead() override {
    return space.getTilesOfHead(tileTokens).ceilDiv(tilesOfItem);
  }
  void emit(Value headRow, Value item) override;

private:
  /// Groups of a warp's rows repeat after so many of them, at most.
  static constexpr int64_t leastRows = 8;

  /// Warps that share a tile equally, in multiples of `leastRows`.
  static int64_t countWarps(int64_t tokens) {
    int64_t warps = preparationWarps;
    while (tokens % (warps * leastRows) != 0)
      warps /= 2;
    return warps;
  }
  ScaleSource getSource() const;
  void addBuffers();
  TokenTile getTile(Value headRow, Value number);
  void awaitTile(const TokenTile &tile);
  void await(Value headRow, Value item);
  Value getKeyRow(const TokenTile &tile);
  Value centre(Value x, const TokenTile &tile, Value row, Value rowsLeft);
  std::pair<AffineMap, int64_t> getWarpGroups();
  Value getInverses(Value x, const TokenTile &tile, Value row);
  Value joinWarps(Value magnitudes);
  Value quantize(Value x, Value inverses);
  void correctLse(Value x, const TokenTile &tile, Value row);

  ProgramBuilder &program;
  const Problem &problem;
  const Side side;
  const bool isQuery;
  const ScaleGroups groups;
  const ScaleSource source;
  /// Tokens of a tile, whose warps find scales together; the rows of one of them.
  const int64_t tileTokens, warpsOfTile, rows, tilesOfItem;
  KernelBuilder &b;
  TokenSpace space, keys;
  CallerTensor input;
  tile::FragmentType inputType, type;
  /// Of the operand, and of K for the log-sum-exp; null where there are none.
  Statistics *statistics, *keyStatistics;
  Value target, scales, inverseOfHead, means, keyMean, lseCorrection, softmaxScale;
};

ScaleSource ScoreOperand::getSource() const {
  if (!problem.recipe.quantizesScores())
    return ScaleSource::None;
  if (groups.coversHead())
    return ScaleSource::Head;
  bool isWarp = groups.tokens <= Problem::warpRows ||
                problem.recipe.getGranularity() == Granularity::PerToken;
  return isWarp ? ScaleSource::Warp : ScaleSource::Block;
}

void ScoreOperand::addBuffers() {
  AffineExpr heads = isQuery ? program.getQueryHeads() : program.getKeyHeads();
  AffineExpr paddedRows = heads * (isQuery ? program.getPaddedQueries() : program.getPaddedKeys());
  StringRef name = isQuery ? buffer::query : buffer::key;
  program.addWorkspace(name, paddedRows * problem.getScoreRowBytes());
  target = b.addBuffer(name, MemRefType::get({ShapedType::kDynamic, problem.getScoreColumns()},
                                             problem.getScoreType()));
  if (source == ScaleSource::Head) {
    inverseOfHead = b.addBuffer(isQuery ? buffer::queryInverse : buffer::keyInverse, getVector(b));
  } else if (source != ScaleSource::None) {
    StringRef scaleName = isQuery ? buffer::queryScales : buffer::keyScales;
    program.addWorkspace(
        scaleName, heads * ((isQuery ? program.getQueryScales() : program.getKeyScales()) * 4));
    scales = b.addBuffer(scaleName, getVector(b));
  }
  MemRefType meanTable = getTable(b, problem.getPaddedHeadDim());
  if (isQuery && problem.recipe.smoothsQuery())
    means = b.addBuffer(buffer::queryMean, meanTable);
  if (!isQuery && problem.recipe.smoothsKey())
    means = b.addBuffer(buffer::keyMean, meanTable);
  if (isQuery && problem.correctsLse()) {
    program.addWorkspace(buffer::lseCorrection, paddedRows * 4);
    keyMean = b.addBuffer(buffer::keyMean, meanTable);
    lseCorrection = b.addBuffer(buffer::lseCorrection, getVector(b));
    softmaxScale = b.addScale(1.0);
  }
}

/// Q on the mean of its block, K on that of all its tokens (Spec N2).
Value ScoreOperand::centre(Value x, const TokenTile &tile, Value row, Value rowsLeft) {
  if (!means)
    return x;
  Value meanRow =
      isQuery ? b.divide(row, b.index(problem.geometry.getQueryBlock())).first : tile.entryHead;
  return subtractMean(b, x, means, meanRow, b.index(0), rowsLeft);
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

/// Stores the scales and returns their inverses, one for each group of the warp's rows.
Value ScoreOperand::getInverses(Value x, const TokenTile &tile, Value row) {
  auto [map, count] = getWarpGroups();
  auto groupType = tile::FragmentType::get(b.getContext(), {count, 1}, b.getF32Type(),
                                           type.getLayout().project(map));
  if (source == ScaleSource::Head)
    return b.load(groupType, inverseOfHead, {tile.entryHead});
  Value magnitudes = findMagnitudes(b, x, groupType, map);
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

Value ScoreOperand::quantize(Value x, Value inverses) {
  Value converted = quantizeRows(b, problem, x, inverses, getWarpGroups().first);
  if (!problem.packsNibbles())
    return converted;
  auto packedType = getRowMajor(b, rows, problem.getScoreColumns(), b.getI8Type(), /*vector=*/4);
  return tile::PackNibblesOp::create(b, packedType, converted);
}

/// Row of K's tables for the head that the queries of `tile` read.
Value ScoreOperand::getKeyRow(const TokenTile &tile) {
  Value group = b.divide(space.getHeadCount(), keys.getHeadCount()).first;
  return b.add(b.mul(tile.entry, keys.getHeadCount()), b.divide(tile.head, group).first);
}

/// What centring K takes from the log-sum-exp of the rows `x` of Q.
void ScoreOperand::correctLse(Value x, const TokenTile &tile, Value row) {
  auto rowType = tile::FragmentType::get(b.getContext(), {rows, 1}, b.getF32Type(),
                                         type.getLayout().dropColumns());
  Value correction = getLseCorrection(b, x, keyMean, getKeyRow(tile), softmaxScale, rowType);
  b.when(tile.exists, [&] { b.store(correction, lseCorrection, {row}); });
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

/// Loads come before the wait for statistics, and all warps take part in finding scales, so that
/// tiles that do not exist are only not stored.
void ScoreOperand::emit(Value headRow, Value item) {
  auto [tileOfItem, warp] = b.divide(tile::UnitIdOp::create(b), b.index(warpsOfTile));
  TokenTile tile = getTile(headRow, b.add(b.mul(item, tilesOfItem), tileOfItem));
  Value offset = b.mul(warp, rows), row = b.add(space.getRow(tile), offset);
  Value x = input.load(inputType, tile, offset);
  await(headRow, item);
  if (source != ScaleSource::None) {
    x = b.convert(x, type);
    if (lseCorrection)
      correctLse(x, tile, row);
    x = centre(x, tile, row, b.sub(tile.tokens, b.add(tile.first, offset)));
    if (problem.recipe.rotates())
      x = rotateRows(b, problem, side, x);
    x = quantize(x, getInverses(x, tile, row));
  }
  b.when(tile.exists, [&] { b.store(x, target, {row, b.index(0)}); });
}

} // namespace

std::unique_ptr<PreparationPart> sage::createScoreOperand(ProgramBuilder &program, KernelBuilder &b,
                                                          Side side, Statistics *queryStatistics,
                                                          Statistics *keyStatistics) {
  return std::make_unique<ScoreOperand>(program, b, side, queryStatistics, keyStatistics);
}
