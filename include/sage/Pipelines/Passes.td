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

#endif // SAGE_PIPELINES_PASSES_TD
