// Quantized Q with its scales, and the correction of the log-sum-exp.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

static constexpr int64_t warpsPerBlock = 4;
/// Scale groups of the 16 query rows of a warp: rows t and t + 8.
static constexpr int64_t queryGroups = 8;

void sage::addQueryKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim;
  AffineExpr rows = program.getQueryHeads() * program.getPaddedQueries();
  program.addWorkspace(buffer::query, rows * problem.getScoreRowBytes());
  program.addWorkspace(buffer::queryScales,
                       program.getQueryHeads() * (program.getQueryScales() * 4));
  if (problem.correctsLse())
    program.addWorkspace(buffer::lseCorrection, rows * 4);
  KernelBuilder b = program.startKernel("quantize_query", tile::Unit::Warp, warpsPerBlock);
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value query = b.addTensor("query", problem.elementType, channels, Symbol::QueryB);
  Value quantized = b.addBuffer(buffer::query, MemRefType::get({dynamic, channels}, b.getI8Type()));
  Value scales = b.addBuffer(buffer::queryScales, MemRefType::get({dynamic}, b.getF32Type()));
  Value tokens = b.addInteger(program.get(Symbol::Nq));
  Value heads = b.addInteger(program.get(Symbol::Hq));
  AffineExpr blocksExpr = program.getPaddedQueries().floorDiv(Problem::warpRows);
  Value blocks = b.addInteger(blocksExpr);
  AffineExpr work = program.getQueryHeads() * blocksExpr;
  Value total = b.addInteger(work);

  Value id = b.add(b.mul(tile::BlockIdOp::create(b), warpsPerBlock), tile::UnitIdOp::create(b));
  Value inRange = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, id, total);
  auto guarded = scf::IfOp::create(b, inRange, /*withElseRegion=*/false);
  Block *entry = b.getInsertionBlock();
  auto afterGuard = std::next(Block::iterator(guarded));
  b.setInsertionPointToStart(guarded.thenBlock());
  auto [head, block] = b.divide(id, blocks);
  auto [batch, headInBatch] = b.divide(head, heads);
  Value token = b.mul(block, Problem::warpRows);
  Value zero = b.index(0);
  auto inputType = getRowMajor(b, Problem::warpRows, channels, problem.elementType, 8);
  auto type = inputType.withElementType(b.getF32Type());
  Value x = b.convert(b.load(inputType, query, {batch, headInBatch, token, zero}, tokens), type);

  AffineExpr row = b.getAffineDimExpr(0);
  AffineMap groups =
      AffineMap::get(2, 0, {row % queryGroups, b.getAffineConstantExpr(0)}, b.getContext());
  Value magnitudes = getMagnitudes(b, x, groups, queryGroups);
  auto [scale, inverse] = getScales(b, magnitudes, problem.recipe.getScoreRange());
  Value workspaceRow = b.mul(id, Problem::warpRows);
  b.store(quantize(b, x, inverse, groups), quantized, {workspaceRow, zero});
  b.store(scale, scales, {b.mul(id, queryGroups)});

  if (problem.correctsLse()) {
    OpBuilder::InsertPoint inside = b.saveInsertionPoint();
    b.setInsertionPoint(guarded);
    Value mean = b.addBuffer(buffer::keyMean, MemRefType::get({dynamic, channels}, b.getF32Type()));
    Value correction =
        b.addBuffer(buffer::lseCorrection, MemRefType::get({dynamic}, b.getF32Type()));
    Value keyHeads = b.addInteger(program.get(Symbol::Hkv));
    Value softmaxScale = b.addScale(1.0);
    b.restoreInsertionPoint(inside);
    Value group = b.divide(heads, keyHeads).first;
    Value keyHead = b.add(b.mul(batch, keyHeads), b.divide(headInBatch, group).first);
    auto meanType = tile::FragmentType::get(b.getContext(), {1, channels}, b.getF32Type(),
                                            type.getLayout().dropRows());
    auto dotType = tile::FragmentType::get(b.getContext(), {Problem::warpRows, 1}, b.getF32Type(),
                                           type.getLayout().dropColumns());
    Value products =
        b.map(type, {x, b.load(meanType, mean, {keyHead, zero})},
              [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
    Value dots = b.reduce(tile::ReduceKind::AddF, products, dotType);
    Value scaled = b.map(dotType, {dots}, [&](ValueRange e) -> Value {
      return arith::MulFOp::create(b, e[0], softmaxScale);
    });
    b.store(scaled, correction, {workspaceRow});
  }
  b.setInsertionPoint(entry, afterGuard);
  program.launch(b, work.ceilDiv(warpsPerBlock));
}
