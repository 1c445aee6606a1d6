// The attention kernel as a sequential program of one thread block: copies are synchronous,
// products add into O.

#include "ProgramBuilder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr float log2Of448 = 8.807354922057604f;
constexpr double log2OfE = 1.4426950408889634;
/// Lanes of a quad: scale groups of a key tile.
constexpr int64_t keyGroups = 4;
/// Rows of ones below V's channels, so that the tensor core adds the row sums: the width of one n8
/// block.
constexpr int64_t sumRows = 8;
/// Heads whose longest causal tiles start together, so that they share K and V in L2.
constexpr int64_t causalHeadGroup = 8;

class AttentionKernel {
public:
  explicit AttentionKernel(ProgramBuilder &program)
      : program(program), problem(program.getProblem()),
        usesTensorMaps(problem.schedule.getCopy() == Copy::Tma),
        unitRows(problem.schedule.getRowsPerUnit()), keyTile(problem.getKeyTile()),
        channels(problem.headDim),
        outputColumns(channels + (problem.recipe.getRowSum() == RowSum::Quantized ? sumRows : 0)),
        b(program.startKernel("attention",
                              problem.schedule.getFamily() == Family::Wgmma ? tile::Unit::Warpgroup
                                                                            : tile::Unit::Warp,
                              problem.schedule.getUnits())) {}

  void build();

private:
  struct State {
    Value output, maximum, sum;
    SmallVector<Value> getValues() const {
      SmallVector<Value> values{output, maximum};
      if (sum)
        values.push_back(sum);
      return values;
    }
    static State get(ValueRange values) {
      return {values[0], values[1], values.size() > 2 ? values[2] : Value()};
    }
  };

  bool sumsQuantized() const { return outputColumns != channels; }
  void addParameters();
  void decodeBlock(bool reload = false);

  void countKeyTiles();
  void prepareQuery();
  State addKeyTile(Value iteration, const State &state);
  Value maskPositions(Value x, Value keyStart);
  void finish(const State &state);

  tile::FragmentType getFragment(int64_t rows, int64_t columns, Type type,
                                 tile::LayoutAttr layout) {
    return tile::FragmentType::get(b.getContext(), {rows, columns}, type, layout);
  }
  /// Scores, probabilities, outputs: `columns` columns of the accumulator.
  tile::FragmentType getAccumulator(int64_t columns, Type type) {
    return getFragment(unitRows, columns, type,
                       tile::LayoutAttr::accumulator(b.getContext(), warps(), columns));
  }
  /// One value per row.
  tile::FragmentType getRow(Type type) {
    return getFragment(unitRows, 1, type,
                       tile::LayoutAttr::accumulatorRow(b.getContext(), warps()));
  }
  /// One value per row and key scale group.
  tile::FragmentType getGrouped() {
    return getFragment(unitRows, keyGroups, b.getF32Type(),
                       tile::LayoutAttr::accumulatorQuad(b.getContext(), warps()));
  }
  int64_t warps() const { return unitRows / Problem::warpRows; }
  tile::SharedType getShared(int64_t rows, int64_t columns, Type type) {
    int64_t rowBytes = columns * llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
    return tile::SharedType::get(b.getContext(), {rows, columns}, type, rowBytes);
  }
  Value minimum(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }
  Value notNegative(Value x) { return arith::MaxSIOp::create(b, x, b.index(0)); }

  ProgramBuilder &program;
  const Problem &problem;
  const bool usesTensorMaps;
  const int64_t unitRows, keyTile, channels, outputColumns;
  KernelBuilder b;

  // Parameters.
  Value queryBuffer, keyBuffer, valueBuffer, queryScales, keyScales, valueScales, output, lse,
      lseCorrection;
  Value queries, keys, queryHeads, keyHeads, batches, queryTiles, paddedQueries, paddedKeys,
      scaleLog2e;

  // The block's work.
  Value batch, head, queryHeadRow, keyHeadRow, firstQuery, tiles, maskedTiles, causalOffset;
  Value firstUnitQuery, queryOperand, queryMultiplier, keyShared, keyScalesShared, valueShared;
};

