// The score correction of smooth Q: what the means of the query blocks contribute to the scores
// (Spec N2).

#include "Preparation.h"
#include "QueryTurns.h"

using namespace mlir;
using namespace sage;

namespace {

/// Query blocks of a warp: a lane holds one sum for each of them and of its keys.
constexpr int64_t blockRows = 16;
/// Channels of K that a lane loads at once, and of the means.
constexpr int64_t keyChannels = 8, meanChannels = 4;

/// Warps of a thread block, which work apart.
constexpr int64_t warpsPerBlock = 4;

/// A warp takes some keys of one head and some query blocks of one head that reads it. Lanes own
/// keys and registers own query blocks, so that products are added without a shuffle.
class ScoreCorrection {
public:
  explicit ScoreCorrection(ProgramBuilder &program)
      : program(program), problem(program.getProblem()),
        tileKeys(problem.getKeyTile() % 64 == 0 ? 64 : 32),
        b(program.startKernel("score_correction", tile::Unit::Warp, warpsPerBlock)),
        queries(program, b, Side::Query, problem.getQueryPadding()),
        keys(program, b, Side::Key, problem.getKeyTile()), turns(program, b, queries),
        input(program, b, "key", problem.headDim, Symbol::KeyB, Symbol::KeyAlign) {}

  void build();

private:
  using Modes = SmallVector<tile::LayoutMode>;

  tile::FragmentType getFragment(int64_t rows, int64_t columns, Type type, Modes lane, Modes reg) {
    llvm::erase_if(reg, [](tile::LayoutMode mode) { return mode.size == 1; });
    auto layout =
        tile::LayoutAttr::get(b.getContext(), ArrayRef<tile::LayoutMode>(),
                              ArrayRef<tile::LayoutMode>(lane), ArrayRef<tile::LayoutMode>(reg));
    return tile::FragmentType::get(b.getContext(), {rows, columns}, type, layout);
  }
  Value loadKeys(const TokenTile &tile, Value channel);
  Value addProducts(Value sums, Value k, int64_t firstColumn, Value firstRow, Value endRow,
                    Value channel);
  Value computeSums(const TokenTile &tile, Value firstRow, Value endRow);
  Value isWanted(const TokenTile &tile, Value firstBlock, Value endBlock);

