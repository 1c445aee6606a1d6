// Q and K as the attention kernel reads them: centred, quantized or copied, padded; their scales;
// the correction of the log-sum-exp.

#include "Preparation.h"

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
  /// All warps of the thread block, through shared memory.
  Block
};

class ScoreOperand {
public:
  ScoreOperand(ProgramBuilder &program, Side side)
      : program(program), problem(program.getProblem()), isQuery(side == Side::Query),
        groups(isQuery ? problem.getQueryGroups() : problem.getKeyGroups()), source(getSource()),
        warps(source == ScaleSource::Block ? groups.tokens / rows : warpsPerBlock),
        b(program.startKernel(isQuery ? "quantize_query" : "quantize_key", tile::Unit::Warp,
                              warps)),
        space(program, b, side, isQuery ? problem.getQueryPadding() : problem.getKeyTile()),
        input(program, b, isQuery ? "query" : "key", problem.headDim,
              isQuery ? Symbol::QueryB : Symbol::KeyB,
              isQuery ? Symbol::QueryAlign : Symbol::KeyAlign),
        inputType(
            getRowMajor(b, rows, problem.getPaddedHeadDim(), problem.elementType, /*vector=*/8)),
        type(inputType.withElementType(b.getF32Type())) {
    addBuffers();
  }

  void build();

private:
  static constexpr int64_t rows = Problem::warpRows;

  ScaleSource getSource() const;
  void addBuffers();
  void process(const TokenTile &tile, Value offset);
  Value centre(Value x, const TokenTile &tile, Value row, Value rowsLeft);
  std::pair<AffineMap, int64_t> getWarpGroups();
  Value getInverses(Value x, const TokenTile &tile, Value row);
  Value joinWarps(Value magnitudes);
  Value quantize(Value x, Value inverses);
  void correctLse(Value x, const TokenTile &tile, Value row);

  ProgramBuilder &program;
  const Problem &problem;
  const bool isQuery;
  const ScaleGroups groups;
  const ScaleSource source;
  const int64_t warps;
  KernelBuilder b;
  TokenSpace space;
  CallerTensor input;
  tile::FragmentType inputType, type;
  Value target, scales, inverseOfHead, means, keyMean, lseCorrection, softmaxScale, keyHeads;
};

ScaleSource ScoreOperand::getSource() const {
  if (!problem.recipe.quantizesScores())
    return ScaleSource::None;
  if (groups.coversHead())
    return ScaleSource::Head;
  bool isWarp = groups.tokens <= rows || problem.recipe.getGranularity() == Granularity::PerToken;
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
    keyHeads = b.addInteger(program.get(Symbol::Hkv));
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

/// The largest magnitudes of the block's groups, of which every warp has seen some rows.
Value ScoreOperand::joinWarps(Value magnitudes) {
  auto groupType = cast<tile::FragmentType>(magnitudes.getType());
  Value shared = tile::AllocOp::create(
      b, tile::SharedType::get(b.getContext(), {warps, groupType.getRows()}, b.getF32Type(), 0));
  Value zero = b.index(0);
  AffineExpr group = b.getAffineDimExpr(0);
  auto inRow = [&](int64_t row) {
    return AffineMap::get(2, 0, {b.getAffineConstantExpr(row), group}, b.getContext());
  };
  b.store(magnitudes, shared, {tile::UnitIdOp::create(b), zero}, {}, inRow(0));
  tile::SyncOp::create(b);
  SmallVector<Value> ofWarps;
  for (int64_t warp = 0; warp < warps; ++warp)
    ofWarps.push_back(b.load(groupType, shared, {zero, zero}, {}, inRow(warp)));
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
  Value magnitudes =
      b.map(type, {x}, [&](ValueRange e) -> Value { return math::AbsFOp::create(b, e[0]); });
  magnitudes = b.reduce(tile::ReduceKind::MaximumF, magnitudes, groupType, map);
  Value isWriter;
  int64_t groupTokens = rows;
  if (source == ScaleSource::Block) {
    magnitudes = joinWarps(magnitudes);
    isWriter =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, tile::UnitIdOp::create(b), b.index(0));
    groupTokens = groups.tokens;
  }
  float range = problem.recipe.getScoreRange();
  Value scale = getScales(b, magnitudes, range, /*inverse=*/false);
  Value index = b.mul(b.divide(row, b.index(groupTokens)).first, count);
  b.when(isWriter, [&] { b.store(scale, scales, {index}); });
  return getScales(b, magnitudes, range, /*inverse=*/true);
}

