// Functions of the special function unit that the LLVM back end does not select by itself (PTX ISA,
// "lg2").

#include "../KernelLowering.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sage::tile {

LogicalResult lowerLog2(math::Log2Op op, KernelLowering &lowering) {
  Value x = op.getOperand();
  if (!getElementTypeOrSelf(x.getType()).isF32())
    return op.emitOpError("operand must be of f32, but got ") << x.getType();
  StringRef name =
      lowering.flushesDenormals() ? "llvm.nvvm.lg2.approx.ftz.f" : "llvm.nvvm.lg2.approx.f";
  auto call = [&](Value element) -> Value {
    return LLVM::CallIntrinsicOp::create(lowering.builder, op.getLoc(), element.getType(),
                                         lowering.builder.getStringAttr(name), ValueRange{element})
        .getResults();
  };
  Value result = isa<VectorType>(x.getType())
                     ? lowering.fromElements(llvm::map_to_vector(lowering.toElements(x), call))
                     : call(x);
  op.getResult().replaceAllUsesWith(result);
  return success();
}

} // namespace sage::tile
