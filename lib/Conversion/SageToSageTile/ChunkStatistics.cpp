// The first pass over Q, K and V: sums, extremes and magnitudes of channels over tiles of tokens.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

namespace {

/// The partial sums of Spec N1.
constexpr int64_t partialSums = 8;
/// Tokens that a warp reads at once: loads in flight hide the latency of memory.
constexpr int64_t stepTokens = 32;

/// What is accumulated over the tokens of a tile, by channel; null where it is not wanted.
struct Accumulators {
  Value sum, maximum, minimum;

  SmallVector<Value> getValues() const {
    SmallVector<Value> values;
    for (Value value : {sum, maximum, minimum})
      if (value)
        values.push_back(value);
    return values;
  }
  Accumulators replace(ValueRange values) const {
    Accumulators result;
    unsigned next = 0;
    result.sum = sum ? values[next++] : Value();
    result.maximum = maximum ? values[next++] : Value();
    result.minimum = minimum ? values[next++] : Value();
    return result;
  }
};

/// The statistics of one operand: a warp takes a panel of channels of one tile.
class TileStatistics {
public:
  TileStatistics(ProgramBuilder &program, KernelBuilder &b, const StatisticsPlan &plan)
      : program(program), b(b), plan(plan),
        space(program, b, plan.side,
              plan.centresTiles ? program.getProblem().getQueryPadding() : plan.tileTokens),
        // Minima are kept negated, so that both are maxima.
        needsExtremes(plan.needsMagnitude && plan.smooths),
        input(program, b, plan.operand, plan.channels, plan.batchStride, plan.alignment),
        inputType(getRowMajor(b, stepTokens, panelColumns, program.getProblem().elementType, 8)),
        type(getRowMajor(b, partialSums, panelColumns, b.getF32Type(), 8)),
        channelType(tile::FragmentType::get(b.getContext(), {1, panelColumns}, b.getF32Type(),
                                            type.getLayout().dropRows())) {
    addTables();
  }

  AffineExpr getWork() {
    return space.getTiles(plan.tileTokens) * (plan.paddedChannels / panelColumns);
  }
  void emit(Value index);

private:
  void addTables();
  Accumulators accumulate(const TokenTile &tile, Value column);
  Accumulators accumulateChunk(const TokenTile &tile, Value column, Value chunk, int64_t tokens);
  Value extend(Value maximum, Value x, Value rowsLeft, bool negate);
  void storeCentred(const TokenTile &tile, const Accumulators &totals, Value column);

  ProgramBuilder &program;
  KernelBuilder &b;
  const StatisticsPlan &plan;
  TokenSpace space;
  bool needsExtremes;
  CallerTensor input;
  tile::FragmentType inputType, type, channelType;
  Value sums, maxima, minima;
};

void TileStatistics::addTables() {
  AffineExpr bytes = space.getTiles(plan.tileTokens) * (plan.paddedChannels * 4);
  auto add = [&](StringRef slice) {
    program.addWorkspace(plan.getName(slice), bytes);
    return b.addBuffer(plan.getName(slice), getTable(b, plan.paddedChannels));
  };
  if (plan.smooths)
    sums = add(plan.centresTiles ? "mean" : "sums");
  if (plan.needsMagnitude)
    maxima = add("maxima");
  if (plan.hasExtremes())
    minima = add("minima");
}

/// The larger of `maximum` and the magnitudes, or the (negated) elements, of the tokens in `x`.
Value TileStatistics::extend(Value maximum, Value x, Value rowsLeft, bool negate) {
  SmallVector<Value> inputs{maximum};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  for (int64_t first = 0; first < stepTokens; first += partialSums) {
    inputs.push_back(x);
    maps.push_back(AffineMap::get(2, 0, {row + first, column}, b.getContext()));
  }
  return b.map(
      type, inputs, maps,
      [&](ValueRange e) -> Value {
        Value result = e[2];
        for (auto [i, element] : llvm::enumerate(e.drop_front(3))) {
          Value candidate = element;
          if (!needsExtremes) {
            candidate = math::AbsFOp::create(b, element);
          } else {
            // Zeros of the padding are no tokens.
            Value first = arith::ConstantOp::create(b, b.getI32IntegerAttr(i * partialSums));
            Value token = arith::AddIOp::create(b, e[0], first);
            Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, token, rowsLeft);
            if (negate)
              candidate = arith::NegFOp::create(b, element);
            candidate = arith::SelectOp::create(b, valid, candidate, b.f32(-INFINITY));
          }
          result = arith::MaximumFOp::create(b, result, candidate);
        }
        return result;
      },
      /*positions=*/true);
}

