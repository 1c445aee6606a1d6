// The order of the preparation: one kernel whose thread blocks take tickets.
//
// K and V are read twice, once for the statistics of all their tokens and once to be quantized.
// Heads are taken in rounds that fit in L2: the statistics of a round, then what the round before
// is quantized to, so that the second reading finds its tokens in L2, and that nobody waits for
// statistics for long. Tickets make this safe: whoever waits, waits for blocks that run.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr llvm::StringLiteral progressName = "progress";
/// Bytes of K and V of a round. In time it is about as much as the blocks that run read together
/// (8 MB of an H100), so that few wait. In space L2 (40 MB and more on chips of servers) has to
/// hold what is read and written between the two readings of a token, which is several rounds: with
/// 12 MB an H100 read a third more from device memory than with 6.
constexpr int64_t roundBytes = 6 << 20;

/// Q, or K and V: which item a number is, in the order of the rounds.
class SideOrder {
public:
  SideOrder(ProgramBuilder &program, KernelBuilder &b, AffineExpr heads, AffineExpr bytesOfHead)
      : b(b), heads(heads) {
    AffineExpr most =
        getAffineConstantExpr(roundBytes, b.getContext()).floorDiv(bytesOfHead + 1) + 1;
    rounds = heads.floorDiv(most) + 1;
    roundHeads = heads.ceilDiv(rounds);
  }

  PreparationParts statistics, operands;

  /// Numbers without the last round's operands, and those.
  AffineExpr getMain() {
    if (statistics.empty())
      return heads * count(operands);
    return rounds * roundHeads * (count(statistics) + count(operands)) -
           roundHeads * count(operands);
  }
  AffineExpr getTail() {
    return statistics.empty() ? b.getAffineConstantExpr(0) : roundHeads * count(operands);
  }
  void emit(Value number);

private:
  AffineExpr count(const PreparationParts &parts) {
    AffineExpr items = b.getAffineConstantExpr(0);
    for (const auto &part : parts)
      items = items + part->getItemsOfHead();
    return items;
  }
  void emit(ArrayRef<std::unique_ptr<PreparationPart>> parts, Value headRow, Value item);

  KernelBuilder &b;
  AffineExpr heads, rounds, roundHeads;
};

/// Item `item` of all parts' items: of the first part, or of the others.
void SideOrder::emit(ArrayRef<std::unique_ptr<PreparationPart>> parts, Value headRow, Value item) {
  PreparationPart &first = *parts.front();
  if (parts.size() == 1)
    return first.emit(headRow, item);
  Value items = b.addInteger(first.getItemsOfHead());
  Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, item, items);
  b.choose(
      isFirst, [&] { first.emit(headRow, item); },
      [&] { emit(parts.drop_front(), headRow, b.sub(item, items)); });
}

/// Round r has the statistics of its heads, then the operands of those of round r - 1.
void SideOrder::emit(Value number) {
  if (statistics.empty()) {
    auto [headRow, item] = b.divide(number, b.addInteger(count(operands)));
    return emit(operands, headRow, item);
  }
  Value statisticsOfHead = b.addInteger(count(statistics));
  Value operandsOfHead = b.addInteger(count(operands));
  Value statisticsOfRound = b.addInteger(roundHeads * count(statistics));
  Value operandsOfRound = b.addInteger(roundHeads * count(operands));
  auto select = [&](Value condition, Value a, Value c) -> Value {
    return arith::SelectOp::create(b, condition, a, c);
  };
  auto isBelow = [&](Value a, Value c) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, a, c);
  };
  // The first round has no operands and the last one no statistics: numbers step over them.
  number = select(isBelow(number, statisticsOfRound), number, b.add(number, operandsOfRound));
  Value main = b.addInteger(rounds * roundHeads * (count(statistics) + count(operands)));
  number = select(isBelow(number, main), number, b.add(number, statisticsOfRound));
  auto [round, inRound] = b.divide(number, b.add(statisticsOfRound, operandsOfRound));
  Value isStatistics = isBelow(inRound, statisticsOfRound);
  Value offset = select(isStatistics, inRound, b.sub(inRound, statisticsOfRound));
  auto [headInRound, item] =
      b.divide(offset, select(isStatistics, statisticsOfHead, operandsOfHead));
  round = select(isStatistics, round, b.sub(round, b.index(1)));
  Value headRow = b.add(b.mul(round, b.addInteger(roundHeads)), headInRound);
  b.when(isBelow(headRow, b.addInteger(heads)), [&, headRow = headRow, item = item] {
    b.choose(
        isStatistics, [&] { emit(statistics, headRow, item); },
        [&] { emit(operands, headRow, item); });
  });
}

