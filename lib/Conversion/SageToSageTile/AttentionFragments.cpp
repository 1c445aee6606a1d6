// Types of the fragments of rows, and how they index one another.

#include "AttentionRows.h"

using namespace mlir;
using namespace sage;

AttentionRows::AttentionRows(ProgramBuilder &program, llvm::StringRef name, tile::Unit unit,
                             int64_t units, int64_t unitRows)
    : program(program), problem(program.getProblem()), unitRows(unitRows),
      channels(problem.getPaddedValueHeadDim()), b(program.startKernel(name, unit, units)),
      querySpace(program, b, Side::Query, problem.getQueryPadding()),
      keySpace(program, b, Side::Key, problem.getKeyTile()) {}

tile::FragmentType AttentionRows::getFragment(int64_t rows, int64_t columns, Type type,
                                              tile::LayoutAttr layout) {
  return tile::FragmentType::get(b.getContext(), {rows, columns}, type, layout);
}

tile::FragmentType AttentionRows::getAccumulator(int64_t columns, Type type) {
  return getFragment(unitRows, columns, type,
                     tile::LayoutAttr::accumulator(b.getContext(), warps(), columns));
}

tile::FragmentType AttentionRows::getOperand(int64_t columns, Type type) {
  // 16-bit operands lie as accumulators do (PTX ISA, "Matrix fragments for mma.m16n8k16").
  if (type.getIntOrFloatBitWidth() == 16)
    return getAccumulator(columns, type);
  return getFragment(unitRows, columns, type,
                     tile::LayoutAttr::operandA8(b.getContext(), warps(), columns));
}

tile::FragmentType AttentionRows::getRow(Type type) {
  return getFragment(unitRows, 1, type, tile::LayoutAttr::accumulatorRow(b.getContext(), warps()));
}

tile::FragmentType AttentionRows::getQuad() {
  return getFragment(unitRows, 4, b.getF32Type(),
                     tile::LayoutAttr::accumulatorQuad(b.getContext(), warps()));
}

tile::FragmentType AttentionRows::getColumns(int64_t columns) {
  auto quad = tile::LayoutAttr::quad(b.getContext(), warps());
  tile::LayoutAttr layout =
      columns == 1   ? quad.dropColumns()
      : columns == 4 ? quad
                     : tile::LayoutAttr::accumulatorColumn(b.getContext(), warps(), columns);
  return getFragment(1, columns, b.getF32Type(), layout);
}

AffineMap AttentionRows::toRowIndex() {
  return AffineMap::get(2, 0, {b.getAffineDimExpr(0)}, b.getContext());
}

AffineMap AttentionRows::toRow() {
  return AffineMap::get(2, 0, {b.getAffineDimExpr(0), b.getAffineConstantExpr(0)}, b.getContext());
}

AffineMap AttentionRows::toColumn() {
  return AffineMap::get(2, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(1)}, b.getContext());
}

AffineMap AttentionRows::toQuad() {
  AffineExpr row = b.getAffineDimExpr(0), column = b.getAffineDimExpr(1);
  return AffineMap::get(2, 0, {row, (column % 8).floorDiv(2)}, b.getContext());
}

Value AttentionRows::minimum(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }

Value AttentionRows::notNegative(Value x) { return arith::MaxSIOp::create(b, x, b.index(0)); }
