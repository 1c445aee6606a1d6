// What one iteration of an attention kernel's main loop does, counted in the tile IR.

#ifndef SAGE_COSTMODEL_LOOPWORK_H
#define SAGE_COSTMODEL_LOOPWORK_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage {

/// Multiply-adds of dense matrix products, by the type of their operands.
struct Products {
  double f16 = 0, int8 = 0, int4 = 0, e4m3 = 0;
  double total() const { return f16 + int8 + int4 + e4m3; }
};

/// The work of one unit in one iteration. Instructions are those of each of its warps; addresses
/// and what the assembler adds are estimated (docs/Performance.md compares with SASS).
struct LoopWork {
  double elements = 0; ///< of S: query rows times keys
  int64_t warps = 1;   ///< of a unit
  Products products;
  double special = 0;      ///< exp2 and other functions of the special function unit
  double fma = 0;          ///< float additions, multiplications, fused ones
  double alu = 0;          ///< minimum, maximum, comparison, selection, integers
  double convert = 0;      ///< between element types
  double instructions = 0; ///< all, these and the rest
  double sharedBytes = 0;  ///< of shared memory that the whole unit moves
  int64_t chains = 0;      ///< of products that are waited for

  LoopWork &operator+=(const LoopWork &other);
};

/// The work of the operations of `body`.
LoopWork countWork(mlir::Block &body, tile::KernelOp kernel);

/// The work of the loop with matrix products that does least: the one whose tiles are not masked.
/// Reports a kernel without one.
mlir::FailureOr<LoopWork> countMainLoop(tile::KernelOp kernel);

} // namespace sage

#endif // SAGE_COSTMODEL_LOOPWORK_H
