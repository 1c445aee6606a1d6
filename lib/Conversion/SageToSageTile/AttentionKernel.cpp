// The attention kernel: which block computes what, and the loop over key tiles.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

/// Heads whose longest causal tiles start together, so that they share K and V in L2.
static constexpr int64_t causalHeadGroup = 8;

AttentionKernel::AttentionKernel(ProgramBuilder &program)
    : program(program), problem(program.getProblem()),
      usesTensorMaps(problem.schedule.getCopy() == Copy::Tma),
      unitRows(problem.schedule.getRowsPerUnit()), keyTile(problem.getKeyTile()),
      channels(problem.headDim),
      outputColumns(channels + (problem.recipe.getRowSum() == RowSum::Quantized ? sumRows : 0)),
      b(program.startKernel("attention",
                            problem.schedule.getFamily() == Family::Wgmma ? tile::Unit::Warpgroup
                                                                          : tile::Unit::Warp,
                            problem.schedule.getUnits())) {}

SmallVector<Value> AttentionKernel::State::getValues() const {
  SmallVector<Value> values{output, maximum};
  if (sum)
    values.push_back(sum);
  return values;
}

AttentionKernel::State AttentionKernel::State::get(ValueRange values) {
  return {values[0], values[1], values.size() > 2 ? values[2] : Value()};
}

/// Which head and query tile the block computes. Neighbouring blocks share a head; causal problems
/// start the longest tiles first, a few heads at a time.
void AttentionKernel::decodeBlock(bool reload) {
  Value block = tile::BlockIdOp::create(b, reload);
  Value allHeads, tileIndex;
  if (problem.mask == Mask::None) {
    std::tie(allHeads, tileIndex) = b.divide(block, queryTiles);
  } else {
    auto [group, inGroup] = b.divide(block, b.mul(queryTiles, causalHeadGroup));
    Value firstHead = b.mul(group, causalHeadGroup);
    Value headsLeft = b.sub(b.mul(batches, queryHeads), firstHead);
    auto [reverse, headInGroup] = b.divide(inGroup, minimum(headsLeft, b.index(causalHeadGroup)));
    allHeads = b.add(firstHead, headInGroup);
    tileIndex = b.sub(b.sub(queryTiles, b.index(1)), reverse);
  }
  std::tie(batch, head) = b.divide(allHeads, queryHeads);
  Value groupSize = b.divide(queryHeads, keyHeads).first;
  Value keyHead = b.add(b.mul(batch, keyHeads), b.divide(head, groupSize).first);
  firstQuery = b.mul(tileIndex, problem.getQueryTile());
  queryHeadRow = allHeads;
  keyHeadRow = keyHead;
}

/// Key tiles that some row of the block sees, and how many of them some row does not see whole
/// (Spec N13).
void AttentionKernel::countKeyTiles() {
  Value visibleToLast = keys, visibleToFirst = keys;
  if (problem.mask != Mask::None) {
    causalOffset = problem.mask == Mask::CausalBottomRight ? b.sub(keys, queries) : b.index(0);
    Value endQuery = minimum(b.add(firstQuery, b.index(problem.getQueryTile())), queries);
    visibleToLast = minimum(keys, notNegative(b.add(endQuery, causalOffset)));
    visibleToFirst = minimum(keys, notNegative(b.add(b.add(firstQuery, causalOffset), b.index(1))));
  }
  tiles = b.ceilDivide(visibleToLast, keyTile);
  maskedTiles = b.sub(tiles, b.divide(visibleToFirst, b.index(keyTile)).first);
}

AttentionKernel::State AttentionKernel::addKeyTile(Value iteration, const State &state) {
  // Tiles are visited from the last to the first (Spec N7).
  Value tileIndex = b.sub(b.sub(tiles, b.index(1)), iteration);
  KeyTile tile;
  tile.firstToken = b.mul(tileIndex, keyTile);
  tile.firstRow = b.add(b.mul(keyHeadRow, paddedKeys), tile.firstToken);
  copyKeys(tile);
  Scores scores = computeScores(iteration, tile);
  Maximum maximum = updateMaximum(scores, state.maximum);
  Value probabilities = computeProbabilities(scores, maximum);
  Value sum;
  if (!sumsQuantized())
    sum = addToSum(state.sum, maximum.rescale, probabilities);
  Value packed = packProbabilities(probabilities);
  copyValues(tile);
  return {addProduct(state.output, maximum.rescale, packed), maximum.maximum, sum};
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
  prepareQuery();
  State initial{b.splat(getAccumulator(outputColumns, b.getF32Type()), 0.0f),
                b.splat(getRow(b.getF32Type()), -INFINITY),
                sumsQuantized() ? Value() : b.splat(getGrouped(), 0.0f)};
  auto loop = scf::ForOp::create(b, b.index(0), tiles, b.index(1), initial.getValues());
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    State next = addKeyTile(loop.getInductionVar(), State::get(loop.getRegionIterArgs()));
    scf::YieldOp::create(b, next.getValues());
  }
  finish(State::get(loop.getResults()));
  program.launch(b,
                 program.getQueryHeads() * program.get(Symbol::Nq).ceilDiv(problem.getQueryTile()));
}

void sage::addAttentionKernel(ProgramBuilder &program) { AttentionKernel(program).build(); }

tile::FragmentType AttentionKernel::getFragment(int64_t rows, int64_t columns, Type type,
                                                tile::LayoutAttr layout) {
  return tile::FragmentType::get(b.getContext(), {rows, columns}, type, layout);
}

tile::FragmentType AttentionKernel::getAccumulator(int64_t columns, Type type) {
  return getFragment(unitRows, columns, type,
                     tile::LayoutAttr::accumulator(b.getContext(), warps(), columns));
}

tile::FragmentType AttentionKernel::getRow(Type type) {
  return getFragment(unitRows, 1, type, tile::LayoutAttr::accumulatorRow(b.getContext(), warps()));
}

tile::FragmentType AttentionKernel::getGrouped() {
  return getFragment(unitRows, keyGroups, b.getF32Type(),
                     tile::LayoutAttr::accumulatorQuad(b.getContext(), warps()));
}

AffineMap AttentionKernel::toRow() {
  return AffineMap::get(2, 0, {b.getAffineDimExpr(0), b.getAffineConstantExpr(0)}, b.getContext());
}

AffineMap AttentionKernel::toColumn() {
  return AffineMap::get(2, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(1)}, b.getContext());
}

Value AttentionKernel::minimum(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }

Value AttentionKernel::notNegative(Value x) { return arith::MaxSIOp::create(b, x, b.index(0)); }
