// Parameters of the attention kernel, its shared tiles, and the copies that fill them.

#include "AttentionKernel.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sage;

static constexpr double log2OfE = 1.4426950408889634;

tile::SharedType AttentionKernel::getShared(int64_t rows, int64_t columns, Type type) {
  int64_t rowBytes = columns * llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
  return tile::SharedType::get(b.getContext(), {rows, columns}, type, rowBytes);
}

/// Quantized Q, K and V: tensor maps where bulk copies read them.
void AttentionKernel::addOperandBuffers() {
  MLIRContext *context = b.getContext();
  Type i8 = b.getI8Type(), e4m3 = Float8E4M3FNType::get(context);
  AffineExpr queryRows = program.getQueryHeads() * program.getPaddedQueries();
  AffineExpr keyRows = program.getKeyHeads() * program.getPaddedKeys();
  if (usesTensorMaps) {
    auto addMap = [&](StringRef name, Type type, AffineExpr rows, AffineExpr columns,
                      int64_t boxRows, int64_t boxColumns) {
      auto symbols = static_cast<unsigned>(Symbol::Count);
      return b.addTensorMap(tile::TensorMapArgAttr::get(
          context, name, type, AffineMap::get(0, symbols, {columns, rows}, context),
          getSymbolMap(columns), {boxColumns, boxRows}, boxColumns));
    };
    AffineExpr width = b.getAffineConstantExpr(channels);
    queryBuffer = addMap(buffer::query, i8, queryRows, width, problem.getQueryTile(), channels);
    keyBuffer = addMap(buffer::key, i8, keyRows, width, keyTile, channels);
    valueBuffer = addMap(buffer::value, e4m3, program.getKeyHeads() * channels,
                         program.getPaddedKeys(), channels, keyTile);
  } else {
    auto rows = MemRefType::get({ShapedType::kDynamic, channels}, i8);
    queryBuffer = b.addBuffer(buffer::query, rows);
    keyBuffer = b.addBuffer(buffer::key, rows);
    valueBuffer = b.addRows(buffer::value, e4m3, program.getPaddedKeys());
  }
}

void AttentionKernel::addParameters() {
  addOperandBuffers();
  auto vector = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  queryScales = b.addBuffer(buffer::queryScales, vector);
  keyScales = b.addBuffer(buffer::keyScales, vector);
  valueScales = b.addBuffer(buffer::valueScales, vector);
  output = b.addTensor("output", problem.elementType, channels, Symbol::OutputB);
  if (problem.hasLse)
    lse = b.addBuffer("lse", vector);
  if (problem.correctsLse())
    lseCorrection = b.addBuffer(buffer::lseCorrection, vector);
  queries = b.addInteger(program.get(Symbol::Nq));
  keys = b.addInteger(program.get(Symbol::Nk));
  queryHeads = b.addInteger(program.get(Symbol::Hq));
  keyHeads = b.addInteger(program.get(Symbol::Hkv));
  if (problem.mask != Mask::None)
    batches = b.addInteger(program.get(Symbol::B));
  queryTiles = b.addInteger(program.get(Symbol::Nq).ceilDiv(problem.getQueryTile()));
  paddedQueries = b.addInteger(program.getPaddedQueries());
  paddedKeys = b.addInteger(program.getPaddedKeys());
  scaleLog2e = b.addScale(log2OfE);
}

void AttentionKernel::allocateTiles() {
  MLIRContext *context = b.getContext();
  Type i8 = b.getI8Type(), e4m3 = Float8E4M3FNType::get(context);
  queryShared = tile::AllocOp::create(b, getShared(problem.getQueryTile(), channels, i8));
  keyShared = tile::AllocOp::create(b, getShared(keyTile, channels, i8));
  keyScalesShared =
      tile::AllocOp::create(b, tile::SharedType::get(context, {keyGroups}, b.getF32Type(), 0));
  valueShared = tile::AllocOp::create(b, getShared(outputColumns, keyTile, e4m3));
  if (!sumsQuantized())
    return;
  Value ones =
      tile::SubtileOp::create(b, getShared(sumRows, keyTile, e4m3), valueShared, b.index(channels));
  tile::FillOp::create(b, FloatAttr::get(e4m3, 1.0), ones);
}

void AttentionKernel::prepareQuery() {
  Type i8 = b.getI8Type();
  Value zero = b.index(0);
  Value firstRow = b.add(b.mul(queryHeadRow, paddedQueries), firstQuery);
  tile::CopyOp::create(b, queryBuffer, ValueRange{firstRow, zero}, queryShared);

  Value unitRow = b.mul(tile::UnitIdOp::create(b), unitRows);
  firstUnitQuery = b.add(firstQuery, unitRow);
  Value unitQuery =
      tile::SubtileOp::create(b, getShared(unitRows, channels, i8), queryShared, unitRow);
  // wgmma reads its A operand from shared memory; mma.sync keeps it in registers for the whole
  // loop.
  queryOperand =
      problem.schedule.getFamily() == Family::Wgmma
          ? unitQuery
          : b.load(getFragment(unitRows, channels, i8,
                               tile::LayoutAttr::operandA8(b.getContext(), warps(), channels)),
                   unitQuery, {zero, zero});
  queryMultiplier = loadQueryMultiplier();
}

void AttentionKernel::copyKeys(const KeyTile &tile) {
  tile::CopyOp::create(b, keyBuffer, ValueRange{tile.firstRow, b.index(0)}, keyShared);
  Value scaleIndex = b.mul(b.divide(tile.firstRow, b.index(keyTile)).first, keyGroups);
  tile::CopyOp::create(b, keyScales, ValueRange{scaleIndex}, keyScalesShared);
}

void AttentionKernel::copyValues(const KeyTile &tile) {
  Value target = valueShared;
  if (sumsQuantized())
    target = tile::SubtileOp::create(
        b, getShared(channels, keyTile, Float8E4M3FNType::get(b.getContext())), valueShared,
        b.index(0));
  tile::CopyOp::create(b, valueBuffer, ValueRange{b.mul(keyHeadRow, channels), tile.firstToken},
                       target);
}
