// The roads from sage.attention to PTX, as functions that compose and as names for the command
// line.

#ifndef SAGE_PIPELINES_PIPELINES_H
#define SAGE_PIPELINES_PIPELINES_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace sage {

/// Where the tensors of runtime calls are.
enum class CallMemory { Host, Device };

#define GEN_PASS_DECL
#include "sage/Pipelines/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Pipelines/Passes.h.inc"

struct PipelineOptions : mlir::PassPipelineOptions<PipelineOptions> {
  Option<std::string> chip{
      *this, "chip",
      llvm::cl::desc("Chip to compile for, e.g. sm_90a; may be left out where ops carry a target"),
      llvm::cl::init("")};
  Option<std::string> recipe{
      *this, "recipe",
      llvm::cl::desc("Name of a recipe that replaces every op's; empty keeps them"),
      llvm::cl::init("")};
  Option<bool> substitute{
      *this, "substitute",
      llvm::cl::desc("Replace a recipe that the chip cannot run by the nearest one that it can"),
      llvm::cl::init(false)};
  Option<std::string> scheduleFile{
      *this, "schedule-file",
      llvm::cl::desc("File of sage.schedule rows that replaces the embedded ones"),
      llvm::cl::init("")};
  Option<bool> splitKeys{
      *this, "split-keys",
      llvm::cl::desc("Take long keys in parts where queries are few, and join the parts"),
      llvm::cl::init(true)};
  Option<bool> overlapLaunches{
      *this, "overlap-launches",
      llvm::cl::desc("Let a launch start while the one before it ends, on chips that can"),
      llvm::cl::init(true)};
};

/// sage.attention to one that is legal for a chip and has a schedule and a geometry.
void buildLegalizePipeline(mlir::OpPassManager &manager, const PipelineOptions &options);
/// That to explicit smoothing and quantization.
void buildQuantizePipeline(mlir::OpPassManager &manager);
/// Both.
void buildSageToQuantizedPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);
/// Quantized attention to sequential kernels and a host program.
void buildQuantizedToTilePipeline(mlir::OpPassManager &manager, bool overlapLaunches = true);
/// Sequential kernels to what their schedules call for.
void buildTileSchedulePipeline(mlir::OpPassManager &manager);
/// Scheduled kernels to what each lane does, on vectors.
void buildTileToLanesPipeline(mlir::OpPassManager &manager);
/// That to functions of the llvm dialect, one chip's instructions.
void buildLanesToNVVMPipeline(mlir::OpPassManager &manager);
/// Both.
void buildTileToNVVMPipeline(mlir::OpPassManager &manager);

void buildSageToTilePipeline(mlir::OpPassManager &manager, const PipelineOptions &options);
void buildSageToNVVMPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);
void buildSageToPTXPipeline(mlir::OpPassManager &manager, const PipelineOptions &options);

/// Registers `sage-to-tile`, `sage-to-nvvm` and `sage-to-ptx`, and the passes of this folder.
void registerPipelines();

/// Dialects and translations that the pipelines need, and no others.
void registerCompilerDialects(mlir::DialectRegistry &registry);

} // namespace sage

#endif // SAGE_PIPELINES_PIPELINES_H