  ProgramBuilder &program;
  const Problem &problem;
  const int64_t tileKeys;
  KernelBuilder b;
  TokenSpace queries, keys;
  QueryTurns turns;
  CallerTensor input;
  Value queryMean, keyMean, correction;
};

/// K' of the tile's keys, some channels from `channel` on.
Value ScoreCorrection::loadKeys(const TokenTile &tile, Value channel) {
  auto inputType = getFragment(tileKeys, keyChannels, problem.elementType, {{32, 1, 0}},
                               {{keyChannels, 0, 1}, {tileKeys / 32, 32, 0}});
  auto type = inputType.withElementType(b.getF32Type());
  Value k = b.convert(input.load(inputType, tile, b.index(0), channel), type);
  if (!keyMean)
    return k;
  auto meanType = tile::FragmentType::get(b.getContext(), {1, keyChannels}, b.getF32Type(),
                                          type.getLayout().dropRows());
  Value mean = b.load(meanType, keyMean, {tile.entryHead, channel});
  return b.map(type, {k, mean},
               [&](ValueRange e) -> Value { return arith::SubFOp::create(b, e[0], e[1]); });
}

/// `sums` plus the products of the means' channels from `channel` on with columns of `k`.
Value ScoreCorrection::addProducts(Value sums, Value k, int64_t firstColumn, Value firstRow,
                                   Value endRow, Value channel) {
  auto meanType = getFragment(blockRows, meanChannels, b.getF32Type(), {{32, 0, 0}},
                              {{meanChannels, 0, 1}, {blockRows, 1, 0}});
  Value means = b.load(meanType, queryMean, {firstRow, channel}, endRow);
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  SmallVector<Value> inputs{sums};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  for (int64_t i = 0; i < meanChannels; ++i) {
    inputs.append({means, k});
    maps.push_back(AffineMap::get(2, 0, {row, b.getAffineConstantExpr(i)}, b.getContext()));
    maps.push_back(
        AffineMap::get(2, 0, {column, b.getAffineConstantExpr(firstColumn + i)}, b.getContext()));
  }
  return b.map(cast<tile::FragmentType>(sums.getType()), inputs, maps, [&](ValueRange e) {
    Value sum = e[0];
    for (int64_t i = 0; i < meanChannels; ++i)
      sum = math::FmaOp::create(b, e[1 + 2 * i], e[2 + 2 * i], sum);
    return sum;
  });
}

Value ScoreCorrection::computeSums(const TokenTile &tile, Value firstRow, Value endRow) {
  auto type = getFragment(blockRows, tileKeys, b.getF32Type(), {{32, 0, 1}},
                          {{tileKeys / 32, 0, 32}, {blockRows, 1, 0}});
  auto loop = scf::ForOp::create(b, b.index(0), b.index(problem.headDim), b.index(keyChannels),
                                 ValueRange{b.splat(type, 0.0f)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value channel = b.mul(b.divide(loop.getInductionVar(), b.index(keyChannels)).first, keyChannels);
  Value k = loadKeys(tile, channel);
  Value sums = loop.getRegionIterArgs()[0];
  for (int64_t column = 0; column < keyChannels; column += meanChannels)
    sums = addProducts(sums, k, column, firstRow, endRow, b.add(channel, b.index(column)));
  scf::YieldOp::create(b, sums);
  return loop.getResult(0);
}

/// Whether the tile has keys, and blocks [firstBlock, endBlock) of the head are of its sequence.
Value ScoreCorrection::isWanted(const TokenTile &tile, Value firstBlock, Value endBlock) {
  if (!problem.isPacked)
    return tile.exists;
  int64_t block = problem.geometry.getQueryBlock();
  Value first = queries.findSequence(firstBlock, block);
  Value last = queries.findSequence(b.sub(endBlock, b.index(1)), block);
  Value fromFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, tile.entry, first);
  Value toLast = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, tile.entry, last);
  Value inRange = arith::AndIOp::create(b, fromFirst, toLast);
  return arith::AndIOp::create(b, tile.exists, inRange);
}

void ScoreCorrection::build() {
  int64_t block = problem.geometry.getQueryBlock();
  AffineExpr turnBlocks = turns.getTurnBlocks();
  AffineExpr blocksOfHead = program.getPaddedQueries().floorDiv(block);
  program.addWorkspace(buffer::scoreCorrection, turnBlocks * program.getPaddedKeys() * 4);
  queryMean = b.addBuffer(buffer::queryMean, getTable(b, problem.getPaddedHeadDim()));
  if (problem.recipe.smoothsKey())
    keyMean = b.addBuffer(buffer::keyMean, getTable(b, problem.getPaddedHeadDim()));
  correction = b.addRows(buffer::scoreCorrection, b.getF32Type(), program.getPaddedKeys());

  b.awaitGrid(program.overlapsLaunches());
  b.releaseGrid(program.overlapsLaunches());

  // Heads that a turn touches, the first one from where the last turn ended; groups of their
  // blocks; key tiles.
  AffineExpr groups = blocksOfHead.ceilDiv(blockRows);
  AffineExpr heads = program.getQueryHeads().floorDiv(turns.getCount()) + 2;
  AffineExpr tiles = keys.getTilesOfHead(tileKeys);
  AffineExpr work = heads * groups * tiles;
  Value index = b.add(b.mul(tile::BlockIdOp::create(b), warpsPerBlock), tile::UnitIdOp::create(b));
  auto [item, keyTile] = b.divide(index, b.addInteger(tiles));
  auto [turnHead, group] = b.divide(item, b.addInteger(groups));
  Value headBlocks = b.addInteger(blocksOfHead);
  Value turnFirst = turns.getFirstBlock();
  auto [firstHead, blockInHead] = b.divide(turnFirst, headBlocks);
  Value head = b.add(firstHead, turnHead);
  Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, turnHead, b.index(0));
  Value start = arith::SelectOp::create(b, isFirst, blockInHead, b.index(0));
  Value headRow = b.mul(head, headBlocks);
  Value firstRow = b.add(headRow, b.add(start, b.mul(group, blockRows)));
  Value turnEnd = b.add(turnFirst, b.addInteger(turnBlocks));
  Value endRow = arith::MinSIOp::create(b, b.add(headRow, headBlocks), turnEnd);
  endRow = arith::MinSIOp::create(b, endRow, b.addInteger(program.getQueryHeads() * blocksOfHead));
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, firstRow, endRow);
  b.when(exists, [&] {
    auto [batch, headInBatch] = b.divide(head, queries.getHeadCount());
    Value shared = b.divide(queries.getHeadCount(), keys.getHeadCount()).first;
    Value keyHead = b.add(b.mul(batch, keys.getHeadCount()), b.divide(headInBatch, shared).first);
    TokenTile tile = keys.locate(keyHead, keyTile, tileKeys);
    b.when(isWanted(tile, b.sub(firstRow, headRow), b.sub(endRow, headRow)), [&] {
      Value sums = computeSums(tile, firstRow, endRow);
      b.store(sums, correction, {b.sub(firstRow, turnFirst), b.add(tile.paddedFirst, tile.first)},
              b.sub(endRow, turnFirst));
    });
  });
  program.startRepeat(turns.getCount());
  program.launch(b, work.ceilDiv(warpsPerBlock));
}

} // namespace

void sage::addScoreCorrection(ProgramBuilder &program) { ScoreCorrection(program).build(); }
