// Parameters of the attention kernel, its shared tiles, and the copies that fill them.

#include "AttentionKernel.h"

#include "sage/Dialect/Sage/IR/Panels.h"

using namespace mlir;
using namespace sage;

static int64_t getBytes(Type type) { return type.getIntOrFloatBitWidth() / 8; }

tile::SharedType AttentionKernel::getShared(int64_t rows, int64_t columns, Type type) {
  return tile::SharedType::get(b.getContext(), {rows, columns}, type, columns * getBytes(type));
}

AttentionKernel::Panels AttentionKernel::getPanels(Type type, ArrayRef<int64_t> widths) {
  Panels panels;
  int64_t first = 0;
  for (int64_t width : widths) {
    panels.push_back({first, width / getBytes(type), Value(), Value()});
    first += panels.back().columns;
  }
  return panels;
}

/// A matrix of the workspace, in panels of columns of the given widths in bytes: a tensor map for
/// each width where bulk copies read it. One copy moves `boxRows` rows.
AttentionKernel::Panels AttentionKernel::addPanels(StringRef name, Type type, AffineExpr rows,
                                                   AffineExpr columns, int64_t boxRows,
                                                   ArrayRef<int64_t> widths) {
  MLIRContext *context = b.getContext();
  llvm::SmallDenseMap<int64_t, Value> sources;
  auto addSource = [&](int64_t width) -> Value {
    if (usesTensorMaps) {
      auto symbols = static_cast<unsigned>(Symbol::Count);
      return b.addTensorMap(tile::TensorMapArgAttr::get(
          context, name, type, AffineMap::get(0, symbols, {columns, rows}, context),
          getSymbolMap(columns * getBytes(type)), {width / getBytes(type), boxRows}, width));
    }
    if (auto constant = dyn_cast<AffineConstantExpr>(columns))
      return b.addBuffer(name, MemRefType::get({ShapedType::kDynamic, constant.getValue()}, type));
    return b.addRows(name, type, columns);
  };
  Panels panels = getPanels(type, widths);
  for (auto [panel, width] : llvm::zip_equal(panels, widths)) {
    Value &source = sources[usesTensorMaps ? width : 0];
    if (!source)
      source = addSource(width);
    panel.source = source;
  }
  return panels;
}

void AttentionKernel::addOperandBuffers() {
  Type scoreType = problem.getScoreType(), valueType = problem.getValueType();
  AffineExpr width = b.getAffineConstantExpr(problem.getScoreColumns());
  SmallVector<int64_t> scorePanels = splitInPanels(problem.getScoreRowBytes());
  if (problem.quantizesQueryInKernel())
    query = getPanels(scoreType, scorePanels);
  else
    query =
        addPanels(buffer::query, scoreType, program.getQueryHeads() * program.getPaddedQueries(),
                  width, problem.getQueryTile(), scorePanels);
  key = addPanels(buffer::key, scoreType, program.getKeyHeads() * program.getPaddedKeys(), width,
                  keyTile, scorePanels);
  // An interval of promotions ends where a panel does (Spec R3).
  int64_t bytes = getBytes(valueType);
  value =
      addPanels(buffer::value, valueType, program.getKeyHeads() * channels, program.getPaddedKeys(),
                channels, splitInPanels(keyTile * bytes, problem.recipe.getInterval() * bytes));
}

