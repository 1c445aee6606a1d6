// Passes that only run other passes.

#ifndef SAGE_PIPELINES_PASSES_TD
#define SAGE_PIPELINES_PASSES_TD

include "mlir/Pass/PassBase.td"

def ApplySchedule : Pass<"sage-tile-apply-schedule", "::sage::tile::KernelOp"> {
  let summary = "Run the tile passes that a kernel's schedule calls for";
  let description = [{
    Reads the kernel's `sage.schedule` and `sage.recipe` and runs, with the row's numbers as options:
    `sage-tile-two-level-accumulation` (two-level recipes), `sage-tile-fold-score-conversion`,
    `sage-tile-issue-mma-async`, `sage-tile-specialize-warps` (rows with producer registers),
    `sage-tile-pipeline-copies`, `sage-tile-peel-masks` and `sage-tile-interleave-exponentials`.
    Removes `sage.schedule`, which is used up. A kernel without a schedule is left alone.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect"
  ];
}

def SageToRuntimeCalls : Pass<"sage-to-runtime-calls", "::mlir::ModuleOp"> {
  let summary = "Turn attentions on memrefs into calls of the runtime, with the artifact in the program";
  let description = [{
    Compiles every `sage.attention` on memrefs for `chip` (equal ones once), embeds the artifact as a constant, and replaces
    the op by a call of `libsage_mgpu.so` (`sage_mgpu.h`). Runs after `one-shot-bufferize`; what it makes are
    `memref`, `arith` and `func` ops.

    `memory=host`: the memrefs are in host memory. `sage_mgpu_attend_host` computes on the GPU where there is one that the
    artifact is for, through copies that live as long as the call, and on the CPU reference otherwise; it waits.

    `memory=device`: the memrefs are in device memory. `sage_mgpu_attend_device` enqueues on the stream that the program
    gave its thread with `sage_mgpu_set_stream` (the legacy default stream at first), which stays the program's, and does
    not wait. The workspace is the library's, one for each stream; `sage_mgpu_release_workspaces` frees it.

    The log-sum-exp, lengths, sinks and offsets must be contiguous.

    Example: `--sage-to-runtime-calls="chip=sm_90a memory=host"`
  }];
  let options = [
    Option<"chip", "chip", "std::string", "\"\"", "Chip to compile for; may be left out where ops carry a target">,
    Option<"memory", "memory", "::sage::CallMemory", "::sage::CallMemory::Host", "Where the memrefs are",
           [{::llvm::cl::values(
             clEnumValN(::sage::CallMemory::Host, "host", "host memory; runs without a GPU too"),
             clEnumValN(::sage::CallMemory::Device, "device", "device memory"))}]>];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect"];
}

#endif // SAGE_PIPELINES_PASSES_TD
