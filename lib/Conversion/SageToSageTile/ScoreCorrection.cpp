// The score correction of smooth Q: what the means of the query blocks contribute to the scores
// (Spec N2), in the units of the softmax (Spec N8).

#include "Preparation.h"
#include "QuantizeRows.h"
#include "QueryTurns.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr int64_t warpsPerBlock = 4;
/// Query blocks of a warp: a lane holds one sum for each of them and of its keys.
constexpr int64_t groupRows = correctionRows;
/// Query blocks of a thread block, at most: three groups for each warp, before which loading K does
/// not count.
constexpr int64_t blockRows = 3 * warpsPerBlock * groupRows;
/// Channels that a lane reads at once, and those of an iteration: loads for one part are in flight
/// while the other is multiplied.
constexpr int64_t laneChannels = 4, stepChannels = 8;
/// Rows of K that a warp centres at once.
constexpr int64_t loadedRows = 8;
/// Rows in shared memory are 16 bytes longer than they need to be: the lanes' rows lie in different
/// banks.
constexpr int64_t paddingChannels = 4;
/// Most bytes of K' in shared memory: three thread blocks fit a multiprocessor of a server's chip.
constexpr int64_t mostSharedBytes = 72 << 10;

/// A thread block takes some keys of one head and query blocks of the heads that read it. It
/// centres the keys once, to shared memory; its warps take groups of query blocks. Lanes own keys
/// and registers own query blocks, so that products are added without a shuffle.
class ScoreCorrection {
public:
  explicit ScoreCorrection(ProgramBuilder &program)
      : program(program), problem(program.getProblem()), columns(problem.getPaddedHeadDim()),
        tileKeys(getTileKeys()),
        b(program.startKernel("score_correction", tile::Unit::Warp, warpsPerBlock)),
        queries(program, b, Side::Query, problem.getQueryPadding()),
        keys(program, b, Side::Key, problem.getKeyTile()), turns(program, b, queries),
        input(program, b, "key", problem.headDim, Symbol::KeyB, Symbol::KeyAlign) {}

  void build();

private:
  using Modes = SmallVector<tile::LayoutMode>;
  /// Query blocks of all heads, [first, end).
  struct Rows {
    Value first, end;
  };

  int64_t getTileKeys();
  tile::FragmentType getFragment(int64_t rows, int64_t columns, Modes lane, Modes reg);
  void addParameters();
  std::pair<TokenTile, Rows> decodeBlock();
  void fill(const TokenTile &tile);
  Value addProducts(Value sums, Value k, Value firstRow, Value channel);
  Value computeSums(Value firstRow);
  std::pair<Value, Value> getQueries(const TokenTile &tile, const Rows &group,
                                     const TokenRange &range);
  Value isWanted(const TokenTile &tile, const Rows &group, const TokenRange &range);
  void takeGroups(const TokenTile &tile, const Rows &rows);

  ProgramBuilder &program;
  const Problem &problem;
  const int64_t columns, tileKeys;
  KernelBuilder b;
  TokenSpace queries, keys;
  QueryTurns turns;
  CallerTensor input;
  Value queryMean, keyMean, correction, scaleLog2e, shared;
  /// Query blocks of a query head, and of all that read one key head.
  Value rowsOfHead, rowsOfKeyHead;
};

/// A whole key tile, or a part of it that fits in shared memory.
int64_t ScoreCorrection::getTileKeys() {
  int64_t most = mostSharedBytes / ((columns + paddingChannels) * 4);
  int64_t parts = 1, tile = problem.getKeyTile();
  while (tile / parts > most || tile % (parts * 32) != 0)
    ++parts;
  return tile / parts;
}

tile::FragmentType ScoreCorrection::getFragment(int64_t rows, int64_t columns, Modes lane,
                                                Modes reg) {
  llvm::erase_if(reg, [](tile::LayoutMode mode) { return mode.size == 1; });
  auto layout =
      tile::LayoutAttr::get(b.getContext(), ArrayRef<tile::LayoutMode>(),
                            ArrayRef<tile::LayoutMode>(lane), ArrayRef<tile::LayoutMode>(reg));
  return tile::FragmentType::get(b.getContext(), {rows, columns}, b.getF32Type(), layout);
}

void ScoreCorrection::addParameters() {
  int64_t block = problem.geometry.getQueryBlock();
  AffineExpr blocks = program.getPaddedQueries().floorDiv(block);
  program.addWorkspace(buffer::scoreCorrection,
                       turns.getTurnBlocks() * program.getPaddedKeys() * 4);
  queryMean = b.addBuffer(buffer::queryMean, b.getTable(columns));
  if (problem.recipe.smoothsKey())
    keyMean = b.addBuffer(buffer::keyMean, b.getTable(columns));
  correction = b.addRows(buffer::scoreCorrection, b.getF32Type(), program.getPaddedKeys());
  scaleLog2e = b.addScale(Problem::log2OfE);
  rowsOfHead = b.addInteger(blocks);
  rowsOfKeyHead = b.addInteger(blocks * program.get(Symbol::Hq).floorDiv(program.get(Symbol::Hkv)));
  shared = tile::AllocOp::create(b, tile::SharedType::get(b.getContext(),
                                                          {tileKeys, columns + paddingChannels},
                                                          b.getF32Type(), 0));
}

