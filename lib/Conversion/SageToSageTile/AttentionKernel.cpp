// The attention kernel: which block computes what, and the loop over key tiles.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

/// Heads whose longest causal tiles start together, so that they share K and V in L2.
static constexpr int64_t causalHeadGroup = 8;

/// Channels of O that are stored at a time.
static constexpr int64_t outputChunk = 64;

static tile::Unit getUnit(const ScheduleAttr &schedule) {
  return schedule.getFamily() == Family::Wgmma ? tile::Unit::Warpgroup : tile::Unit::Warp;
}

AttentionKernel::AttentionKernel(ProgramBuilder &program)
    : AttentionRows(program, "attention", getUnit(program.getProblem().schedule),
                    program.getProblem().schedule.getUnits(),
                    program.getProblem().schedule.getRowsPerUnit()),
      usesTensorMaps(problem.schedule.getCopy() == Copy::Tma), keyTile(problem.getKeyTile()),
      outputColumns(channels + (problem.recipe.getRowSum() == RowSum::Quantized ? sumRows : 0)),
      turns(program, b, querySpace) {}

SmallVector<Value> AttentionKernel::State::getValues() const {
  SmallVector<Value> values{output, maximum};
  if (sum)
    values.push_back(sum);
  return values;
}

AttentionKernel::State AttentionKernel::State::get(ValueRange values) {
  return {values[0], values[1], values.size() > 2 ? values[2] : Value()};
}

/// Which head and query tile the block computes. Neighbouring blocks share a head; masked problems
/// start the longest tiles first, a few heads at a time, or, of a turn, one head after the other.
/// Parts of the keys follow each other.
void AttentionKernel::decodeBlock(bool reload) {
  Value block = tile::BlockIdOp::create(b, reload);
  if (problem.splitsKeys())
    std::tie(part, block) = b.divide(block, b.addInteger(turns.getGrid()));
  Value allHeads, tileIndex;
  bool isMasked = problem.mask != Mask::None;
  if (turns.isRepeated()) {
    if (isMasked)
      block = b.sub(b.addInteger(turns.getGrid() - 1), block);
    std::tie(allHeads, tileIndex) = b.divide(turns.getTile(block), queryTiles);
  } else if (!isMasked) {
    std::tie(allHeads, tileIndex) = b.divide(block, queryTiles);
  } else {
    auto [group, inGroup] = b.divide(block, b.mul(queryTiles, causalHeadGroup));
    Value firstHead = b.mul(group, causalHeadGroup);
    Value headsLeft = b.sub(b.addInteger(program.getQueryHeads()), firstHead);
    auto [reverse, headInGroup] = b.divide(inGroup, minimum(headsLeft, b.index(causalHeadGroup)));
    allHeads = b.add(firstHead, headInGroup);
    tileIndex = b.sub(b.sub(queryTiles, b.index(1)), reverse);
  }
  queries = querySpace.locate(allHeads, tileIndex, problem.getQueryTile());
  Value groupSize = b.addInteger(program.get(Symbol::Hq).floorDiv(program.get(Symbol::Hkv)));
  keys = keySpace.getRange(queries.entry, b.divide(queries.head, groupSize).first);
}

/// Tiles are visited from the last to the first (Spec N7).
AttentionKernel::KeyTile AttentionKernel::locateKeyTile(Value iteration) {
  Value index = b.sub(b.sub(endTile, b.index(1)), iteration);
  if (skippedTiles) {
    Value inWindow = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, iteration, windowTiles);
    index = b.sub(index, arith::SelectOp::create(b, inWindow, b.index(0), skippedTiles));
  }
  KeyTile tile;
  tile.firstToken = b.mul(index, keyTile);
  tile.firstOfHead = b.add(keys.paddedFirst, tile.firstToken);
  tile.firstRow = b.add(keySpace.getRow(keys), tile.firstToken);
  return tile;
}

