// From sage_tile kernels to the llvm dialect, and from there to PTX.

#include "sage/Pipelines/Pipelines.h"

#include "sage/Conversion/SageTileToNVVM/Passes.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace sage {

void buildSageTileToNVVMPipeline(OpPassManager &manager) {
  auto &device = manager.nest<gpu::GPUModuleOp>();
  device.addNestedPass<tile::KernelOp>(tile::createDistribute());
  device.addPass(createLowerAffinePass());
  device.addPass(createCSEPass());
  device.addPass(createCanonicalizerPass());
  device.addPass(createConvertSageTileToNVVM());
  device.addPass(arith::createArithExpandOpsPass());
  device.addPass(createCSEPass());
  device.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  auto &lowered = manager.nest<gpu::GPUModuleOp>();
  lowered.addPass(createConvertMathToLLVMPass());
  lowered.addPass(createArithToLLVMConversionPass());
  lowered.addPass(createConvertNVVMToLLVMPass());
  lowered.addPass(createReconcileUnrealizedCastsPass());
}

void buildNVVMToPTXPipeline(OpPassManager &manager, const NVVMToPTXOptions &options) {
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = options.format;
  binary.toolkitPath = options.toolkitPath;
  binary.cmdOptions = options.assemblerOptions;
  manager.addPass(createGpuModuleToBinaryPass(binary));
}

void registerSagePipelines() {
  PassPipelineRegistration<>("sage-tile-to-nvvm",
                             "Lower sage_tile kernels to functions of the llvm dialect",
                             buildSageTileToNVVMPipeline);
  PassPipelineRegistration<NVVMToPTXOptions>(
      "sage-nvvm-to-ptx", "Serialize the gpu.modules of a module to PTX", buildNVVMToPTXPipeline);
}

} // namespace sage
