// Which operations read and write which shared tiles.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_TILEACCESSES_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_TILEACCESSES_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "llvm/ADT/SmallPtrSet.h"

namespace sage::tile {

/// The allocation that `tile` is a stage or a subtile of.
mlir::Value getRootTile(mlir::Value tile);

/// Whether `op` only names a part of a tile.
bool isTileView(mlir::Operation *op);

/// Roots of the tiles that `op`, and what is nested in it, reads and writes.
struct TileAccesses {
  llvm::SmallPtrSet<mlir::Value, 4> reads, writes;

  explicit TileAccesses(mlir::Operation *op);
  bool touches(mlir::Value root) const { return reads.contains(root) || writes.contains(root); }
};

/// Whether `op` works on index, integer and float scalars (and names tiles) only, so that any
/// thread may execute it at any time.
bool isScalarOp(mlir::Operation *op);

/// Whether `op` writes the registers of an A operand.
bool packsOperand(mlir::Operation *op);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_TILEACCESSES_H
