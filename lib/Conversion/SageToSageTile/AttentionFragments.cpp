// Types of the fragments that the attention kernel computes with, and how they index one another.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

tile::FragmentType AttentionKernel::getFragment(int64_t rows, int64_t columns, Type type,
                                                tile::LayoutAttr layout) {
  return tile::FragmentType::get(b.getContext(), {rows, columns}, type, layout);
}

tile::FragmentType AttentionKernel::getAccumulator(int64_t columns, Type type) {
  return getFragment(unitRows, columns, type,
                     tile::LayoutAttr::accumulator(b.getContext(), warps(), columns));
}

tile::FragmentType AttentionKernel::getOperand(int64_t columns, Type type) {
  // 16-bit operands lie as accumulators do (PTX ISA, "Matrix fragments for mma.m16n8k16").
  if (type.getIntOrFloatBitWidth() == 16)
    return getAccumulator(columns, type);
  return getFragment(unitRows, columns, type,
                     tile::LayoutAttr::operandA8(b.getContext(), warps(), columns));
}

tile::FragmentType AttentionKernel::getRow(Type type) {
  return getFragment(unitRows, 1, type, tile::LayoutAttr::accumulatorRow(b.getContext(), warps()));
}

tile::FragmentType AttentionKernel::getQuad() {
  return getFragment(unitRows, 4, b.getF32Type(),
                     tile::LayoutAttr::accumulatorQuad(b.getContext(), warps()));
}

tile::FragmentType AttentionKernel::getColumns(int64_t columns) {
  auto quad = tile::LayoutAttr::quad(b.getContext(), warps());
  tile::LayoutAttr layout =
      columns == 1   ? quad.dropColumns()
      : columns == 4 ? quad
                     : tile::LayoutAttr::accumulatorColumn(b.getContext(), warps(), columns);
  return getFragment(1, columns, b.getF32Type(), layout);
}

AffineMap AttentionKernel::toRow() {
  return AffineMap::get(2, 0, {b.getAffineDimExpr(0), b.getAffineConstantExpr(0)}, b.getContext());
}

AffineMap AttentionKernel::toColumn() {
  return AffineMap::get(2, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(1)}, b.getContext());
}

AffineMap AttentionKernel::toQuad() {
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  return AffineMap::get(2, 0, {row, (column % 8).floorDiv(2)}, b.getContext());
}

Value AttentionKernel::minimum(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }

Value AttentionKernel::notNegative(Value x) { return arith::MaxSIOp::create(b, x, b.index(0)); }
