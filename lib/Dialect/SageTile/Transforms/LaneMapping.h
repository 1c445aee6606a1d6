// How the registers of one lane relate to elements: the arithmetic behind `sage-tile-distribute`.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_LANEMAPPING_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_LANEMAPPING_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace sage::tile {

using Position = std::pair<int64_t, int64_t>;
using PositionMap = llvm::function_ref<std::optional<Position>(Position)>;

/// Applies a map of two dimensions and two results.
std::optional<Position> applyMap(mlir::AffineMap map, Position position);

/// For every register of `to`, the register of `from` that holds element `map`(element of `to`) in
/// the same lane. Fails if there is none, or if it is not the same one in all lanes.
mlir::FailureOr<llvm::SmallVector<int64_t>> findRegisters(LayoutAttr to, PositionMap map,
                                                          LayoutAttr from);

/// An integer function of the elements of a layout, written as base(warp, lane) + offset(register)
/// where the base is a sum over the bits of the warp's and the lane's number.
class LaneFunction {
public:
  /// Fails where `function` has no such form.
  static mlir::FailureOr<LaneFunction>
  get(LayoutAttr layout, llvm::function_ref<std::optional<int64_t>(Position)> function);

  /// What bit `bit` of the lane's (warp's) number adds.
  llvm::ArrayRef<int64_t> getLaneSteps() const { return laneSteps; }
  llvm::ArrayRef<int64_t> getWarpSteps() const { return warpSteps; }
  /// Value in lane 0 of warp 0, by register.
  llvm::ArrayRef<int64_t> getOffsets() const { return offsets; }
  /// All values of the base, one for each lane of each warp.
  llvm::SmallVector<int64_t> getBases() const;
  /// Greatest common divisor of what the base can be (0: it is always 0).
  int64_t getBaseDivisor() const;
  /// The base of the executing lane (index); null if it is always 0.
  mlir::Value emitBase(mlir::OpBuilder &builder, mlir::Location loc) const;

private:
  llvm::SmallVector<int64_t> laneSteps, warpSteps, offsets;
};

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_LANEMAPPING_H
