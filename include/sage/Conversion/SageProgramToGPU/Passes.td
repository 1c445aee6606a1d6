// The pass that turns host programs into functions of the gpu dialect.

#ifndef SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_TD
#define SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSageProgramToGPU : Pass<"convert-sage-program-to-gpu", "::mlir::ModuleOp"> {
  let summary = "Turn host programs into functions that launch their kernels with gpu.launch_func";
  let description = [{
    For embedders with a runtime of their own: what the artifact's manifest says as data, as plain functions. The kernels
    must be at the NVVM level (`sage-to-nvvm`). A `sage_tile.program @NAME` becomes

    * `func.func @NAME(query, key, value, [bias], [key_lengths], [sinks], [query_offsets, key_offsets], output, [lse],
      workspace, stream)`: memrefs in the layout of the attention, `memref<?xi8>` of any alignment, and a stream as
      `!llvm.ptr` (a `CUstream`; null is the legacy default stream). Optional operands are there if the problem has
      them. It enqueues the kernels in order and does not wait; a repetition is a loop over `@NAME_step_0(…, step)`.
      Kernels whose grid is empty are skipped. Wrong extents, alignments and workspaces end in `cf.assert`.
    * `func.func @NAME_workspace_bytes(query, …, [lse]) -> index`: what `workspace` must hold.

    Tensor maps come from an external `sage_encode_tensor_map` (`sage_mgpu.h` has its C signature) and are passed by value.

    A `sage_tile.invoke` becomes a call on a stream of its own, with a workspace that lives as long as the call; it
    waits. Tensors pass through `bufferization.to_buffer` and `to_tensor`. What is left are the `func`, `gpu`, `scf`,
    `cf`, `arith`, `memref`, `bufferization` and `llvm` dialects, which passes of MLIR lower: `one-shot-bufferize`,
    `convert-scf-to-cf`, `gpu-to-llvm`.

    Both functions have a C interface (`_mlir_ciface_NAME`).

    Example: `--convert-sage-program-to-gpu=workspace=host`
  }];
  let options = [
    Option<"workspace", "workspace", "::sage::WorkspaceMemory", "::sage::WorkspaceMemory::Gpu",
           "Who allocates the workspace of a sage_tile.invoke",
           [{::llvm::cl::values(
             clEnumValN(::sage::WorkspaceMemory::Gpu, "gpu", "gpu.alloc: device memory"),
             clEnumValN(::sage::WorkspaceMemory::Host, "host",
                        "memref.alloc: for devices that read the host's memory"))}]>,
    Option<"checks", "checks", "bool", "true",
           "Check the caller's tensors and the workspace with cf.assert">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
}

#endif // SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_TD
