// sage-to-cpu: from sage to the llvm dialect, for mlir-runner or an execution engine.

#include "sage/Conversion/SageToLinalg/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

static void bufferize(OpPassManager &manager) {
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  // Callers pass plain row-major buffers.
  options.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  manager.addPass(bufferization::createOneShotBufferizePass(options));
  manager.addNestedPass<func::FuncOp>(createForallToForLoopPass());
  bufferization::buildBufferDeallocationPipeline(manager);
  manager.addPass(createConvertBufferizationToMemRefPass());
}

static void lowerToLLVM(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  // Conversions of bf16 would call a compiler library that the JIT does not have.
  arith::ArithExpandOpsPassOptions arithOptions;
  arithOptions.includeBf16 = true;
  manager.addPass(arith::createArithExpandOpsPass(arithOptions));
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

void sage::buildSageToCpuPipeline(OpPassManager &manager, const SageToCpuOptions &options) {
  SageDecomposeOptions decompose;
  decompose.family = options.family;
  manager.addPass(createSageUnpackSequences());
  manager.addPass(createSageDecompose(decompose));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  bufferize(manager);
  lowerToLLVM(manager);
  manager.addPass(createCSEPass());
}

void sage::registerSageToCpuPipeline() {
  PassPipelineRegistration<SageToCpuOptions>(
      "sage-to-cpu",
      "Decompose sage ops, bufferize, and lower to the llvm dialect. Example: sage-opt x.mlir "
      "--sage-to-cpu | mlir-runner -e main -entry-point-result=void -O3 "
      "-shared-libs=libmlir_runner_utils.so,libmlir_c_runner_utils.so",
      buildSageToCpuPipeline);
}
