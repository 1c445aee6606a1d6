// Addresses of elements in device memory.

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace sage::tile {

/// An index as something and a constant.
static std::pair<Value, int64_t> splitConstant(Value index) {
  IntegerAttr constant;
  if (matchPattern(index, m_Constant(&constant)))
    return {Value(), constant.getInt()};
  auto sum = index.getDefiningOp<arith::AddIOp>();
  if (!sum || !matchPattern(sum.getRhs(), m_Constant(&constant)))
    return {index, 0};
  auto [rest, other] = splitConstant(sum.getLhs());
  return {rest, other + constant.getInt()};
}

/// What the indices of neighbouring accesses share comes first, then multiples of strides, which
/// are the same for all threads, then constants, which instructions add for nothing. Not where
/// roles have budgets of registers, nor where neighbours are a stride of the caller's apart (a
/// bias): LLVM keeps the shared parts, there one for each element, alive through the loop over
/// tiles.
Value KernelLowering::getAddress(Value memref, ValueRange indices) {
  const GlobalMemory &memory = getMemory(memref);
  Type i64 = builder.getI64Type();
  int64_t bytes = llvm::divideCeil(cast<MemRefType>(memref.getType()).getElementTypeBitWidth(), 8);
  auto addTo = [&](Value &sum, Value term) { sum = sum ? add(sum, term) : term; };
  IntegerAttr innermost;
  bool splits = !specialized && !memory.strides.empty() &&
                matchPattern(memory.strides.back(), m_Constant(&innermost));
  Value shared, uniform;
  int64_t fixed = 0;
  for (auto [index, stride] : llvm::zip_equal(indices, memory.strides)) {
    auto [rest, constant] = splits ? splitConstant(index) : std::pair(index, int64_t(0));
    if (rest) {
      Value term = arith::IndexCastOp::create(builder, loc, i64, rest);
      addTo(shared, arith::MulIOp::create(builder, loc, term, stride));
    }
    IntegerAttr known;
    if (matchPattern(stride, m_Constant(&known)))
      fixed += constant * known.getInt();
    else if (constant != 0)
      addTo(uniform, mul(stride, constant));
  }
  Value pointer = memory.pointer;
  if (shared)
    pointer = offset(pointer, mul(shared, bytes));
  if (uniform)
    pointer = offset(pointer, mul(uniform, bytes));
  return offset(pointer, fixed * bytes);
}

} // namespace sage::tile