class PreparationKernel {
public:
  explicit PreparationKernel(ProgramBuilder &program)
      : program(program), problem(program.getProblem()), plans(getStatistics(problem)) {}

  void build();

private:
  AffineExpr countCounters();
  void addReset();
  void addParts(KernelBuilder &b, SideOrder &query, SideOrder &key, Value counters);

  ProgramBuilder &program;
  const Problem &problem;
  SmallVector<StatisticsPlan> plans;
};

/// The ticket, and one for each range of each plan.
AffineExpr PreparationKernel::countCounters() {
  AffineExpr count = program.getBuilder().getAffineConstantExpr(1);
  for (const StatisticsPlan &plan : plans)
    count = count + (plan.side == Side::Query ? program.getQueryRanges() : program.getKeyRanges());
  return count;
}

/// A kernel that sets all counters to 0.
void PreparationKernel::addReset() {
  constexpr int64_t warpsPerBlock = 4, counters = 128;
  program.addWorkspace(progressName, countCounters() * 4);
  KernelBuilder b = program.startKernel("reset_progress", tile::Unit::Warp, warpsPerBlock);
  b.releaseGrid(program.overlapsLaunches());
  Type i32 = b.getI32Type();
  Value progress = b.addBuffer(progressName, MemRefType::get({ShapedType::kDynamic}, i32));
  Value index = b.add(b.mul(tile::BlockIdOp::create(b), warpsPerBlock), tile::UnitIdOp::create(b));
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value zeros = tile::SplatOp::create(b, getRowMajor(b, 1, counters, i32, 1), zero);
  b.store(zeros, progress, {b.mul(index, counters)}, b.addInteger(countCounters()));
  program.launch(b, countCounters().ceilDiv(warpsPerBlock * counters));
}

void PreparationKernel::addParts(KernelBuilder &b, SideOrder &query, SideOrder &key,
                                 Value counters) {
  Statistics *ofQuery = nullptr, *ofKey = nullptr, *ofValue = nullptr;
  AffineExpr firstCounter = b.getAffineConstantExpr(1);
  for (const StatisticsPlan &plan : plans) {
    std::unique_ptr<Statistics> part = createStatistics(program, b, plan, counters, firstCounter);
    bool isQuery = plan.side == Side::Query;
    firstCounter = firstCounter + (isQuery ? program.getQueryRanges() : program.getKeyRanges());
    (isQuery ? ofQuery : plan.operand == "key" ? ofKey : ofValue) = part.get();
    (isQuery ? query : key).statistics.push_back(std::move(part));
  }
  if (!problem.quantizesQueryInKernel())
    query.operands.push_back(createScoreOperand(program, b, Side::Query, ofQuery, ofKey));
  key.operands.push_back(createScoreOperand(program, b, Side::Key, nullptr, ofKey));
  key.operands.push_back(createValueOperand(program, b, ofValue));
}

/// Whether K and Q stay in registers as floats until they are quantized: what is rotated, and what
/// has no groups of a lane's rows.
static bool keepsFloats(const RecipeAttr &recipe) {
  bool hasGroups = recipe.getGranularity() != Granularity::PerTensor &&
                   recipe.getGranularity() != Granularity::PerToken;
  return recipe.quantizesScores() && (recipe.rotates() || !hasGroups);
}

