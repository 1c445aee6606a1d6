// Quantized K with its scales.

#include "Preparation.h"

using namespace mlir;
using namespace sage;

/// Scale groups of one key tile: the lanes of a quad.
static constexpr int64_t keyGroups = 4;

/// One warp per scale group: group g of a tile holds the token pairs 8i + 2g, 8i + 2g + 1.
void sage::addKeyKernel(ProgramBuilder &program) {
  const Problem &problem = program.getProblem();
  int64_t channels = problem.headDim, tileTokens = problem.getKeyTile();
  program.addWorkspace(buffer::key, program.getKeyHeads() * program.getPaddedKeys() *
                                        problem.getScoreRowBytes());
  program.addWorkspace(buffer::keyScales, program.getKeyHeads() * (program.getKeyScales() * 4));
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
