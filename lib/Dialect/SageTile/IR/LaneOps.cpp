// What one lane does after distribution.

#include "sage/Dialect/SageTile/IR/SageTile.h"

using namespace mlir;

namespace sage::tile {

static LogicalResult verifyLaneAccess(Operation *op, Type memory, int64_t indices,
                                      VectorType vector) {
  auto tile = dyn_cast<SharedType>(memory);
  int64_t rank = tile ? tile.getRank() : cast<MemRefType>(memory).getRank();
  if ((tile && tile.isStaged()) || indices != rank)
    return op->emitOpError("memory must be one stage with an index for each dimension, but got ")
           << memory << " and " << indices << " indices";
  int64_t bytes = vector.getNumElements() * vector.getElementTypeBitWidth() / 8;
  // PTX ISA, "ld": one access is at most 16 bytes.
  if (bytes > 16 || !llvm::isPowerOf2_64(bytes))
    return op->emitOpError("vector must have 1, 2, 4, 8 or 16 bytes, but got ") << vector;
  return success();
}

LogicalResult LaneLoadOp::verify() {
  return verifyLaneAccess(*this, getSource().getType(), getIndices().size(), getResult().getType());
}

void LaneLoadOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getSourceMutable());
  if (getIsVolatile())
    effects.emplace_back(MemoryEffects::Write::get());
}

LogicalResult LaneStoreOp::verify() {
  return verifyLaneAccess(*this, getTarget().getType(), getIndices().size(), getValue().getType());
}

LogicalResult PackOp::verify() {
  if (!getElementType().isInteger(8) && !isa<Float8E4M3FNType, Float8E5M2Type>(getElementType()))
    return emitOpError("element type must be i8, f8E4M3FN or f8E5M2, but got ") << getElementType();
  int64_t count = getSource().getType().getNumElements();
  if (getResult().getType().getNumElements() * 4 != count)
    return emitOpError("result must have a word for four of the ")
           << count << " elements, but got " << getResult().getType();
  return success();
}

LogicalResult LaneButterflyOp::verify() {
  for (int64_t distance : getDistances())
    if (distance < 1 || distance >= 32)
      return emitOpError("distances must be from 1 to 31, between lanes of a warp, but got ")
             << distance;
  if (getDistances().empty() || getFactors().size() != getDistances().size())
    return emitOpError("must have distances with a factor for each, but got ")
           << getDistances().size() << " distances and " << getFactors().size() << " factors";
  return success();
}

} // namespace sage::tile
