// The roads from sage.attention to PTX.

#include "sage/Pipelines/Pipelines.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "sage/Conversion/SageToSageTile/Passes.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"

using namespace mlir;

void sage::buildLegalizePipeline(OpPassManager &manager, const PipelineOptions &options) {
  manager.addPass(createSageLegalizeRecipe({options.chip, options.recipe, options.substitute}));
  manager.addPass(createSageAssignSchedule({options.scheduleFile, options.splitKeys}));
}

void sage::buildQuantizePipeline(OpPassManager &manager) {
  manager.addPass(createSageSmooth());
  manager.addPass(createSageQuantize());
  manager.addPass(createCSEPass());
}

void sage::buildSageToQuantizedPipeline(OpPassManager &manager, const PipelineOptions &options) {
  buildLegalizePipeline(manager, options);
  buildQuantizePipeline(manager);
}

void sage::buildQuantizedToTilePipeline(OpPassManager &manager, bool overlapLaunches) {
  ConvertSageToSageTileOptions conversion;
  conversion.overlapLaunches = overlapLaunches;
  manager.addPass(createConvertSageToSageTile(conversion));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void sage::buildTileSchedulePipeline(OpPassManager &manager) {
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>().nest<tile::KernelOp>();
  kernels.addPass(createApplySchedule());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
}

void sage::buildSageToTilePipeline(OpPassManager &manager, const PipelineOptions &options) {
  buildSageToQuantizedPipeline(manager, options);
  buildQuantizedToTilePipeline(manager, options.overlapLaunches);
  buildTileSchedulePipeline(manager);
}

void sage::buildSageToNVVMPipeline(OpPassManager &manager, const PipelineOptions &options) {
  buildSageToTilePipeline(manager, options);
  buildTileToNVVMPipeline(manager);
}

void sage::buildSageToPTXPipeline(OpPassManager &manager, const PipelineOptions &options) {
  buildSageToNVVMPipeline(manager, options);
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = "isa";
  manager.addPass(createGpuModuleToBinaryPass(binary));
}

void sage::registerPipelines() {
  registerSagePipelinesPasses();
  PassPipelineRegistration<PipelineOptions>(
      "sage-to-tile", "Compile sage.attention to scheduled tile kernels and a host program",
      buildSageToTilePipeline);
  PassPipelineRegistration<PipelineOptions>(
      "sage-to-nvvm", "Compile sage.attention to one chip's instructions and a host program",
      buildSageToNVVMPipeline);
  PassPipelineRegistration<PipelineOptions>(
      "sage-to-ptx", "Compile sage.attention to a gpu.binary of PTX and a host program",
      buildSageToPTXPipeline);
}

void sage::registerCompilerDialects(DialectRegistry &registry) {
  registry
      .insert<affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
              gpu::GPUDialect, linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect,
              memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect, SageDialect,
              tensor::TensorDialect, tile::SageTileDialect, vector::VectorDialect>();
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  registerConvertMathToLLVMInterface(registry);
  registerConvertNVVMToLLVMInterface(registry);
  vector::registerConvertVectorToLLVMInterface(registry);
  NVVM::registerNVVMTargetInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}