void AttentionKernel::addParameters() {
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

void AttentionKernel::prepareQuery() {
  MLIRContext *context = b.getContext();
  Type i8 = b.getI8Type(), e4m3 = Float8E4M3FNType::get(context);
  Value zero = b.index(0);
  auto queryType = getShared(problem.getQueryTile(), channels, i8);
  Value queryShared = tile::AllocOp::create(b, queryType);
  keyShared = tile::AllocOp::create(b, getShared(keyTile, channels, i8));
  keyScalesShared =
      tile::AllocOp::create(b, tile::SharedType::get(context, {keyGroups}, b.getF32Type(), 0));
  valueShared = tile::AllocOp::create(b, getShared(outputColumns, keyTile, e4m3));
  if (sumsQuantized()) {
    Value ones = tile::SubtileOp::create(b, getShared(sumRows, keyTile, e4m3), valueShared,
                                         b.index(channels));
    tile::FillOp::create(b, FloatAttr::get(e4m3, 1.0), ones);
  }
  Value firstRow = b.add(b.mul(queryHeadRow, paddedQueries), firstQuery);
  tile::CopyOp::create(b, queryBuffer, ValueRange{firstRow, zero}, queryShared);

  Value unitRow = b.mul(tile::UnitIdOp::create(b), unitRows);
  firstUnitQuery = b.add(firstQuery, unitRow);
  Value unitQuery =
      tile::SubtileOp::create(b, getShared(unitRows, channels, i8), queryShared, unitRow);
  // wgmma reads its A operand from shared memory; mma.sync keeps it in registers for the whole
  // loop.
  queryOperand = problem.schedule.getFamily() == Family::Wgmma
                     ? unitQuery
                     : b.load(getFragment(unitRows, channels, i8,
                                          tile::LayoutAttr::operandA8(context, warps(), channels)),
                              unitQuery, {zero, zero});

  // Rows t and t + 8 of a warp share a scale (Spec N3); one multiplier for scale and log2 e.
  AffineExpr row = b.getAffineDimExpr(0);
  AffineMap groups = AffineMap::get(2, 0, {row.floorDiv(Problem::warpRows) * 8 + row % 8}, context);
  Value unitQueryRow = b.add(b.mul(queryHeadRow, paddedQueries), firstUnitQuery);
  Value firstScale = b.mul(b.divide(unitQueryRow, b.index(Problem::warpRows)).first, 8);
  Value scales = b.load(getRow(b.getF32Type()), queryScales, {firstScale}, {}, groups);
  queryMultiplier = b.map(getRow(b.getF32Type()), {scales}, [&](ValueRange x) -> Value {
    return arith::MulFOp::create(b, x[0], scaleLog2e);
  });
}

/// Scores of keys that a row does not see become -infinity.
Value AttentionKernel::maskPositions(Value x, Value keyStart) {
  // The first key that a row does not see, relative to the tile.
  Value keysLeft = b.toI32(b.sub(keys, keyStart));
  Value limit;
  if (problem.mask != Mask::None) {
    Value visibleToFirst =
        b.toI32(b.sub(b.add(b.add(firstUnitQuery, causalOffset), b.index(1)), keyStart));
    limit = b.map(
        getRow(b.getI32Type()), {}, {},
        [&](ValueRange e) -> Value {
          return arith::MinSIOp::create(b, arith::AddIOp::create(b, e[0], visibleToFirst),
                                        keysLeft);
        },
        /*positions=*/true);
  } else {
    limit = tile::SplatOp::create(b, getRow(b.getI32Type()), keysLeft);
  }
  auto type = cast<tile::FragmentType>(x.getType());
  AffineMap identity = b.getMultiDimIdentityMap(2);
  AffineMap toRow =
      AffineMap::get(2, 0, {b.getAffineDimExpr(0), b.getAffineConstantExpr(0)}, b.getContext());
  return b.map(
      type, {x, limit}, {identity, toRow},
      [&](ValueRange e) -> Value {
        Value visible = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[1], e[3]);
        return arith::SelectOp::create(b, visible, e[2], b.f32(-INFINITY));
      },
      /*positions=*/true);
}

