//===- SageTileDialect.td - how one thread block computes a tile ---------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEDIALECT_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEDIALECT_TD

include "mlir/IR/OpBase.td"

def SageTile_Dialect : Dialect {
  let name = "sage_tile";
  let cppNamespace = "::sage::tile";
  let summary = "Tiles, fragments, copies, barriers and matrix products of one thread block.";
  let description = [{
    Target-neutral program of one thread block. A kernel is written once for a
    *unit* of execution: a warp (32 lanes; the `mma_sync` family) or a
    warpgroup (128 lanes; the `wgmma` family). All units of a kernel run the same
    program (SPMD) and differ by `sage_tile.unit_id`.

    * **Shared tiles** (`!sage_tile.shared`) are two-dimensional arrays in shared
      memory, with an optional leading stage dimension.
    * **Fragments** (`!sage_tile.fragment`) are two-dimensional values in a unit's
      registers; the layout says which lane holds which element. Arithmetic on
      fragments is `sage_tile.map` (any `arith`/`math` body, operands
      indexed by affine maps as in `linalg.generic`) and `sage_tile.reduce`.
    * **Results in flight** have the type `!sage_tile.async`; only
      `sage_tile.wait` turns them into fragments.

    The same operations serve three stages: the sequential program that
    `convert-sage-to-sage-tile` writes (copies are synchronous), the program after
    specialization and pipelining (bulk copies, barriers), and the lane level,
    where `sage-tile-distribute` has replaced fragments by `vector` values.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = "void registerTypes();";
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::gpu::GPUDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif
