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
  // Kernels in registers are large: blocks that could be merged are not looked for after each
  // round.
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  modules.addPass(createCanonicalizerPass(config));
  modules.addPass(createCSEPass());
}

void sage::buildLanesToNVVMPipeline(OpPassManager &manager) {
  OpPassManager &modules = manager.nest<gpu::GPUModuleOp>();
  modules.addPass(createConvertSageTileToNVVM());
  // Accesses of one tile repeat their addresses, and every pass below pays for each.
  modules.addPass(createCSEPass());
  modules.addPass(createSCFToControlFlowPass());
  // arith, cf, math, nvvm and vector in one conversion: one for each takes twice as long.
  ConvertToLLVMPassOptions conversion;
  conversion.allowPatternRollback = false;
  modules.addPass(createConvertToLLVMPass(conversion));
  modules.addPass(createReconcileUnrealizedCastsPass());
}

void sage::buildTileToNVVMPipeline(OpPassManager &manager) {
  buildTileToLanesPipeline(manager);
  buildLanesToNVVMPipeline(manager);
}
