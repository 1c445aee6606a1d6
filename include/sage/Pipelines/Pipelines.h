// Pass pipelines, as functions that compose and as names for the command line.

#ifndef SAGE_PIPELINES_PIPELINES_H
#define SAGE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace sage {

struct NVVMToPTXOptions : mlir::PassPipelineOptions<NVVMToPTXOptions> {
  Option<std::string> format{*this, "format",
                             llvm::cl::desc("Object format: isa (PTX), llvm, bin or fatbin"),
                             llvm::cl::init("isa")};
  Option<std::string> toolkitPath{*this, "toolkit",
                                  llvm::cl::desc("Path of a CUDA toolkit (bin and fatbin need its ptxas)"),
                                  llvm::cl::init("")};
  Option<std::string> assemblerOptions{*this, "assembler-options",
                                       llvm::cl::desc("Further options of ptxas"), llvm::cl::init("")};
};

/// sage_tile kernels to functions of the llvm dialect, on a builtin.module.
void buildSageTileToNVVMPipeline(mlir::OpPassManager &manager);

/// gpu.modules to gpu.binary with PTX (or what `options` say), on a builtin.module.
void buildNVVMToPTXPipeline(mlir::OpPassManager &manager, const NVVMToPTXOptions &options);

/// Registers `sage-tile-to-nvvm` and `sage-nvvm-to-ptx`.
void registerSagePipelines();

} // namespace sage

#endif // SAGE_PIPELINES_PIPELINES_H