/// The keys, and the query blocks of this turn that read them.
std::pair<TokenTile, ScoreCorrection::Rows> ScoreCorrection::decodeBlock() {
  AffineExpr rows = program.getPaddedQueries().floorDiv(problem.geometry.getQueryBlock()) *
                    program.get(Symbol::Hq).floorDiv(program.get(Symbol::Hkv));
  AffineExpr parts = rows.ceilDiv(blockRows);
  auto [item, number] =
      b.divide(tile::BlockIdOp::create(b), b.addInteger(keys.getTilesOfHead(tileKeys)));
  auto [turnHead, part] = b.divide(item, b.addInteger(parts));
  // The first head of a turn begins where the last turn ended.
  Value turnFirst = turns.getFirstBlock();
  Value head = b.add(b.divide(turnFirst, rowsOfKeyHead).first, turnHead);
  Value firstOfHead = b.mul(head, rowsOfKeyHead);
  Value first = arith::MaxSIOp::create(b, firstOfHead, turnFirst);
  first = b.add(first, b.mul(part, blockRows));
  Value end = b.add(first, b.index(blockRows));
  for (Value limit :
       {b.add(firstOfHead, rowsOfKeyHead), b.add(turnFirst, b.addInteger(turns.getTurnBlocks())),
        b.addInteger(program.getKeyHeads() * rows)})
    end = arith::MinSIOp::create(b, end, limit);
  Value last = b.sub(b.addInteger(program.getKeyHeads()), b.index(1));
  TokenTile tile = keys.locate(arith::MinSIOp::create(b, head, last), number, tileKeys);
  return {tile, {first, end}};
}

/// K' of the tile's keys to shared memory.
void ScoreCorrection::fill(const TokenTile &tile) {
  auto inputType = getRowMajor(b, loadedRows, columns, problem.elementType, /*vector=*/8);
  Value warpRow = b.mul(tile::UnitIdOp::create(b), tileKeys / warpsPerBlock);
  SmallVector<std::pair<Value, Value>> parts;
  for (int64_t row = 0; row < tileKeys / warpsPerBlock; row += loadedRows) {
    Value offset = b.add(warpRow, b.index(row));
    parts.push_back({offset, input.load(inputType, tile, offset)});
  }
  for (auto [offset, x] : parts) {
    auto floatType = inputType.withElementType(b.getF32Type());
    x = b.convert(x, floatType);
    if (keyMean)
      x = subtractMean(b, x, loadMean(b, floatType, keyMean, tile.entryHead, b.index(0)),
                       b.sub(tile.tokens, b.add(tile.first, offset)));
    b.store(x, shared, {offset, b.index(0)});
  }
  tile::SyncOp::create(b);
}

/// `sums` plus the products of some channels of the means with those of the keys.
Value ScoreCorrection::addProducts(Value sums, Value k, Value firstRow, Value channel) {
  auto meanType =
      getFragment(groupRows, laneChannels, {{32, 0, 0}}, {{laneChannels, 0, 1}, {groupRows, 1, 0}});
  Value means = b.load(meanType, queryMean, {firstRow, channel});
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  SmallVector<Value> inputs{sums};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  for (int64_t i = 0; i < laneChannels; ++i) {
    AffineExpr ofPart = b.getAffineConstantExpr(i);
    inputs.append({means, k});
    maps.push_back(AffineMap::get(2, 0, {row, ofPart}, b.getContext()));
    maps.push_back(AffineMap::get(2, 0, {column, ofPart}, b.getContext()));
  }
  return b.map(cast<tile::FragmentType>(sums.getType()), inputs, maps, [&](ValueRange e) {
    Value sum = e[0];
    for (int64_t i = 0; i < laneChannels; ++i)
      sum = math::FmaOp::create(b, e[1 + 2 * i], e[2 + 2 * i], sum);
    return sum;
  });
}

Value ScoreCorrection::computeSums(Value firstRow) {
  auto type =
      getFragment(groupRows, tileKeys, {{32, 0, 1}}, {{tileKeys / 32, 0, 32}, {groupRows, 1, 0}});
  auto keyType = getFragment(tileKeys, laneChannels, {{32, 1, 0}},
                             {{laneChannels, 0, 1}, {tileKeys / 32, 32, 0}});
  auto loop = scf::ForOp::create(b, b.index(0), b.index(columns), b.index(stepChannels),
                                 ValueRange{b.splat(type, 0.0f)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    // A multiple, as everybody can see.
    Value step = b.mul(b.divide(loop.getInductionVar(), b.index(stepChannels)).first, stepChannels);
    Value sums = loop.getRegionIterArgs()[0];
    for (int64_t part = 0; part < stepChannels; part += laneChannels) {
      Value channel = b.add(step, b.index(part));
      Value k = b.load(keyType, shared, {b.index(0), channel});
      sums = addProducts(sums, k, firstRow, channel);
    }
    scf::YieldOp::create(b, sums);
  }
  return b.map(type, {loop.getResult(0)},
               [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], scaleLog2e); });
}

