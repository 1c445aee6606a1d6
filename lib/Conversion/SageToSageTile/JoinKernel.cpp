// The kernel that joins the parts of the keys (Spec N18) and ends as the attention does. Blocks
// have few rows and warps few channels: what takes time is waiting for memory.

#include "AttentionRows.h"

using namespace mlir;
using namespace sage;

/// Channels of a warp.
static constexpr int64_t warpChannels = 32;
/// Maxima of a row that are read at once.
static constexpr int64_t maximaColumns = 32;
/// Parts that are read at once: what registers hold.
static constexpr int64_t partsAtOnce = 4;

namespace {

class JoinKernel : AttentionRows {
public:
  explicit JoinKernel(ProgramBuilder &program)
      : AttentionRows(program, "join_parts", tile::Unit::Warp,
                      program.getProblem().getPaddedValueHeadDim() / warpChannels,
                      Problem::warpRows) {}

  void build();

private:
  /// O, m and l of one part.
  struct Part {
    Value output, maximum, sum;
    /// Null where there always is one.
    Value exists;
  };
  /// l and O of the parts so far.
  struct State {
    Value sum, output;
  };

  void addWorkspace();
  void decodeBlock();
  Value findMaximum();
  Part loadPart(Value first, int64_t offset);
  State addPart(const Part &part, Value subtrahend, const State &state);
  State addParts(Value subtrahend);
  void store(const State &state, Value maximum);

  AffineExpr getTilesOfHead() { return program.get(Symbol::Nq).ceilDiv(unitRows); }

  PartBuffers buffers;
  Value parts, firstChannel;
};

} // namespace

void JoinKernel::decodeBlock() {
  auto [allHeads, number] = b.divide(tile::BlockIdOp::create(b), b.addInteger(getTilesOfHead()));
  queries = querySpace.locate(allHeads, number, unitRows);
  Value groupSize = b.addInteger(program.get(Symbol::Hq).floorDiv(program.get(Symbol::Hkv)));
  keys = keySpace.getRange(queries.entry, b.divide(queries.head, groupSize).first);
  firstUnitQuery = queries.first;
  unitQueryRow = querySpace.getRow(queries);
  firstChannel = b.mul(tile::UnitIdOp::create(b), warpChannels);
}

/// The largest m of each row over all parts.
Value JoinKernel::findMaximum() {
  auto rowType = getRow(b.getF32Type()), type = getAccumulator(maximaColumns, b.getF32Type());
  Value none = b.splat(rowType, -INFINITY);
  auto loop = scf::ForOp::create(b, b.index(0), parts, b.index(maximaColumns), none);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Access access;
  access.columnLimit = parts;
  // Rows are as long as there are parts.
  access.aligned = arith::ConstantOp::create(b, b.getBoolAttr(false));
  Value maxima = b.load(type, buffers.maxima, {unitQueryRow, loop.getInductionVar()}, access);
  Value left = b.toI32(b.sub(parts, loop.getInductionVar()));
  maxima = b.map(
      type, {maxima}, {},
      [&](ValueRange e) -> Value {
        Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, e[1], left);
        return arith::SelectOp::create(b, exists, e[2], b.f32(-INFINITY));
      },
      /*positions=*/true);
  Value largest = b.reduce(tile::ReduceKind::MaximumF, maxima, rowType);
  Value next = b.map(rowType, {loop.getRegionIterArg(0), largest}, [&](ValueRange e) -> Value {
    return arith::MaximumFOp::create(b, e[0], e[1]);
  });
  scf::YieldOp::create(b, next);
  return loop.getResult(0);
}

/// The part `offset` before part `first`.
JoinKernel::Part JoinKernel::loadPart(Value first, int64_t offset) {
  Part part;
  Value number = b.sub(first, b.index(offset));
  if (offset > 0) {
    part.exists = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, number, b.index(0));
    number = notNegative(number);
  }
  auto rowType = getRow(b.getF32Type());
  part.output = b.load(getAccumulator(warpChannels, b.getF32Type()), buffers.outputs,
                       {b.add(getPartRow(number), unitQueryRow), firstChannel});
  part.maximum = b.load(rowType, buffers.maxima, {unitQueryRow, number});
  part.sum = b.load(rowType, buffers.sums, {unitQueryRow, number});
  return part;
}

