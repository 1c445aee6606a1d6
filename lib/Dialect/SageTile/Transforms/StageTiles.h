// Several stages for one tile.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_STAGETILES_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_STAGETILES_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

namespace sage::tile {

/// The slot, defined in the loop's body, that an iteration uses.
using LoopSlots = llvm::MapVector<mlir::scf::ForOp, mlir::Value>;

/// Gives `alloc` `stages` stages. Uses inside a loop of `slots` are of its slot; fills outside fill
/// every stage; other uses outside are an error. Returns the staged tile.
mlir::FailureOr<mlir::Value> stageTile(AllocOp alloc, int64_t stages, const LoopSlots &slots);

/// Stage `slot` of `staged`, through the same views as `tile`, which is (part of) an alloc of the
/// stage's type.
mlir::Value createStageView(mlir::OpBuilder &builder, mlir::Value tile, mlir::Value staged,
                            mlir::Value slot);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_STAGETILES_H
