// Joins the statistics of tiles: means, scales of channels and of whole heads.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

namespace {

/// Tiles that are read at once.
constexpr int64_t stepTiles = 4;

/// The statistics of one operand: a warp takes one head of one entry.
class HeadStatistics {
public:
  HeadStatistics(ProgramBuilder &program, KernelBuilder &b, const StatisticsPlan &plan)
      : program(program), b(b), plan(plan),
        space(program, b, plan.side,
              plan.centresTiles ? program.getProblem().getQueryPadding() : plan.tileTokens),
        stepType(getRowMajor(b, stepTiles, plan.paddedChannels, b.getF32Type(),
                             plan.paddedChannels % 128 == 0 ? plan.paddedChannels / 32 : 2)),
        type(tile::FragmentType::get(b.getContext(), {1, plan.paddedChannels}, b.getF32Type(),
                                     stepType.getLayout().dropRows())) {
    addTables();
  }

  AffineExpr getWork() {
    return plan.side == Side::Query ? program.getQueryRanges() : program.getKeyRanges();
  }
  void emit(Value index);

private:
  void addTables();
  Value join(Value accumulator, Value rows, Value rowsLeft, bool isSum);
  void storeScales(Value magnitude, Value entryHead);

  ProgramBuilder &program;
  KernelBuilder &b;
  const StatisticsPlan &plan;
  TokenSpace space;
  tile::FragmentType stepType, type;
  Value sums, maxima, minima, means, scales, inverses;
};

void HeadStatistics::addTables() {
  auto get = [&](StringRef slice) {
    return b.addBuffer(plan.getName(slice), getTable(b, plan.paddedChannels));
  };
  auto add = [&](StringRef slice, int64_t columns) {
    program.addWorkspace(plan.getName(slice), getWork() * (columns * 4));
    return b.addBuffer(plan.getName(slice), columns == 1 ? getVector(b) : getTable(b, columns));
  };
  if (plan.hasSums()) {
    sums = get("sums");
    means = add("mean", plan.paddedChannels);
  }
  if (!plan.needsMagnitude)
    return;
  maxima = get("maxima");
  if (plan.hasExtremes())
    minima = get("minima");
  int64_t columns = plan.joinsChannels ? 1 : plan.paddedChannels;
  scales = add("scales", columns);
  inverses = add("inverse", columns);
}

/// `accumulator` with the rows of `rows` in order; those past the last tile are zeros of no
/// meaning.
Value HeadStatistics::join(Value accumulator, Value rows, Value rowsLeft, bool isSum) {
  SmallVector<Value> inputs{accumulator};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  for (int64_t row = 0; row < stepTiles; ++row) {
    inputs.push_back(rows);
    maps.push_back(
        AffineMap::get(2, 0, {b.getAffineDimExpr(0) + row, b.getAffineDimExpr(1)}, b.getContext()));
  }
  return b.map(type, inputs, maps, [&](ValueRange e) {
    Value result = e[0];
    for (auto [row, element] : llvm::enumerate(e.drop_front())) {
      if (isSum) {
        result = arith::AddFOp::create(b, result, element);
        continue;
      }
      Value number = arith::ConstantOp::create(b, b.getI32IntegerAttr(row));
      Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, number, rowsLeft);
      result = arith::MaximumFOp::create(
          b, result, arith::SelectOp::create(b, valid, element, b.f32(-INFINITY)));
    }
    return result;
  });
}

/// A scale for every channel, or one for all.
void HeadStatistics::storeScales(Value magnitude, Value entryHead) {
  const RecipeAttr &recipe = program.getProblem().recipe;
  float range = plan.joinsChannels ? recipe.getScoreRange() : recipe.getValueRange();
  SmallVector<Value> indices{entryHead};
  if (plan.joinsChannels) {
    auto scalarType = tile::FragmentType::get(b.getContext(), {1, 1}, b.getF32Type(),
                                              type.getLayout().project(getScalarBroadcast(b)));
    magnitude = b.reduce(tile::ReduceKind::MaximumF, magnitude, scalarType);
  } else {
    indices.push_back(b.index(0));
  }
  b.store(getScales(b, magnitude, range, /*inverse=*/false), scales, indices);
  b.store(getScales(b, magnitude, range, /*inverse=*/true), inverses, indices);
}

void HeadStatistics::emit(Value index) {
  TokenRange range = space.getRangeOfEntryHead(index);
  Value firstTile = space.getFirstTile(range, plan.tileTokens);
  Value tiles = space.countTiles(range, plan.tileTokens);
  Value zero = b.index(0);
  SmallVector<Value> tables, initial;
  for (Value table : {sums, maxima, minima})
    if (table) {
      tables.push_back(table);
      // A head without tokens has magnitude 0.
      initial.push_back(b.splat(type, table == sums || !minima ? 0.0f : -INFINITY));
    }
  auto loop = scf::ForOp::create(b, zero, tiles, b.index(stepTiles), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = b.add(firstTile, loop.getInductionVar());
    Value rowsLeft = b.toI32(b.sub(tiles, loop.getInductionVar()));
    SmallVector<Value> next;
    for (auto [table, accumulator] : llvm::zip_equal(tables, loop.getRegionIterArgs())) {
      Value rows = b.load(stepType, table, {row, zero}, b.add(firstTile, tiles));
      next.push_back(join(accumulator, rows, rowsLeft, table == sums));
    }
    scf::YieldOp::create(b, next);
  }
  auto results = loop.getResults();
  Value mean;
  if (sums) {
    // The mean of no tokens is 0.
    Value count = arith::MaxSIOp::create(b, range.tokens, b.index(1));
    Value divisor = arith::SIToFPOp::create(b, b.getF32Type(), b.toI32(count));
    mean = b.map(type, {results.front()},
                 [&](ValueRange e) -> Value { return arith::DivFOp::create(b, e[0], divisor); });
    b.store(mean, means, {index, zero});
  }
  if (minima)
    storeScales(getCentredMagnitude(b, results[1], results[2], mean), index);
  else if (maxima)
    storeScales(results.back(), index);
}

} // namespace

void sage::addJoinStatistics(ProgramBuilder &program) {
  SmallVector<StatisticsPlan> plans = getStatistics(program.getProblem());
  llvm::erase_if(
      plans, [](const StatisticsPlan &plan) { return !plan.hasSums() && !plan.needsMagnitude; });
  if (plans.empty())
    return;
  KernelBuilder b = program.startKernel("join_statistics", tile::Unit::Warp, 1);
  SmallVector<std::unique_ptr<HeadStatistics>> parts;
  for (const StatisticsPlan &plan : plans)
    parts.push_back(std::make_unique<HeadStatistics>(program, b, plan));
  Value block = tile::BlockIdOp::create(b);
  AffineExpr work = b.getAffineConstantExpr(0);
  for (auto &part : parts) {
    Value offset = b.sub(block, b.addInteger(work));
    Value isPart =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, offset, b.addInteger(part->getWork()));
    b.when(isPart, [&] { part->emit(offset); });
    work = work + part->getWork();
  }
  program.launch(b, work);
}