JoinKernel::State JoinKernel::addPart(const Part &part, Value subtrahend, const State &state) {
  auto rowType = getRow(b.getF32Type());
  Value weight = b.map(rowType, {part.maximum, subtrahend}, [&](ValueRange e) -> Value {
    Value weight = math::Exp2Op::create(b, arith::SubFOp::create(b, e[0], e[1]));
    return part.exists ? arith::SelectOp::create(b, part.exists, weight, b.f32(0.0f)).getResult()
                       : weight;
  });
  auto addWeighted = [&](ValueRange e) -> Value {
    return math::FmaOp::create(b, e[0], e[1], e[2]);
  };
  AffineMap identity = b.getMultiDimIdentityMap(2);
  return {b.map(rowType, {part.sum, weight, state.sum}, addWeighted),
          b.map(cast<tile::FragmentType>(state.output.getType()),
                {part.output, weight, state.output}, {identity, toRow(), identity}, addWeighted)};
}

/// From the last part to the first.
JoinKernel::State JoinKernel::addParts(Value subtrahend) {
  Value initial[] = {b.splat(getRow(b.getF32Type()), 0.0f),
                     b.splat(getAccumulator(warpChannels, b.getF32Type()), 0.0f)};
  auto loop = scf::ForOp::create(b, b.index(0), parts, b.index(partsAtOnce), initial);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value last = b.sub(b.sub(parts, b.index(1)), loop.getInductionVar());
  SmallVector<Part> loaded;
  for (int64_t i = 0; i < partsAtOnce; ++i)
    loaded.push_back(loadPart(last, i));
  State state{loop.getRegionIterArg(0), loop.getRegionIterArg(1)};
  for (const Part &part : loaded)
    state = addPart(part, subtrahend, state);
  scf::YieldOp::create(b, ValueRange{state.sum, state.output});
  return {loop.getResult(0), loop.getResult(1)};
}

void JoinKernel::store(const State &state, Value maximum) {
  Normalization rows = normalizeRows({maximum, state.sum});
  Access access;
  if (problem.valueHeadDim % warpChannels != 0)
    access.columnLimit = b.index(problem.valueHeadDim);
  auto store = [&] { storeOutput(state.output, firstChannel, rows, access); };
  // Whole chunks past the last channel are nobody's.
  bool hasPadding = channels - problem.valueHeadDim >= warpChannels;
  Value inTensor = hasPadding ? arith::CmpIOp::create(b, arith::CmpIPredicate::slt, firstChannel,
                                                      b.index(problem.valueHeadDim))
                                    .getResult()
                              : Value();
  b.when(inTensor, store);
  if (!problem.hasLse)
    return;
  Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, firstChannel, b.index(0));
  b.when(isFirst, [&] { storeLse(rows); });
}

void JoinKernel::addWorkspace() {
  AffineExpr rows =
      program.get(Symbol::Parts) * program.getQueryHeads() * program.getPaddedQueries();
  program.addWorkspace(buffer::partOutputs, program.ofSplitCalls(rows * (channels * 4)));
  program.addWorkspace(buffer::partMaxima, program.ofSplitCalls(rows * 4));
  program.addWorkspace(buffer::partSums, program.ofSplitCalls(rows * 4));
}

void JoinKernel::build() {
  b.getKernel()->setAttr("flush_denormals", b.getUnitAttr());
  addWorkspace();
  buffers = addPartBuffers();
  addOutputParameters();
  AffineExpr count = program.get(Symbol::Parts);
  parts = b.addInteger(count);
  decodeBlock();
  b.awaitGrid(program.overlapsLaunches());
  Value maximum = findMaximum();
  store(addParts(getSubtrahend(maximum)), maximum);
  program.launch(b, program.ofSplitCalls(program.getQueryHeads() * getTilesOfHead()));
}

void sage::addJoinKernel(ProgramBuilder &program) {
  if (program.getProblem().splitsKeys())
    JoinKernel(program).build();
}
