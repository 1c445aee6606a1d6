// The pass that turns lane-level kernels into NVVM functions.

#ifndef SAGE_CONVERSION_SAGETILETONVVM_PASSES_TD
#define SAGE_CONVERSION_SAGETILETONVVM_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSageTileToNVVM : Pass<"convert-sage-tile-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Turn lane-level sage_tile kernels into llvm.func kernels with NVVM instructions";
  let description = [{
    Takes kernels that `sage-tile-distribute` has rewritten. `arith`, `math`, `scf` and `vector` operations stay,
    on i32 where they were on `index`: indices of memory accesses and loop bounds are below 2^31. Slices of vectors
    become shuffles, which convert-to-llvm converts.

    * A memref argument becomes a pointer and one i64 for each dynamic stride (in elements); pointers are
      aligned to 16 bytes and do not alias. A tensor map becomes 128 bytes passed by value.
    * Shared tiles lie at fixed offsets of one dynamic array `@sage_shared`, swizzled ones at multiples of
      1024 bytes; `sage.shared_bytes` on the function says how many bytes a launch must give.
    * The producer of `sage_tile.specialize` is an additional, first unit. mbarriers count one arrival for
      each warp of the arriving units and are initialized before anything else.
    * `flush_denormals` on a kernel makes its float32 arithmetic flush denormals to zero.

    Matrix products become mma.sync (unit: warp) or wgmma (unit: warpgroup) instructions.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif // SAGE_CONVERSION_SAGETILETONVVM_PASSES_TD
