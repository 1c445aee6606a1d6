// Construction and recognition of sage_tile.map.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_MAPS_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_MAPS_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/Builders.h"

namespace sage::tile {

/// Writes a map's body from its arguments; returns the element.
using MapBodyBuilder = mlir::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)>;

/// A map of `inputs` under `maps` (none: by broadcast).
mlir::Value createMap(mlir::OpBuilder &builder, mlir::Location loc, FragmentType type,
                      mlir::ValueRange inputs, mlir::ArrayRef<mlir::AffineMap> maps,
                      MapBodyBuilder buildBody);

/// The maps of all inputs, explicit or by broadcast.
mlir::SmallVector<mlir::AffineMap> getInputMaps(MapOp map);

/// The value that the body yields.
mlir::Value getYieldedValue(MapOp map);

/// Which input `value` is the element of, if it is a body argument of `map` that is one.
std::optional<unsigned> getInputNumber(MapOp map, mlir::Value value);

/// Whether the body is `Op` applied to the elements of all inputs in order.
template <typename Op> bool isElementwise(MapOp map) {
  auto op = getYieldedValue(map).getDefiningOp<Op>();
  if (!op || map.getPositions() || op->getNumOperands() != map.getInputs().size())
    return false;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    if (getInputNumber(map, op->getOperand(i)) != i)
      return false;
  return true;
}

/// A scalar constant; inside a map's body too.
mlir::Value createFloat(mlir::OpBuilder &builder, mlir::Location loc, double value);
mlir::Value createInteger(mlir::OpBuilder &builder, mlir::Location loc, int32_t value);

/// Whether `value` is the f32 constant -infinity.
bool isMinusInfinity(mlir::Value value);

/// Erases operations below `root` whose results are not used and that do not write memory.
void eraseDeadOps(mlir::Operation *root);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_MAPS_H
