// Quantized Q, K and V with their scales, and the correction of the log-sum-exp.

#include "ProgramBuilder.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr int64_t warpsPerBlock = 4;
/// Scale groups of one key tile: the lanes of a quad.
constexpr int64_t keyGroups = 4;
/// Scale groups of the 16 query rows of a warp: rows t and t + 8.
constexpr int64_t queryGroups = 8;

tile::FragmentType getRowMajor(Builder &b, int64_t rows, int64_t columns, Type elementType,
                               int64_t vectorLength) {
  auto layout = tile::LayoutAttr::rowMajor(b.getContext(), rows, columns, vectorLength);
  return tile::FragmentType::get(b.getContext(), {rows, columns}, elementType, layout);
}

/// The scales and their inverses of groups with the given largest magnitudes (Spec N4, P1).
std::pair<Value, Value> getScales(KernelBuilder &b, Value magnitudes, float range) {
  auto type = cast<tile::FragmentType>(magnitudes.getType());
  return {b.map(type, {magnitudes},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/false); }),
          b.map(type, {magnitudes},
                [&](ValueRange x) { return b.getScale(x[0], range, /*inverse=*/true); })};
}

/// Largest magnitude of the groups that `groups` (row, column) -> (group, 0) names.
Value getMagnitudes(KernelBuilder &b, Value x, AffineMap groups, int64_t numGroups) {
  auto type = cast<tile::FragmentType>(x.getType());
  Value magnitudes =
      b.map(type, {x}, [&](ValueRange e) -> Value { return math::AbsFOp::create(b, e[0]); });
  auto result = tile::FragmentType::get(b.getContext(), {numGroups, 1}, b.getF32Type(),
                                        type.getLayout().project(groups));
  return b.reduce(tile::ReduceKind::MaximumF, magnitudes, result, groups);
}

Value quantize(KernelBuilder &b, Value x, Value inverses, AffineMap groups) {
  auto type = cast<tile::FragmentType>(x.getType());
  Value scaled = b.map(type, {x, inverses}, {b.getMultiDimIdentityMap(2), groups},
                       [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  return b.convert(scaled, type.withElementType(b.getI8Type()));
}

void addQueryKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim;
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

/// One warp per scale group: group g of a tile holds the token pairs 8i + 2g, 8i + 2g + 1.
void addKeyKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim, tileTokens = problem.getKeyTile();
  KernelBuilder b = program.startKernel("quantize_key", tile::Unit::Warp, keyGroups);
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value key = b.addTensor("key", problem.elementType, channels, Symbol::KeyB);
  Value mean;
  if (problem.recipe.smoothsKey())
    mean = b.addBuffer(buffer::keyMean, MemRefType::get({dynamic, channels}, b.getF32Type()));
  Value quantized = b.addBuffer(buffer::key, MemRefType::get({dynamic, channels}, b.getI8Type()));
  Value scales = b.addBuffer(buffer::keyScales, MemRefType::get({dynamic}, b.getF32Type()));
  Value tokens = b.addInteger(program.get(Symbol::Nk));
  Value heads = b.addInteger(program.get(Symbol::Hkv));
  AffineExpr tilesExpr = program.get(Symbol::Nk).ceilDiv(tileTokens);
  Value tiles = b.addInteger(tilesExpr);
  Value paddedTiles = b.addInteger(program.getPaddedKeys().floorDiv(tileTokens));

  auto [head, tileInHead] = b.divide(tile::BlockIdOp::create(b), tiles);
  auto [batch, headInBatch] = b.divide(head, heads);
  Value unit = tile::UnitIdOp::create(b);
  Value pair = b.mul(unit, 2);
  Value zero = b.index(0);
  Value firstToken = b.add(b.mul(tileInHead, tileTokens), pair);
  int64_t rows = tileTokens / keyGroups;
  auto inputType = getRowMajor(b, rows, channels, problem.elementType, 8);
  auto type = inputType.withElementType(b.getF32Type());
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  AffineMap members = AffineMap::get(2, 0, {row.floorDiv(2) * 8 + row % 2, column}, b.getContext());
  Value x = b.convert(
      b.load(inputType, key, {batch, headInBatch, firstToken, zero}, tokens, members), type);
  if (mean) {
    auto meanType = tile::FragmentType::get(b.getContext(), {1, channels}, b.getF32Type(),
                                            type.getLayout().dropRows());
    // Tokens past the end stay zero: the mean is not subtracted from padding.
    Value left = b.toI32(b.sub(tokens, firstToken));
    AffineMap identity = b.getMultiDimIdentityMap(2);
    AffineMap firstRow = AffineMap::get(2, 0, {b.getAffineConstantExpr(0), column}, b.getContext());
    x = b.map(
        type, {x, b.load(meanType, mean, {head, zero})}, {identity, firstRow},
        [&](ValueRange e) -> Value {
          auto constant = [&](int64_t value) -> Value {
            return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
          };
          Value odd = arith::AndIOp::create(b, e[0], constant(1));
          Value offset = arith::AddIOp::create(
              b, arith::MulIOp::create(b, arith::SubIOp::create(b, e[0], odd), constant(4)), odd);
          Value valid = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, offset, left);
          return arith::SelectOp::create(b, valid, arith::SubFOp::create(b, e[2], e[3]),
                                         b.f32(0.0f));
        },
        /*positions=*/true);
  }
  AffineExpr none = b.getAffineConstantExpr(0);
  AffineMap all = AffineMap::get(2, 0, {none, none}, b.getContext());
  auto [scale, inverse] = getScales(b, getMagnitudes(b, x, all, 1), problem.recipe.getScoreRange());
  Value tileRow = b.add(b.mul(head, paddedTiles), tileInHead);
  b.store(quantize(b, x, inverse, all), quantized, {b.add(b.mul(tileRow, tileTokens), pair), zero},
          {}, members);
  b.store(scale, scales, {b.add(b.mul(tileRow, keyGroups), unit)});
  program.launch(b, program.getKeyHeads() * tilesExpr);
}