AttentionKernel::State AttentionKernel::addKeyTile(Value iteration, const State &state) {
  KeyTile tile = locateKeyTile(iteration);
  Value tileScale = readTileScale(tile);
  copyKeys(tile);
  Scores scores = computeScores(iteration, tile, tileScale);
  Maximum maximum = updateMaximum(scores, state.maximum);
  Value probabilities = computeProbabilities(scores, maximum);
  Value sum;
  if (!sumsQuantized())
    sum = addToSum(state.sum, maximum.rescale, probabilities);
  Value packed = packProbabilities(probabilities);
  copyValues(tile);
  return {addProduct(state.output, maximum.rescale, packed), maximum.maximum, sum};
}

void AttentionKernel::finish(const State &state) {
  Type f32 = b.getF32Type();
  // The loop has no registers to spare for what only its end needs.
  decodeBlock(/*reload=*/true);
  Value unitRow = b.mul(tile::UnitIdOp::create(b), unitRows);
  firstUnitQuery = b.add(queries.first, unitRow);
  unitQueryRow = b.add(querySpace.getRow(queries), unitRow);
  RowSums rows{state.maximum, {}};
  if (sumsQuantized()) {
    // All columns of the block of ones hold the same sum.
    Value sums = tile::SliceOp::create(b, getAccumulator(sumRows, f32), state.output, channels);
    rows.sum = b.reduce(tile::ReduceKind::MaximumF, sums, getRow(f32));
  } else {
    rows.sum = b.reduce(tile::ReduceKind::AddF, state.sum, getRow(f32));
  }
  if (!part)
    return storeRows(state, rows);
  Value parts = b.addInteger(program.get(Symbol::Parts));
  Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, parts, b.index(1));
  auto branch = scf::IfOp::create(b, isOne, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  storeRows(state, rows);
  b.setInsertionPointToStart(branch.elseBlock());
  storePart(state, rows);
}

void AttentionKernel::storeRows(const State &state, const RowSums &sums) {
  Normalization rows = normalizeRows(sums);
  // In chunks: beside O there are no registers for the scales of all channels.
  for (int64_t first = 0; first < problem.valueHeadDim; first += outputChunk) {
    Value chunk =
        tile::SliceOp::create(b, getAccumulator(outputChunk, b.getF32Type()), state.output, first);
    Access access;
    if (problem.valueHeadDim < first + outputChunk)
      access.columns = problem.valueHeadDim - first;
    storeOutput(chunk, b.index(first), rows, access);
  }
  if (problem.hasLse)
    storeLse(rows);
}

void AttentionKernel::build() {
  // exp2 and the products round to 2^-22 at best: numbers under 2^-126 do not matter here (Spec
  // N9).
  b.getKernel()->setAttr("flush_denormals", b.getUnitAttr());
  // What sage-tile-apply-schedule reads.
  b.getKernel()->setAttr("sage.recipe", problem.recipe);
  b.getKernel()->setAttr("sage.schedule", problem.schedule);
  addParameters();
  decodeBlock();
  countKeyTiles();
  allocateTiles();
  AffineExpr blocks = turns.getGrid();
  if (problem.splitsKeys())
    blocks = blocks * program.get(Symbol::Parts);
  if (problem.schedule.getPersistent()) {
    Value counter =
        b.addBuffer(buffer::tickets, MemRefType::get({ShapedType::kDynamic}, b.getI32Type()));
    tile::TicketsOp::create(b, counter, b.index(0), b.addInteger(blocks));
  }
  // From here on the workspace is read.
  b.awaitGrid(program.overlapsLaunches());
  prepareQuery();
  State initial{b.splat(getAccumulator(outputColumns, b.getF32Type()), 0.0f),
                b.splat(getRow(b.getF32Type()), -INFINITY),
                sumsQuantized() ? Value() : b.splat(getQuad(), 0.0f)};
  auto loop = scf::ForOp::create(b, b.index(0), tiles, b.index(1), initial.getValues());
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    State next = addKeyTile(loop.getInductionVar(), State::get(loop.getRegionIterArgs()));
    scf::YieldOp::create(b, next.getValues());
  }
  finish(State::get(loop.getResults()));
  program.launch(b, blocks);
  program.endRepeat();
}

void sage::addAttentionKernel(ProgramBuilder &program) { AttentionKernel(program).build(); }
