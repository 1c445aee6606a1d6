// Host programs as functions of the gpu dialect.

#include "HostFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace sage {
#define GEN_PASS_DEF_CONVERTSAGEPROGRAMTOGPU
#include "sage/Conversion/SageProgramToGPU/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

class ConvertSageProgramToGPUPass
    : public sage::impl::ConvertSageProgramToGPUBase<ConvertSageProgramToGPUPass> {
public:
  using ConvertSageProgramToGPUBase::ConvertSageProgramToGPUBase;

  void runOnOperation() override {
    if (failed(convert()))
      signalPassFailure();
  }

private:
  LogicalResult convert() {
    ModuleOp module = getOperation();
    llvm::StringMap<HostFunctions> functions;
    SmallVector<tile::ProgramOp> programs(module.getOps<tile::ProgramOp>());
    for (tile::ProgramOp program : programs) {
      FailureOr<HostFunctions> created = createHostFunctions(program, checks);
      if (failed(created))
        return failure();
      functions[program.getSymName()] = *created;
    }
    SmallVector<tile::InvokeOp> invokes;
    module.walk([&](tile::InvokeOp invoke) { invokes.push_back(invoke); });
    for (tile::InvokeOp invoke : invokes) {
      auto found = functions.find(invoke.getProgram());
      if (found == functions.end()) {
        InFlightDiagnostic diagnostic =
            invoke.emitOpError("program must be a sage_tile.program of the module, but got ");
        diagnostic << invoke.getProgramAttr();
        diagnostic.attachNote(module.getLoc()) << "the program's functions replace it: convert "
                                                  "a module with all its programs at once";
        return diagnostic;
      }
      if (failed(convertInvoke(invoke, found->second, workspace)))
        return failure();
    }
    for (tile::ProgramOp program : programs)
      program.erase();
    if (!programs.empty())
      module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), UnitAttr::get(&getContext()));
    return success();
  }
};

} // namespace
