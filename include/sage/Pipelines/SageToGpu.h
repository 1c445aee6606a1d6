// The road from sage.attention to a module that passes of MLIR finish: for embedders.

#ifndef SAGE_PIPELINES_SAGETOGPU_H
#define SAGE_PIPELINES_SAGETOGPU_H

#include "sage/Conversion/SageProgramToGPU/Passes.h"
#include "sage/Pipelines/Pipelines.h"

namespace sage {

struct SageToGpuOptions : mlir::PassPipelineOptions<SageToGpuOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("As of sage-to-ptx"), llvm::cl::init("")};
  Option<std::string> recipe{*this, "recipe", llvm::cl::desc("As of sage-to-ptx"),
                             llvm::cl::init("")};
  Option<bool> substitute{*this, "substitute", llvm::cl::desc("As of sage-to-ptx"),
                          llvm::cl::init(false)};
  Option<std::string> scheduleFile{*this, "schedule-file", llvm::cl::desc("As of sage-to-ptx"),
                                   llvm::cl::init("")};
  Option<std::string> format{
      *this, "format",
      llvm::cl::desc("Of the gpu.binary: isa (PTX, assembled by the driver), bin or fatbin (by "
                     "ptxas)"),
      llvm::cl::init("isa")};
  Option<std::string> toolkit{*this, "toolkit",
                              llvm::cl::desc("Folder of the CUDA Toolkit, for bin and fatbin"),
                              llvm::cl::init("")};
  Option<WorkspaceMemory> workspace{
      *this, "workspace", llvm::cl::desc("Who allocates the workspace of a call"),
      llvm::cl::init(WorkspaceMemory::Gpu),
      llvm::cl::values(clEnumValN(WorkspaceMemory::Gpu, "gpu", "gpu.alloc"),
                       clEnumValN(WorkspaceMemory::Host, "host", "memref.alloc"))};
  Option<bool> checks{*this, "checks",
                      llvm::cl::desc("Check the caller's tensors and the workspace"),
                      llvm::cl::init(true)};
};

/// Builds sage-to-gpu: sage-to-nvvm, convert-sage-program-to-gpu, gpu-module-to-binary.
void buildSageToGpuPipeline(mlir::OpPassManager &manager, const SageToGpuOptions &options);
void registerSageToGpuPipeline();

} // namespace sage

#endif // SAGE_PIPELINES_SAGETOGPU_H