/// One block per key tile: e4m3 tokens go through shared memory, from which they are read
/// channel-major in storage order.
void addValueKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim, tileTokens = problem.getKeyTile();
  KernelBuilder b = program.startKernel("quantize_value", tile::Unit::Warp, warpsPerBlock);
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Type e4m3 = Float8E4M3FNType::get(b.getContext());
  Value value = b.addTensor("value", problem.elementType, channels, Symbol::ValueB);
  Value inverses =
      b.addBuffer(buffer::valueInverse, MemRefType::get({dynamic, channels}, b.getF32Type()));
  Value quantized = b.addRows(buffer::value, e4m3, program.getPaddedKeys());
  Value tokens = b.addInteger(program.get(Symbol::Nk));
  Value heads = b.addInteger(program.get(Symbol::Hkv));
  AffineExpr tilesExpr = program.get(Symbol::Nk).ceilDiv(tileTokens);
  Value tiles = b.addInteger(tilesExpr);

  auto [head, tileInHead] = b.divide(tile::BlockIdOp::create(b), tiles);
  auto [batch, headInBatch] = b.divide(head, heads);
  Value unit = tile::UnitIdOp::create(b);
  Value zero = b.index(0);
  Value shared = tile::AllocOp::create(
      b, tile::SharedType::get(b.getContext(), {tileTokens, channels}, e4m3, 0));
  Value tileToken = b.mul(tileInHead, tileTokens);
  Value channelRow = b.mul(head, channels);

  int64_t tokenRows = tileTokens / warpsPerBlock;
  Value unitToken = b.mul(unit, tokenRows);
  auto inputType = getRowMajor(b, tokenRows, channels, problem.elementType, 8);
  auto type = inputType.withElementType(b.getF32Type());
  auto inverseType = tile::FragmentType::get(b.getContext(), {1, channels}, b.getF32Type(),
                                             type.getLayout().dropRows());
  Value x = b.convert(
      b.load(inputType, value, {batch, headInBatch, b.add(tileToken, unitToken), zero}, tokens),
      type);
  Value scaled = b.map(type, {x, b.load(inverseType, inverses, {head, zero})},
                       [&](ValueRange e) -> Value { return arith::MulFOp::create(b, e[0], e[1]); });
  b.store(b.convert(scaled, type.withElementType(e4m3)), shared, {unitToken, zero});
  tile::SyncOp::create(b);

  int64_t channelRows = channels / warpsPerBlock;
  Value unitChannel = b.mul(unit, channelRows);
  auto outputType = getRowMajor(b, channelRows, tileTokens, e4m3, 16);
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  AffineExpr token = problem.geometry.getValueOrderMap().getResult(0).replaceDims({column});
  AffineMap transposed = AffineMap::get(2, 0, {token, row}, b.getContext());
  Value y = b.load(outputType, shared, {zero, unitChannel}, {}, transposed);
  b.store(y, quantized, {b.add(channelRow, unitChannel), tileToken});
  program.launch(b, program.getKeyHeads() * tilesExpr);
}

} // namespace

void sage::addQuantizationKernels(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  AffineExpr queryRows = program.getQueryHeads() * program.getPaddedQueries();
  AffineExpr keyRows = program.getKeyHeads() * program.getPaddedKeys();
  program.addWorkspace(buffer::query, queryRows * problem.headDim);
  program.addWorkspace(
      buffer::queryScales,
      program.getQueryHeads() *
          (program.getPaddedQueries().floorDiv(Problem::warpRows) * (queryGroups * 4)));
  program.addWorkspace(buffer::key, keyRows * problem.headDim);
  program.addWorkspace(
      buffer::keyScales,
      program.getKeyHeads() *
          (program.getPaddedKeys().floorDiv(problem.getKeyTile()) * (keyGroups * 4)));
  program.addWorkspace(buffer::value, keyRows * problem.headDim);
  if (problem.correctsLse())
    program.addWorkspace(buffer::lseCorrection, queryRows * 4);
  addQueryKernel(program);
  addKeyKernel(program);
  addValueKernel(program);
}
