// The pass that turns quantized attention into kernels and a host program.

#ifndef SAGE_CONVERSION_SAGETOSAGETILE_PASSES_TD
#define SAGE_CONVERSION_SAGETOSAGETILE_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSageToSageTile : Pass<"convert-sage-to-sage-tile", "::mlir::ModuleOp"> {
  let summary = "Turn quantized attention into kernels and the host program that launches them";
  let description = [{
    Replaces every `sage.quantized_attention`, together with the `sage.quantize`, `sage.quantize_value`,
    `sage.center`, `sage.mean` and `sage.lse_correction` that feed it, by a `sage_tile.invoke` of a new
    `sage_tile.program`, and adds the program's kernels to a new `gpu.module` for the op's target.

    The kernels are sequential programs of one thread block: copies are synchronous, matrix products add
    into the running output (single-level). Later passes make two-level accumulation, asynchronous products,
    warp specialization and pipelining out of them. The attention kernel carries the op's `sage.recipe` and
    `sage.schedule`, which `sage-tile-apply-schedule` reads.

    The ops must have a geometry, a schedule and a target (`sage-legalize-recipe`, `sage-assign-schedule`),
    and Q, K and V must be values that only these ops read.
  }];
  let options = [
    Option<"preparationOnly", "preparation-only", "bool", "false",
           "End the program where the operands of the attention kernel are in the workspace">,
    Option<"overlapLaunches", "overlap-launches", "bool", "true",
           "Let a launch start while the one before it ends, on chips that can (sm_90 and later)">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::math::MathDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect", "::sage::tile::SageTileDialect"
  ];
}

#endif // SAGE_CONVERSION_SAGETOSAGETILE_PASSES_TD