AttentionKernel::State AttentionKernel::addKeyTile(Value iteration, const State &state) {
  MLIRContext *context = b.getContext();
  Type f32 = b.getF32Type();
  Value zero = b.index(0);
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1),
             none = b.getAffineConstantExpr(0);
  AffineMap identity = b.getMultiDimIdentityMap(2);
  AffineMap toRow = AffineMap::get(2, 0, {row, none}, context);
  AffineMap toColumn = AffineMap::get(2, 0, {none, column}, context);
  AffineMap toGroup = AffineMap::get(2, 0, {row, (column % 8).floorDiv(2)}, context);

  // Tiles are visited from the last to the first (Spec N7).
  Value tileIndex = b.sub(b.sub(tiles, b.index(1)), iteration);
  Value keyStart = b.mul(tileIndex, keyTile);
  Value keyRow = b.add(b.mul(keyHeadRow, paddedKeys), keyStart);
  tile::CopyOp::create(b, keyBuffer, ValueRange{keyRow, zero}, keyShared);
  Value scaleIndex = b.mul(b.divide(keyRow, b.index(keyTile)).first, keyGroups);
  tile::CopyOp::create(b, keyScales, ValueRange{scaleIndex}, keyScalesShared);

  // One multiplier per lane: its query and key scales (Spec N8). The smallest normal number keeps
  // -infinity times it infinite.
  auto quadType = getFragment(1, keyGroups, f32, tile::LayoutAttr::quad(context, warps()));
  Value keyMultiplier = b.load(quadType, keyScalesShared, {zero});
  Value multiplier = b.map(getGrouped(), {queryMultiplier, keyMultiplier}, {toRow, toColumn},
                           [&](ValueRange e) -> Value {
                             return arith::MaximumFOp::create(
                                 b, arith::MulFOp::create(b, e[0], e[1]), b.f32(0x1p-126f));
                           });

  auto integerScores = getAccumulator(keyTile, b.getI32Type());
  Value none32 = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value fresh = tile::SplatOp::create(b, integerScores, none32);
  Value products = tile::MmaOp::create(b, queryOperand, keyShared, fresh);
  auto scoresType = getAccumulator(keyTile, f32);
  Value scores = b.map(scoresType, {products}, [&](ValueRange e) -> Value {
    return arith::SIToFPOp::create(b, f32, e[0]);
  });
  Value isMasked = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, iteration, maskedTiles);
  auto masked = scf::IfOp::create(b, TypeRange{scoresType}, isMasked, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(masked.thenBlock());
    scf::YieldOp::create(b, maskPositions(scores, keyStart));
    b.setInsertionPointToStart(masked.elseBlock());
    scf::YieldOp::create(b, scores);
  }
  scores = masked.getResult(0);

  // Online softmax (Spec N9). The maximum is taken on unscaled scores inside a lane's group, then
  // scaled.
  Value groupMaxima = b.reduce(tile::ReduceKind::MaximumF, scores, getGrouped(), toGroup);
  Value scaledMaxima = b.map(getGrouped(), {groupMaxima, multiplier}, [&](ValueRange e) -> Value {
    return arith::MulFOp::create(b, e[0], e[1]);
  });
  auto rowType = getRow(f32);
  Value tileMaximum = b.reduce(tile::ReduceKind::MaximumF, scaledMaxima, rowType);
  Value maximum = b.map(rowType, {state.maximum, tileMaximum}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], e[1]);
  });
  // A row that has seen no key yet subtracts 0, so that exp2 gives 0 and not NaN.
  Value subtrahend = b.map(rowType, {maximum}, [&](ValueRange e) -> Value {
    Value unseen = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[0], b.f32(-INFINITY));
    return arith::SelectOp::create(b, unseen, b.f32(0.0f), e[0]);
  });
  Value rescale = b.map(rowType, {state.maximum, subtrahend}, [&](ValueRange e) -> Value {
    return math::Exp2Op::create(b, arith::SubFOp::create(b, e[0], e[1]));
  });
  Value offset = b.map(rowType, {subtrahend}, [&](ValueRange e) -> Value {
    return arith::SubFOp::create(b, b.f32(log2Of448), e[0]);
  });
  Value probabilities =
      b.map(scoresType, {scores, multiplier, offset}, {identity, toGroup, toRow},
            [&](ValueRange e) -> Value {
              return math::Exp2Op::create(b, math::FmaOp::create(b, e[0], e[1], e[2]));
            });
  Value sum;
  if (!sumsQuantized()) {
    Value partial = b.reduce(tile::ReduceKind::AddF, probabilities, getGrouped(), toGroup);
    sum = b.map(getGrouped(), {state.sum, rescale, partial},
                [&](ValueRange e) -> Value { return math::FmaOp::create(b, e[0], e[1], e[2]); });
  }
  Type e4m3 = Float8E4M3FNType::get(context);
  auto operandType =
      getFragment(unitRows, keyTile, e4m3, tile::LayoutAttr::operandA8(context, warps(), keyTile));
  Value packed = b.convert(probabilities, operandType, problem.geometry.getValueOrderMap());

  Value valueTarget = valueShared;
  if (sumsQuantized())
    valueTarget = tile::SubtileOp::create(b, getShared(channels, keyTile, e4m3), valueShared, zero);
  tile::CopyOp::create(b, valueBuffer, ValueRange{b.mul(keyHeadRow, channels), keyStart},
                       valueTarget);
  Value rescaled =
      b.map(getAccumulator(outputColumns, f32), {state.output, rescale}, {identity, toRow},
            [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  Value next = tile::MmaOp::create(b, packed, valueShared, rescaled);
  return {next, maximum, sum};
}

/// Normalization, scales of V, log-sum-exp (Spec N12).
void AttentionKernel::finish(const State &state) {
  MLIRContext *context = b.getContext();
  Type f32 = b.getF32Type();
  Value zero = b.index(0);
  auto rowType = getRow(f32);
  // The loop has no registers to spare for what only its end needs.
  decodeBlock(/*reload=*/true);
  firstUnitQuery = b.add(firstQuery, b.mul(tile::UnitIdOp::create(b), unitRows));
  Value accumulated = state.output, sum;
  if (sumsQuantized()) {
    // All columns of the block of ones hold the same sum.
    Value sums = tile::SliceOp::create(b, getAccumulator(sumRows, f32), state.output, channels);
    sum = b.reduce(tile::ReduceKind::MaximumF, sums, rowType);
    accumulated = tile::SliceOp::create(b, getAccumulator(channels, f32), state.output, 0);
  } else {
    sum = b.reduce(tile::ReduceKind::AddF, state.sum, rowType);
  }
  Value inverse = b.map(rowType, {sum}, [&](ValueRange e) -> Value {
    return arith::DivFOp::create(b, b.f32(1.0f), e[0]);
  });
  auto channelType = getFragment(1, channels, f32,
                                 tile::LayoutAttr::accumulatorColumn(context, warps(), channels));
  AffineMap toChannel = AffineMap::get(2, 0, {b.getAffineDimExpr(1)}, context);
  Value scales = b.load(channelType, valueScales, {b.mul(keyHeadRow, channels)}, {}, toChannel);
  auto type = getAccumulator(channels, f32);
  Value result = b.map(type, {accumulated, inverse, sum, scales}, [&](ValueRange e) -> Value {
    Value normalized = arith::MulFOp::create(b, arith::MulFOp::create(b, e[0], e[1]), e[3]);
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[2], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(0.0f), normalized);
  });
  b.store(b.convert(result, type.withElementType(problem.elementType)), output,
          {batch, head, firstUnitQuery, zero}, queries);
  if (!problem.hasLse)
    return;
  constexpr float ln2 = 0.6931471805599453f;
  Value logSum = b.map(rowType, {state.maximum, sum}, [&](ValueRange e) -> Value {
    Value log = arith::SubFOp::create(b, math::Log2Op::create(b, e[1]), b.f32(log2Of448));
    return arith::MulFOp::create(b, arith::AddFOp::create(b, e[0], log), b.f32(ln2));
  });
  AffineMap toRowIndex = AffineMap::get(2, 0, {b.getAffineDimExpr(0)}, context);
  if (lseCorrection) {
    Value first = b.add(b.mul(queryHeadRow, paddedQueries), firstUnitQuery);
    Value correction = b.load(rowType, lseCorrection, {first}, {}, toRowIndex);
    logSum = b.map(rowType, {logSum, correction},
                   [&](ValueRange e) -> Value { return arith::AddFOp::create(b, e[0], e[1]); });
  }
  logSum = b.map(rowType, {logSum, sum}, [&](ValueRange e) -> Value {
    Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, e[1], b.f32(0.0f));
    return arith::SelectOp::create(b, empty, b.f32(-INFINITY), e[0]);
  });
  Value headStart = b.mul(queryHeadRow, queries);
  b.store(logSum, lse, {b.add(headStart, firstUnitQuery)}, b.add(headStart, queries), toRowIndex);
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

} // namespace

void sage::addAttentionKernel(ProgramBuilder &program) { AttentionKernel(program).build(); }
