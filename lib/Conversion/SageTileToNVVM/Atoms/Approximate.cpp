// Functions of the special function unit that the LLVM back end does not select by itself (PTX ISA,
// "lg2" and "rcp").

#include "../KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sage::tile {

/// Calls `name` on `x`, element by element.
static Value callElementwise(StringRef name, Value x, KernelLowering &lowering) {
  auto call = [&](Value element) -> Value {
    return LLVM::CallIntrinsicOp::create(lowering.builder, lowering.getLoc(), element.getType(),
                                         lowering.builder.getStringAttr(name), ValueRange{element})
        .getResults();
  };
  if (!isa<VectorType>(x.getType()))
    return call(x);
  return lowering.fromElements(llvm::map_to_vector(lowering.toElements(x), call));
}

LogicalResult lowerLog2(math::Log2Op op, KernelLowering &lowering) {
  Value x = op.getOperand();
  if (!getElementTypeOrSelf(x.getType()).isF32())
    return op.emitOpError("operand must be of f32, but got ") << x.getType();
  StringRef name =
      lowering.flushesDenormals() ? "llvm.nvvm.lg2.approx.ftz.f" : "llvm.nvvm.lg2.approx.f";
  op.getResult().replaceAllUsesWith(callElementwise(name, x, lowering));
  return success();
}

LogicalResult lowerDivision(arith::DivFOp op, KernelLowering &lowering) {
  if (!getElementTypeOrSelf(op.getType()).isF32())
    return op.emitOpError("approximate division must be of f32, but got ") << op.getType();
  Value inverse = callElementwise("llvm.nvvm.rcp.approx.ftz.f", op.getRhs(), lowering);
  op.getResult().replaceAllUsesWith(
      arith::MulFOp::create(lowering.builder, op.getLoc(), op.getLhs(), inverse));
  return success();
}

} // namespace sage::tile
