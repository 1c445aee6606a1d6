// Floats to four 8-bit values in a word (PTX ISA, "cvt" and "cvt.pack").

#include "../KernelLowering.h"
#include "InlinePtx.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sage::tile {

static Value packF8(ArrayRef<Value> x, Type type, OpBuilder &builder, Location loc) {
  auto convert = [&](Value low, Value high) -> Value {
    // The instruction's first operand is the high byte.
    return NVVM::ConvertF32x2ToF8x2Op::create(
        builder, loc, builder.getI16Type(), high, low, NVVM::FPRoundingMode::RN,
        NVVM::SaturationMode::SATFINITE, /*relu=*/false, type);
  };
  auto halvesType = VectorType::get({2}, builder.getI16Type());
  Value low = convert(x[0], x[1]), high = convert(x[2], x[3]);
  Value halves = vector::FromElementsOp::create(builder, loc, halvesType, ValueRange{low, high});
  return LLVM::BitcastOp::create(builder, loc, builder.getI32Type(), halves);
}

/// cvt.rni makes NaN 0 and saturates; -128 is not in the range of the quantized values.
static Value packI8(ArrayRef<Value> x, KernelLowering &lowering) {
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.getLoc();
  SmallVector<Value> integers;
  for (Value value : x) {
    auto call =
        LLVM::CallIntrinsicOp::create(builder, loc, builder.getI32Type(),
                                      builder.getStringAttr("llvm.nvvm.f2i.rn"), ValueRange{value});
    integers.push_back(
        arith::MaxSIOp::create(builder, loc, call.getResults(), lowering.constant(-127)));
  }
  Value high = emitPackSaturate(builder, loc, integers[2], integers[3], lowering.constant(0));
  return emitPackSaturate(builder, loc, integers[0], integers[1], high);
}

LogicalResult lowerPack(PackOp op, KernelLowering &lowering) {
  SmallVector<Value> elements = lowering.toElements(op.getSource()), words;
  for (size_t i = 0; i < elements.size(); i += 4) {
    auto four = ArrayRef(elements).slice(i, 4);
    words.push_back(op.getElementType().isInteger(8)
                        ? packI8(four, lowering)
                        : packF8(four, op.getElementType(), lowering.builder, lowering.getLoc()));
  }
  op.getResult().replaceAllUsesWith(lowering.fromElements(words));
  return success();
}

} // namespace sage::tile
