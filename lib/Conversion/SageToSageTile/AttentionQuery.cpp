// Q of a tile of queries: copied as the preparation left it, or quantized here from the caller's
// tensor (Spec N3, N4).

#include "AttentionKernel.h"
#include "QuantizeRows.h"

using namespace mlir;
using namespace sage;

/// mma.sync keeps Q in registers for the whole loop, where it takes no more than 16 and O no more
/// than 64; else, and for wgmma, products read it from shared memory.
bool AttentionKernel::keepsQueryInRegisters() const {
  return !isWgmma() && problem.getScoreRowBytes() <= 128 && channels <= 128;
}

void AttentionKernel::prepareQuery() {
  Value firstRow = querySpace.getRow(queries);
  if (queryInput)
    queryInput->prefetch(queries, problem.getQueryTile());
  else
    for (const Panel &panel : query)
      tile::CopyOp::create(b, panel.source, ValueRange{firstRow, b.index(panel.first)}, panel.tile);

  Type type = problem.getScoreType();
  Value unitRow = b.mul(tile::UnitIdOp::create(b), unitRows);
  firstUnitQuery = b.add(queries.first, unitRow);
  unitQueryRow = b.add(firstRow, unitRow);
  for (const Panel &panel : query) {
    Value operand =
        tile::SubtileOp::create(b, getShared(unitRows, panel.columns, type), panel.tile, unitRow);
    if (keepsQueryInRegisters())
      operand = b.load(getOperand(panel.columns, type), operand, {b.index(0), b.index(0)});
    queryOperands.push_back(operand);
  }
  queryInput ? quantizeQuery(unitRow) : loadQueryScales();
  // A soft cap needs whole scores, with what centring K took away (Spec N14).
  if (problem.softcap && lseCorrection)
    rowCorrection = loadRowCorrection();
}

/// (row, column) -> (group of the row among those of the unit, 0) (Spec N3).
AffineMap AttentionKernel::getQueryGroup() {
  ScaleGroups groups = problem.getQueryGroups();
  AffineExpr row = b.getAffineDimExpr(0);
  AffineExpr group = row.floorDiv(groups.tokens) * groups.groups + row % groups.groups;
  return AffineMap::get(2, 0, {group, b.getAffineConstantExpr(0)}, b.getContext());
}

/// Each unit its own rows, in the layout of an operand: a quad of lanes holds whole groups, and the
/// factors end where the scores of their rows will be.
void AttentionKernel::quantizeQuery(Value unitRow) {
  auto layout = tile::LayoutAttr::operandA8(b.getContext(), warps(), problem.getPaddedHeadDim());
  auto type = getFragment(unitRows, problem.getPaddedHeadDim(), b.getF32Type(), layout);
  Value x = queryInput->load(type.withElementType(problem.elementType), queries, unitRow);
  x = b.convert(x, type);
  if (lseCorrection) {
    Value mean = loadMean(b, type, keyMean, keys.entryHead, b.index(0));
    Value correction = getLseCorrection(b, x, mean, softmaxScale, getRow(b.getF32Type()));
    b.store(correction, lseCorrection, {unitQueryRow}, {}, toRowIndex());
  }
  if (problem.recipe.rotates())
    x = rotateRows(b, problem, Side::Query, x);

  AffineMap groupOfRow = getQueryGroup();
  ScaleGroups groups = problem.getQueryGroups();
  auto groupType = getFragment(unitRows / groups.tokens * groups.groups, 1, b.getF32Type(),
                               layout.project(groupOfRow));
  Value magnitudes = findMagnitudes(b, x, groupType, groupOfRow);
  magnitudes = clipMagnitudes(b, problem, Side::Query, magnitudes);
  float range = problem.recipe.getScoreRange();
  Value inverses = getScales(b, magnitudes, range, /*inverse=*/true);
  Value quantized = quantizeRows(b, problem, x, inverses, groupOfRow);
  for (auto [operand, panel] : llvm::zip_equal(queryOperands, query)) {
    Value slice = quantized;
    if (query.size() > 1)
      slice = tile::SliceOp::create(b, getOperand(panel.columns, problem.getScoreType()), quantized,
                                    panel.first);
    b.store(slice, operand, {b.index(0), b.index(0)});
  }
  // Products read the rows of all warps of the unit.
  tile::SyncOp::create(b, /*unit=*/true);
  setQueryScales(getScales(b, magnitudes, range, /*inverse=*/false), groupOfRow);
}

/// What the preparation found.
void AttentionKernel::loadQueryScales() {
  auto rowType = getRow(b.getF32Type());
  if (!problem.recipe.quantizesScores()) {
    headMultiplier = tile::SplatOp::create(b, rowType, scaleLog2e);
    return;
  }
  ScaleGroups groups = problem.getQueryGroups();
  AffineExpr offset = b.getAffineConstantExpr(0);
  Value first = queries.entryHead;
  if (!groups.coversHead()) {
    offset = getQueryGroup().getResult(0);
    first = b.mul(b.divide(unitQueryRow, b.index(groups.tokens)).first, groups.groups);
  }
  AffineMap map = AffineMap::get(2, 0, {offset}, b.getContext());
  setQueryScales(b.load(rowType, queryScales, {first}, {}, map), b.getMultiDimIdentityMap(2));
}

/// One factor per row: its query scale, which `map` finds, the softmax scale and log2 e.
void AttentionKernel::setQueryScales(Value scales, AffineMap map) {
  queryMultiplier = b.map(getRow(b.getF32Type()), {scales}, {map}, [&](ValueRange x) -> Value {
    return arith::MulFOp::create(b, x[0], scaleLog2e);
  });
  if (problem.getKeyGroups().coversHead())
    headMultiplier = combineScales(b.load(getColumns(1), keyScales, {keys.entryHead}));
}