void AttentionKernel::addParameters() {
  addOperandBuffers();
  const RecipeAttr &recipe = problem.recipe;
  MemRefType vector = b.getVector();
  if (recipe.quantizesScores())
    keyScales = b.addBuffer(buffer::keyScales, vector);
  if (problem.quantizesQueryInKernel())
    queryInput.emplace(program, b, "query", problem.headDim, Symbol::QueryB, Symbol::QueryAlign);
  else if (recipe.quantizesScores())
    queryScales = b.addBuffer(buffer::queryScales, vector);
  if (recipe.smoothsQuery())
    scoreCorrection = b.addBuffer(buffer::scoreCorrection, vector);
  addOutputParameters();
  if (queryInput && lseCorrection) {
    program.addWorkspace(buffer::lseCorrection,
                         program.getQueryHeads() * program.getPaddedQueries() * 4);
    keyMean = b.addBuffer(buffer::keyMean, b.getTable(problem.getPaddedHeadDim()));
    softmaxScale = b.addScale(1.0);
  }
  if (problem.splitsKeys())
    partBuffers = addPartBuffers();
  if (problem.bias)
    bias = b.addStrided("bias", problem.bias,
                        {Symbol::BiasB, Symbol::BiasH, Symbol::BiasQ, Symbol::BiasK});
  queryTiles = b.addInteger(querySpace.getTilesOfHead(problem.getQueryTile()));
  scaleLog2e = b.addScale(log2OfE);
}

//===----------------------------------------------------------------------===//
// Shared tiles
//===----------------------------------------------------------------------===//

void AttentionKernel::allocateTiles() {
  Type scoreType = problem.getScoreType();
  for (Panel &panel : query)
    panel.tile =
        tile::AllocOp::create(b, getShared(problem.getQueryTile(), panel.columns, scoreType));
  for (Panel &panel : key)
    panel.tile = tile::AllocOp::create(b, getShared(keyTile, panel.columns, scoreType));
  auto allocateVector = [&](int64_t size) -> Value {
    return tile::AllocOp::create(b,
                                 tile::SharedType::get(b.getContext(), {size}, b.getF32Type(), 0));
  };
  // A scale of a whole tile is read where it is: a copy moves 16 bytes at least.
  if (getTileScales() > 1)
    keyScalesShared = allocateVector(getTileScales());
  if (scoreCorrection)
    correctionShared = allocateVector(keyTile);
  allocateValues();
}

void AttentionKernel::allocateValues() {
  Type type = problem.getValueType();
  for (Panel &panel : value) {
    panel.tile = tile::AllocOp::create(b, getShared(outputColumns, panel.columns, type));
    if (!sumsQuantized())
      continue;
    Value ones = tile::SubtileOp::create(b, getShared(sumRows, panel.columns, type), panel.tile,
                                         b.index(channels));
    tile::FillOp::create(b, FloatAttr::get(type, 1.0), ones);
  }
}

//===----------------------------------------------------------------------===//
// Copies of a key tile
//===----------------------------------------------------------------------===//

void AttentionKernel::copyKeys(const KeyTile &tile) {
  for (const Panel &panel : key)
    tile::CopyOp::create(b, panel.source, ValueRange{tile.firstRow, b.index(panel.first)},
                         panel.tile);
  if (keyScalesShared) {
    Value first = b.mul(b.divide(tile.firstRow, b.index(keyTile)).first, getTileScales());
    tile::CopyOp::create(b, keyScales, ValueRange{first}, keyScalesShared);
  }
  if (correctionShared) {
    Value block =
        b.divide(querySpace.getRow(queries), b.index(problem.geometry.getQueryBlock())).first;
    Value row = b.sub(block, turns.getFirstBlock());
    Value first = b.add(b.mul(row, b.addInteger(program.getPaddedKeys())), tile.firstOfHead);
    tile::CopyOp::create(b, scoreCorrection, ValueRange{first}, correctionShared);
  }
}

void AttentionKernel::copyValues(const KeyTile &tile) {
  Value firstRow = b.mul(keys.headRow, channels);
  for (const Panel &panel : value) {
    Value target = panel.tile;
    if (sumsQuantized())
      target = tile::SubtileOp::create(
          b, getShared(channels, panel.columns, problem.getValueType()), panel.tile, b.index(0));
    Value column =
        panel.first == 0 ? tile.firstOfHead : b.add(tile.firstOfHead, b.index(panel.first));
    tile::CopyOp::create(b, panel.source, ValueRange{firstRow, column}, target);
  }
}