/// One chunk of Spec N1, at most: `tokens` of the tile from token `chunk` on.
Accumulators TileStatistics::accumulateChunk(const TokenTile &tile, Value column, Value chunk,
                                             int64_t tokens) {
  Value tileEnd = b.add(tile.first, b.index(plan.tileTokens));
  Value end = arith::MinSIOp::create(b, tile.tokens, tileEnd);
  Accumulators initial;
  if (plan.smooths)
    initial.sum = b.splat(type, 0.0f);
  if (plan.needsMagnitude)
    initial.maximum = b.splat(type, needsExtremes ? -INFINITY : 0.0f);
  if (needsExtremes)
    initial.minimum = b.splat(type, -INFINITY);
  auto loop =
      scf::ForOp::create(b, b.index(0), b.index(tokens), b.index(stepTokens), initial.getValues());
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value offset = b.add(chunk, loop.getInductionVar());
    Value x = b.convert(input.load(inputType, tile, offset, column, end),
                        inputType.withElementType(b.getF32Type()));
    Value rowsLeft = b.toI32(b.sub(end, b.add(tile.first, offset)));
    Accumulators next = initial.replace(loop.getRegionIterArgs());
    if (next.sum) {
      SmallVector<Value> inputs{next.sum};
      SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
      for (int64_t first = 0; first < stepTokens; first += partialSums) {
        inputs.push_back(x);
        maps.push_back(AffineMap::get(2, 0, {b.getAffineDimExpr(0) + first, b.getAffineDimExpr(1)},
                                      b.getContext()));
      }
      next.sum = b.map(type, inputs, maps, [&](ValueRange e) {
        Value sum = e[0];
        for (Value element : e.drop_front())
          sum = arith::AddFOp::create(b, sum, element);
        return sum;
      });
    }
    if (next.maximum)
      next.maximum = extend(next.maximum, x, rowsLeft, /*negate=*/false);
    if (next.minimum)
      next.minimum = extend(next.minimum, x, rowsLeft, /*negate=*/true);
    scf::YieldOp::create(b, next.getValues());
  }
  Accumulators result = initial.replace(loop.getResults());
  if (result.sum)
    result.sum = b.reduce(tile::ReduceKind::AddF, result.sum, channelType);
  for (Value *extreme : {&result.maximum, &result.minimum})
    if (*extreme)
      *extreme = b.reduce(tile::ReduceKind::MaximumF, *extreme, channelType);
  return result;
}

Accumulators TileStatistics::accumulate(const TokenTile &tile, Value column) {
  if (plan.tileTokens <= Problem::chunkTokens)
    return accumulateChunk(tile, column, b.index(0), plan.tileTokens);
  Accumulators initial;
  if (plan.smooths)
    initial.sum = b.splat(channelType, 0.0f);
  if (plan.needsMagnitude)
    initial.maximum = b.splat(channelType, needsExtremes ? -INFINITY : 0.0f);
  if (needsExtremes)
    initial.minimum = b.splat(channelType, -INFINITY);
  auto loop = scf::ForOp::create(b, b.index(0), b.index(plan.tileTokens),
                                 b.index(Problem::chunkTokens), initial.getValues());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Accumulators chunk = accumulateChunk(tile, column, loop.getInductionVar(), Problem::chunkTokens);
  SmallVector<Value> next;
  for (auto [total, value] : llvm::zip_equal(loop.getRegionIterArgs(), chunk.getValues())) {
    bool isSum = value == chunk.sum;
    next.push_back(b.map(channelType, {total, value}, [&](ValueRange e) -> Value {
      if (isSum)
        return arith::AddFOp::create(b, e[0], e[1]);
      return arith::MaximumFOp::create(b, e[0], e[1]);
    }));
  }
  scf::YieldOp::create(b, next);
  return initial.replace(loop.getResults());
}

/// The mean of the tile, and the largest magnitude of what is left: rounding is monotone, so that
/// an extreme of the centred tokens is a centred extreme.
void TileStatistics::storeCentred(const TokenTile &tile, const Accumulators &totals, Value column) {
  Value left = b.sub(tile.tokens, tile.first);
  Value count = arith::MinSIOp::create(b, left, b.index(plan.tileTokens));
  // The mean of no tokens is 0.
  count = arith::MaxSIOp::create(b, count, b.index(1));
  Value divisor = arith::SIToFPOp::create(b, b.getF32Type(), b.toI32(count));
  Value mean = b.map(channelType, {totals.sum}, [&](ValueRange e) -> Value {
    return arith::DivFOp::create(b, e[0], divisor);
  });
  b.store(mean, sums, {tile.index, column});
  if (!plan.needsMagnitude)
    return;
  Value magnitude = getCentredMagnitude(b, totals.maximum, totals.minimum, mean);
  b.store(magnitude, maxima, {tile.index, column});
}

void TileStatistics::emit(Value index) {
  int64_t panels = plan.paddedChannels / panelColumns;
  auto [tileIndex, panel] = b.divide(index, b.index(panels));
  Value column = b.mul(panel, panelColumns);
  TokenTile tile = space.decode(tileIndex, plan.tileTokens);
  b.when(tile.exists, [&] {
    Accumulators totals = accumulate(tile, column);
    if (plan.centresTiles)
      return storeCentred(tile, totals, column);
    if (sums)
      b.store(totals.sum, sums, {tile.index, column});
    if (maxima)
      b.store(totals.maximum, maxima, {tile.index, column});
    if (minima)
      b.store(totals.minimum, minima, {tile.index, column});
  });
}

} // namespace

void sage::addChunkStatistics(ProgramBuilder &program) {
  SmallVector<StatisticsPlan> plans = getStatistics(program.getProblem());
  if (plans.empty())
    return;
  KernelBuilder b = program.startKernel("chunk_statistics", tile::Unit::Warp, warpsPerBlock);
  SmallVector<std::unique_ptr<TileStatistics>> parts;
  for (const StatisticsPlan &plan : plans)
    parts.push_back(std::make_unique<TileStatistics>(program, b, plan));
  Value index = b.add(b.mul(tile::BlockIdOp::create(b), warpsPerBlock), tile::UnitIdOp::create(b));
  AffineExpr work = b.getAffineConstantExpr(0);
  for (auto &part : parts) {
    AffineExpr end = work + part->getWork();
    Value offset = b.sub(index, b.addInteger(work));
    // Unsigned: an index below the part's first is no number below its size.
    Value isPart =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, offset, b.addInteger(part->getWork()));
    b.when(isPart, [&] { part->emit(offset); });
    work = end;
  }
  program.launch(b, work.ceilDiv(warpsPerBlock));
}