Value ScoreOperand::quantize(Value x, Value inverses) {
  float range = problem.recipe.getScoreRange();
  bool limits = problem.recipe.getQk() == ScoreType::Int4;
  Value scaled = b.map(type, {x, inverses}, {b.getMultiDimIdentityMap(2), getWarpGroups().first},
                       [&](ValueRange e) -> Value {
                         Value product = arith::MulFOp::create(b, e[0], e[1]);
                         if (!limits)
                           return product;
                         // Only where an inverse overflows; conversion limits 8-bit integers.
                         product = arith::MinimumFOp::create(b, product, b.f32(range));
                         return arith::MaximumFOp::create(b, product, b.f32(-range));
                       });
  Value converted = b.convert(scaled, type.withElementType(problem.getScoreType()));
  if (!problem.packsNibbles())
    return converted;
  auto packedType = getRowMajor(b, rows, problem.getScoreColumns(), b.getI8Type(), /*vector=*/4);
  return tile::PackNibblesOp::create(b, packedType, converted);
}

/// scale · Σ Q·kmean, in float32 (Spec N12).
void ScoreOperand::correctLse(Value x, const TokenTile &tile, Value row) {
  Value group = b.divide(space.getHeadCount(), keyHeads).first;
  Value meanRow = b.add(b.mul(tile.entry, keyHeads), b.divide(tile.head, group).first);
  auto meanType = tile::FragmentType::get(b.getContext(), {1, type.getColumns()}, b.getF32Type(),
                                          type.getLayout().dropRows());
  auto dotType = tile::FragmentType::get(b.getContext(), {rows, 1}, b.getF32Type(),
                                         type.getLayout().dropColumns());
  Value products =
      b.map(type, {x, b.load(meanType, keyMean, {meanRow, b.index(0)})},
            [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  Value dots = b.reduce(tile::ReduceKind::AddF, products, dotType);
  Value scaled = b.map(dotType, {dots}, [&](ValueRange e) -> Value {
    return arith::MulFOp::create(b, e[0], softmaxScale);
  });
  b.store(scaled, lseCorrection, {row});
}

/// The rows of one warp, `offset` tokens into the tile.
void ScoreOperand::process(const TokenTile &tile, Value offset) {
  Value row = b.add(space.getRow(tile), offset);
  Value loaded = input.load(inputType, tile, offset);
  if (source == ScaleSource::None)
    return b.store(loaded, target, {row, b.index(0)});
  Value x = b.convert(loaded, type);
  if (lseCorrection)
    correctLse(x, tile, row);
  Value rowsLeft = b.sub(tile.tokens, b.add(tile.first, offset));
  x = centre(x, tile, row, rowsLeft);
  b.store(quantize(x, getInverses(x, tile, row)), target, {row, b.index(0)});
}

void ScoreOperand::build() {
  Value block = tile::BlockIdOp::create(b), unit = tile::UnitIdOp::create(b);
  if (source == ScaleSource::Block) {
    TokenTile tile = space.decode(block, groups.tokens);
    b.when(tile.exists, [&] { process(tile, b.mul(unit, rows)); });
    return program.launch(b, space.getTiles(groups.tokens));
  }
  TokenTile tile = space.decode(b.add(b.mul(block, warps), unit), rows, /*isChecked=*/true);
  b.when(tile.exists, [&] { process(tile, b.index(0)); });
  program.launch(b, space.getTiles(rows).ceilDiv(warps));
}

} // namespace

void sage::addScoreOperand(ProgramBuilder &program, Side side) {
  ScoreOperand(program, side).build();
}