/// Registers for this many blocks, so that some load while others wait or compute; fewer where the
/// assembler would spill.
static int64_t countBlocks(const Problem &problem) {
  const RecipeAttr &recipe = problem.recipe;
  int64_t columns = std::max(problem.getPaddedHeadDim(), problem.getPaddedValueHeadDim());
  if (keepsFloats(recipe))
    return columns > 128 ? 1 : columns > 64 ? 2 : 3;
  bool quantizes = recipe.quantizesScores();
  bool smooths = recipe.smoothsQuery() || recipe.smoothsValue();
  if (columns > 128) {
    // The odd factor of 192 leaves lanes more than their share.
    bool isWide = quantizes && (smooths || problem.elementType.isBF16());
    return columns == 192 && isWide ? 1 : 2;
  }
  // Other integers are limited or packed, and whole blocks join their warps.
  bool needsMore = quantizes && (recipe.getQk() != ScoreType::Int8 ||
                                 recipe.getGranularity() == Granularity::PerBlock);
  return smooths || (columns > 64 && needsMore) ? 3 : 4;
}

void PreparationKernel::build() {
  bool hasTickets = !plans.empty();
  if (hasTickets)
    addReset();
  KernelBuilder b = program.startKernel("prepare", tile::Unit::Warp, preparationWarps);
  b.getKernel()->setAttr("blocks_per_multiprocessor", b.getI32IntegerAttr(countBlocks(problem)));
  b.awaitGrid(hasTickets && program.overlapsLaunches());
  Value counters, ticket;
  if (hasTickets) {
    counters = b.addBuffer(progressName, MemRefType::get({ShapedType::kDynamic}, b.getI32Type()));
    ticket = tile::CountOp::create(b, counters, b.index(0), Value());
  } else {
    ticket = tile::BlockIdOp::create(b);
  }
  b.releaseGrid(program.overlapsLaunches());
  program.resetTickets(b);
  AffineExpr keyBytes = program.get(Symbol::Nk) * ((problem.headDim + problem.valueHeadDim) * 2);
  AffineExpr queryBytes = program.get(Symbol::Nq) * (problem.headDim * 2);
  SideOrder query(program, b, program.getQueryHeads(), queryBytes);
  SideOrder key(program, b, program.getKeyHeads(), keyBytes);
  addParts(b, query, key, counters);

  // The queries lie between the last statistics of K and V and those who wait for them.
  AffineExpr keyMain = key.getMain(), queryMain = query.getMain(), keyTail = key.getTail();
  // Numbers of a side: those from `first` on, without the other side's in between.
  auto emit = [&](SideOrder &side, AffineExpr first, AffineExpr gap, AffineExpr gapItems,
                  llvm::function_ref<void()> otherwise) {
    Value number = b.sub(ticket, b.addInteger(first));
    Value isBehind =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, number, b.addInteger(gap + gapItems));
    Value behind = b.sub(number, b.addInteger(gapItems));
    // Unsigned: tickets before the first one are none of the side's.
    Value isBefore = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, number, b.addInteger(gap));
    Value isWithin = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, behind,
                                           b.addInteger(side.getMain() + side.getTail()));
    Value isTail = arith::AndIOp::create(b, isBehind, isWithin);
    b.choose(
        arith::OrIOp::create(b, isBefore, isTail),
        [&] { side.emit(arith::SelectOp::create(b, isBehind, behind, number)); }, otherwise);
  };
  emit(key, b.getAffineConstantExpr(0), keyMain, queryMain, [&] {
    if (!query.operands.empty())
      emit(query, keyMain, queryMain, keyTail, [] {});
  });
  program.launch(b, keyMain + queryMain + keyTail + query.getTail());
}

} // namespace

void sage::addPreparationKernels(ProgramBuilder &program) {
  PreparationKernel(program).build();
  if (program.getProblem().recipe.smoothsQuery())
    addScoreCorrection(program);
}