/// Which queries of `range` the query blocks of a group hold: [first, end). Groups that hold the
/// end of one head and the beginning of another have all of them.
std::pair<Value, Value> ScoreCorrection::getQueries(const TokenTile &tile, const Rows &group,
                                                    const TokenRange &range) {
  int64_t block = problem.geometry.getQueryBlock();
  auto [firstHead, firstBlock] = b.divide(group.first, rowsOfHead);
  auto [lastHead, lastBlock] = b.divide(b.sub(group.end, b.index(1)), rowsOfHead);
  Value isOneHead = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, firstHead, lastHead);
  firstBlock = arith::SelectOp::create(b, isOneHead, firstBlock, b.index(0));
  lastBlock = arith::SelectOp::create(b, isOneHead, lastBlock, rowsOfHead);
  Value first = b.sub(b.mul(firstBlock, block), range.paddedFirst);
  Value end = b.sub(b.mul(b.add(lastBlock, b.index(1)), block), range.paddedFirst);
  return {arith::MaxSIOp::create(b, first, b.index(0)),
          arith::MinSIOp::create(b, end, range.tokens)};
}

/// Whether a query of the group visits the key tile (Spec N13).
Value ScoreCorrection::isWanted(const TokenTile &tile, const Rows &group, const TokenRange &range) {
  auto isBelow = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
  };
  auto both = [&](Value x, Value y) -> Value { return arith::AndIOp::create(b, x, y); };
  auto [first, end] = getQueries(tile, group, range);
  Value wanted = isBelow(first, end);
  int64_t keyTile = problem.getKeyTile();
  Value firstKey = b.mul(b.divide(tile.first, b.index(keyTile)).first, keyTile);
  Value diagonal = problem.isBottomRight() ? b.sub(tile.tokens, range.tokens) : b.index(0);
  if (std::optional<int64_t> right = problem.getRightBound())
    wanted = both(wanted, isBelow(firstKey, b.add(b.add(end, diagonal), b.index(*right))));
  if (!problem.windowLeft)
    return wanted;
  Value seen = b.sub(b.add(first, diagonal), b.index(problem.windowLeft.getInt()));
  Value inWindow = isBelow(seen, b.add(firstKey, b.index(keyTile)));
  if (problem.sinkTokens)
    inWindow =
        arith::OrIOp::create(b, inWindow, isBelow(firstKey, b.index(problem.sinkTokens.getInt())));
  return both(wanted, inWindow);
}

void ScoreCorrection::takeGroups(const TokenTile &tile, const Rows &rows) {
  // Sequences of all heads are alike.
  TokenRange range = queries.getRange(tile.entry, b.index(0));
  Value column = b.add(tile.paddedFirst, tile.first), turnFirst = turns.getFirstBlock();
  Value groups = b.ceilDivide(b.sub(rows.end, rows.first), groupRows);
  auto loop = scf::ForOp::create(b, tile::UnitIdOp::create(b), groups, b.index(warpsPerBlock));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Rows group;
  group.first = b.add(rows.first, b.mul(loop.getInductionVar(), groupRows));
  group.end = arith::MinSIOp::create(b, b.add(group.first, b.index(groupRows)), rows.end);
  b.when(isWanted(tile, group, range), [&] {
    b.store(computeSums(group.first), correction, {b.sub(group.first, turnFirst), column},
            b.sub(group.end, turnFirst));
  });
}

void ScoreCorrection::build() {
  b.getKernel()->setAttr("blocks_per_multiprocessor", b.getI32IntegerAttr(3));
  addParameters();
  b.awaitGrid(program.overlapsLaunches());
  b.releaseGrid(program.overlapsLaunches());
  auto [tile, rows] = decodeBlock();
  Value hasWork = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rows.first, rows.end);
  if (tile.exists)
    hasWork = arith::AndIOp::create(b, hasWork, tile.exists);
  b.when(hasWork, [&, &tile = tile, &rows = rows] {
    fill(tile);
    takeGroups(tile, rows);
  });
  // Heads that a turn touches; thread blocks of one of them.
  AffineExpr heads = program.getKeyHeads().floorDiv(turns.getCount()) + 2;
  AffineExpr parts = (program.getPaddedQueries().floorDiv(problem.geometry.getQueryBlock()) *
                      program.get(Symbol::Hq).floorDiv(program.get(Symbol::Hkv)))
                         .ceilDiv(blockRows);
  program.startRepeat(turns.getCount());
  program.launch(b, heads * parts * keys.getTilesOfHead(tileKeys));
}

} // namespace

void sage::addScoreCorrection(ProgramBuilder &program) { ScoreCorrection(program).build(); }
