// Quantized V: channel-major, tokens in storage order.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

static constexpr int64_t warpsPerBlock = 4;

/// One block per key tile: e4m3 tokens go through shared memory, from which they are read
/// channel-major in storage order.
void sage::addValueKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim, tileTokens = problem.getKeyTile();
  program.addWorkspace(buffer::value,
                       program.getKeyHeads() * program.getPaddedKeys() *
                           (problem.getPaddedValueHeadDim() * problem.getValueBytes()));
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
