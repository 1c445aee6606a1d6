// Scheduled tile kernels to one chip's instructions.

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Transforms/Passes.h"
#include "sage/Conversion/SageTileToNVVM/Passes.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"
#include "sage/Pipelines/Pipelines.h"

using namespace mlir;

void sage::buildTileToLanesPipeline(OpPassManager &manager) {
  OpPassManager &modules = manager.nest<gpu::GPUModuleOp>();
  modules.nest<tile::KernelOp>().addPass(tile::createDistribute());
  modules.addPass(createCanonicalizerPass());
  modules.addPass(createCSEPass());
}

void sage::buildLanesToNVVMPipeline(OpPassManager &manager) {
  {
    OpPassManager &modules = manager.nest<gpu::GPUModuleOp>();
    modules.addPass(createConvertSageTileToNVVM());
    // Accesses of one tile repeat their addresses, and every pass below pays for each.
    modules.addPass(createCSEPass());
    modules.addPass(createSCFToControlFlowPass());
  }
  // convert-cf-to-llvm and convert-vector-to-llvm want a builtin.module.
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  OpPassManager &modules = manager.nest<gpu::GPUModuleOp>();
  modules.addPass(createConvertMathToLLVMPass());
  modules.addPass(createArithToLLVMConversionPass());
  modules.addPass(createConvertNVVMToLLVMPass());
  modules.addPass(createReconcileUnrealizedCastsPass());
}

void sage::buildTileToNVVMPipeline(OpPassManager &manager) {
  buildTileToLanesPipeline(manager);
  buildLanesToNVVMPipeline(manager);
}
