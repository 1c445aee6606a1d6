// Mean of K and scales of V: one kernel sums chunks of tokens, one joins the chunks.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr int64_t warpsPerBlock = 4;
/// Tokens that a warp reads at once: the partial sums of Spec N1.
constexpr int64_t partialSums = 8;

/// Per channel: sum of K over a chunk (0 when K is not smoothed) and largest magnitude of V.
void addChunkKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim;
  KernelBuilder b = program.startKernel("chunk_statistics", tile::Unit::Warp, warpsPerBlock);
  MLIRContext *context = b.getContext();
  bool smoothsKey = problem.recipe.smoothsKey();
  auto rows = MemRefType::get({ShapedType::kDynamic, channels}, b.getF32Type());
  Value key, sums;
  if (smoothsKey) {
    key = b.addTensor("key", problem.elementType, channels, Symbol::KeyB);
    sums = b.addBuffer(buffer::keySums, rows);
  }
  Value value = b.addTensor("value", problem.elementType, channels, Symbol::ValueB);
  Value maxima = b.addBuffer(buffer::valueMaxima, rows);
  Value tokens = b.addInteger(program.get(Symbol::Nk));
  Value heads = b.addInteger(program.get(Symbol::Hkv));
  Value chunks = b.addInteger(program.getChunks());
  AffineExpr work = program.getKeyHeads() * program.getChunks();
  Value total = b.addInteger(work);

  auto layout = tile::LayoutAttr::rowMajor(context, partialSums, channels, 8);
  auto inputType =
      tile::FragmentType::get(context, {partialSums, channels}, problem.elementType, layout);
  auto type = inputType.withElementType(b.getF32Type());
  auto channelType =
      tile::FragmentType::get(context, {1, channels}, b.getF32Type(), layout.dropRows());

  Value id = b.add(b.mul(tile::BlockIdOp::create(b), warpsPerBlock), tile::UnitIdOp::create(b));
  Value inRange = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, id, total);
  auto guarded = scf::IfOp::create(b, inRange, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guarded.thenBlock());
  auto [head, chunk] = b.divide(id, chunks);
  auto [batch, headInBatch] = b.divide(head, heads);
  Value first = b.mul(chunk, Problem::chunkTokens);
  Value zero = b.index(0);

  SmallVector<Value> initial{b.splat(type, 0.0f)};
  if (smoothsKey)
    initial.push_back(b.splat(type, 0.0f));
  auto loop =
      scf::ForOp::create(b, zero, b.index(Problem::chunkTokens), b.index(partialSums), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value token = b.add(first, loop.getInductionVar());
    auto read = [&](Value tensor) {
      return b.convert(b.load(inputType, tensor, {batch, headInBatch, token, zero}, tokens), type);
    };
    SmallVector<Value> next;
    next.push_back(
        b.map(type, {loop.getRegionIterArgs()[0], read(value)}, [&](ValueRange x) -> Value {
          return arith::MaximumFOp::create(b, x[0], math::AbsFOp::create(b, x[1]));
        }));
    if (smoothsKey)
      next.push_back(
          b.map(type, {loop.getRegionIterArgs()[1], read(key)},
                [&](ValueRange x) -> Value { return arith::AddFOp::create(b, x[0], x[1]); }));
    scf::YieldOp::create(b, next);
  }
  b.store(b.reduce(tile::ReduceKind::MaximumF, loop.getResult(0), channelType), maxima, {id, zero});
  if (smoothsKey)
    b.store(b.reduce(tile::ReduceKind::AddF, loop.getResult(1), channelType), sums, {id, zero});
  b.setInsertionPointAfter(guarded);
  program.launch(b, work.ceilDiv(warpsPerBlock));
}

/// The scale of V per channel and its inverse from the largest magnitude (Spec N5, P1).
void storeValueScales(KernelBuilder &b, Value maximum, tile::FragmentType type, Value scales,
                      Value inverses, ValueRange indices, float range) {
  b.store(b.map(type, {maximum},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/false); }),
          scales, indices);
  b.store(b.map(type, {maximum},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/true); }),
          inverses, indices);
}

/// One warp per key head joins the chunks.
void addJoinKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim;
  KernelBuilder b = program.startKernel("join_statistics", tile::Unit::Warp, 1);
  MLIRContext *context = b.getContext();
  bool smoothsKey = problem.recipe.smoothsKey();
  auto rows = MemRefType::get({ShapedType::kDynamic, channels}, b.getF32Type());
  Value sums, mean;
  if (smoothsKey) {
    sums = b.addBuffer(buffer::keySums, rows);
    mean = b.addBuffer(buffer::keyMean, rows);
  }
  Value maxima = b.addBuffer(buffer::valueMaxima, rows);
  Value scales = b.addBuffer(buffer::valueScales, rows);
  Value inverses = b.addBuffer(buffer::valueInverse, rows);
  Value tokens = b.addInteger(program.get(Symbol::Nk));
  Value chunks = b.addInteger(program.getChunks());

  // A channel per lane and register: as many neighbours as spread the row over the whole warp.
  int64_t vectorLength = std::max<int64_t>(channels / 32, 1);
  auto type =
      tile::FragmentType::get(context, {1, channels}, b.getF32Type(),
                              tile::LayoutAttr::rowMajor(context, 1, channels, vectorLength));
  Value head = tile::BlockIdOp::create(b);
  Value zero = b.index(0);
  Value first = b.mul(head, chunks);
  SmallVector<Value> initial{b.splat(type, 0.0f)};
  if (smoothsKey)
    initial.push_back(b.splat(type, 0.0f));
  auto loop = scf::ForOp::create(b, zero, chunks, b.index(1), initial);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = b.add(first, loop.getInductionVar());
    SmallVector<Value> next;
    next.push_back(
        b.map(type, {loop.getRegionIterArgs()[0], b.load(type, maxima, {row, zero})},
              [&](ValueRange x) -> Value { return arith::MaximumFOp::create(b, x[0], x[1]); }));
    if (smoothsKey)
      next.push_back(
          b.map(type, {loop.getRegionIterArgs()[1], b.load(type, sums, {row, zero})},
                [&](ValueRange x) -> Value { return arith::AddFOp::create(b, x[0], x[1]); }));
    scf::YieldOp::create(b, next);
  }
  storeValueScales(b, loop.getResult(0), type, scales, inverses, {head, zero},
                   problem.recipe.getValueRange());
  if (smoothsKey) {
    Value count = arith::SIToFPOp::create(b, b.getF32Type(), b.toI32(tokens));
    Value result = b.map(type, {loop.getResult(1)}, [&](ValueRange x) -> Value {
      return arith::DivFOp::create(b, x[0], count);
    });
    b.store(result, mean, {head, zero});
  }
  program.launch(b, program.getKeyHeads());
}

} // namespace

void sage::addStatisticsKernels(ProgramBuilder &program) {
  int64_t rowBytes = program.getProblem().headDim * 4;
  AffineExpr chunkRows = program.getKeyHeads() * program.getChunks();
  program.addWorkspace(buffer::valueMaxima, chunkRows * rowBytes);
  program.addWorkspace(buffer::valueScales, program.getKeyHeads() * rowBytes);
  program.addWorkspace(buffer::valueInverse, program.getKeyHeads() * rowBytes);
  if (program.getProblem().recipe.smoothsKey()) {
    program.addWorkspace(buffer::keySums, chunkRows * rowBytes);
    program.addWorkspace(buffer::keyMean, program.getKeyHeads() * rowBytes);
  }
  addChunkKernel(program);
  addJoinKernel(program);
}
