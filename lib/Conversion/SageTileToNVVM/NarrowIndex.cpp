// Index arithmetic becomes i32 arithmetic: 64-bit address arithmetic costs twice the instructions
// and registers.

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sage::tile {

static LogicalResult narrowConstant(arith::ConstantOp op) {
  auto value = cast<IntegerAttr>(op.getValue());
  if (!value.getValue().isSignedIntN(32))
    return op.emitOpError("index must fit 32 bits, but got ") << value.getInt();
  Type i32 = IntegerType::get(op.getContext(), 32);
  op.setValueAttr(IntegerAttr::get(i32, value.getInt()));
  op.getResult().setType(i32);
  return success();
}

/// A cast between what was `index` and an integer.
static void replaceCast(Operation *op) {
  OpBuilder builder(op);
  Value source = op->getOperand(0);
  Type type = op->getResult(0).getType();
  unsigned from = source.getType().getIntOrFloatBitWidth(), to = type.getIntOrFloatBitWidth();
  Value result = source;
  if (from > to)
    result = arith::TruncIOp::create(builder, op->getLoc(), type, source);
  else if (from < to && isa<arith::IndexCastUIOp>(op))
    result = arith::ExtUIOp::create(builder, op->getLoc(), type, source);
  else if (from < to)
    result = arith::ExtSIOp::create(builder, op->getLoc(), type, source);
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
}

LogicalResult narrowIndex(LLVM::LLVMFuncOp function) {
  Type i32 = IntegerType::get(function.getContext(), 32);
  auto narrow = [&](Value value) {
    if (value.getType().isIndex())
      value.setType(i32);
  };
  SmallVector<Operation *> casts;
  WalkResult result = function.walk([&](Operation *op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op); constant && constant.getType().isIndex())
      return WalkResult(narrowConstant(constant));
    if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
      casts.push_back(op);
    for (Value value : op->getResults())
      narrow(value);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Value argument : block.getArguments())
          narrow(argument);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (Operation *op : casts)
    replaceCast(op);
  return success();
}

} // namespace sage::tile
