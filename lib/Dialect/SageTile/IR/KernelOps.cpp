// Kernels, and how their units divide the work.

#include "Verification.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;

namespace sage::tile {

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> inputs, ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag,
                      std::string &) { return builder.getFunctionType(inputs, results); };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false, getFunctionTypeAttrName(result.name), buildType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false,
                                           getFunctionTypeAttrName(), getArgAttrsAttrName(),
                                           getResAttrsAttrName());
}

int64_t KernelOp::getThreadsPerUnit() { return getUnit() == Unit::Warp ? 32 : 128; }

LogicalResult KernelOp::verify() {
  if (!getFunctionType().getResults().empty())
    return emitOpError("kernel must not have results, but got ")
           << getFunctionType().getNumResults();
  for (auto [index, type] : llvm::enumerate(getArgumentTypes())) {
    if (auto memref = dyn_cast<MemRefType>(type)) {
      SmallVector<int64_t> strides;
      int64_t offset;
      if (failed(memref.getStridesAndOffset(strides, offset)) || offset != 0)
        return emitOpError("argument #")
               << index << " must have a strided layout without offset, but got " << type;
      continue;
    }
    if (!isa<TensorMapType>(type) && !type.isInteger(32) && !type.isInteger(64) && !type.isF32())
      return emitOpError("argument #")
             << index << " must be a memref, a tensor map, i32, i64 or f32, but got " << type;
  }
  return success();
}

/// Every fragment belongs to one unit: its layout numbers exactly the unit's warps.
static LogicalResult verifyWarps(Operation *op, Type type, int64_t warps) {
  if (auto async = dyn_cast<AsyncType>(type))
    type = async.getValueType();
  auto fragment = dyn_cast<FragmentType>(type);
  if (!fragment || fragment.getLayout().getNumWarps() == warps)
    return success();
  return op->emitOpError("fragment layout must span ")
         << warps << (warps == 1 ? " warp" : " warps") << ", as the kernel's unit does, but got "
         << fragment.getLayout().getNumWarps();
}

LogicalResult KernelOp::verifyRegions() {
  if (getBody().empty())
    return emitOpError("kernel must have a body");
  int64_t warps = getThreadsPerUnit() / 32;
  SpecializeOp specialization;
  WalkResult result = walk([&](Operation *op) {
    if (auto specialize = dyn_cast<SpecializeOp>(op)) {
      if (specialization) {
        InFlightDiagnostic diagnostic =
            specialize.emitOpError("kernel must be specialized at most once");
        diagnostic.attachNote(specialization.getLoc()) << "first specialized here";
        return WalkResult::interrupt();
      }
      specialization = specialize;
    }
    for (Type type : op->getResultTypes())
      if (failed(verifyWarps(op, type, warps)))
        return WalkResult::interrupt();
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        if (failed(verifyWarps(op, argument.getType(), warps)))
          return WalkResult::interrupt();
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (Block &block : getBody())
    if (failed(verifyProductsInFlight(block)))
      return failure();
  return success();
}

LogicalResult SpecializeOp::verify() {
  for (int64_t registers : {getProducerRegisters(), getConsumerRegisters()})
    // PTX ISA, "setmaxnreg": from 24 to 256 in steps of 8.
    if (registers != 0 && (registers < 24 || registers > 256 || registers % 8 != 0))
      return emitOpError("register count must be 0 or a multiple of 8 from 24 to 256, but got ")
             << registers;
  return success();
}

//===----------------------------------------------------------------------===//
// BlockIdOp
//===----------------------------------------------------------------------===//

void BlockIdOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  // Neither merged nor moved.
  if (getReload())
    effects.emplace_back(MemoryEffects::Write::get());
}

} // namespace sage::tile
