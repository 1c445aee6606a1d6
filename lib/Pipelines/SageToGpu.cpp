// sage-to-gpu: host programs as functions beside a gpu.binary.

#include "sage/Pipelines/SageToGpu.h"

#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void sage::buildSageToGpuPipeline(OpPassManager &manager, const SageToGpuOptions &options) {
  PipelineOptions compile;
  compile.chip = options.chip;
  compile.recipe = options.recipe;
  compile.substitute = options.substitute;
  compile.scheduleFile = options.scheduleFile;
  buildSageToNVVMPipeline(manager, compile);
  manager.addPass(createConvertSageProgramToGPU({options.workspace, options.checks}));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = options.format;
  binary.toolkitPath = options.toolkit;
  manager.addPass(createGpuModuleToBinaryPass(binary));
}

void sage::registerSageToGpuPipeline() {
  PassPipelineRegistration<SageToGpuOptions>(
      "sage-to-gpu",
      "Compile sage.attention to a gpu.binary and functions that launch its kernels, which passes "
      "of MLIR lower",
      buildSageToGpuPipeline);
}
