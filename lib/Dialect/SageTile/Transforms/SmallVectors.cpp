// Vectors that are too small for a bulk copy (one scale for a whole tile, say) are loaded by their
// users.

#include "SmallVectors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sage::tile {

/// The loads of the copy's tile, if nothing else uses it and all follow in the copy's block.
static FailureOr<SmallVector<LoadOp>> findLoads(CopyOp copy) {
  SmallVector<LoadOp> loads;
  for (Operation *user : copy.getTarget().getUsers()) {
    if (user == copy)
      continue;
    auto load = dyn_cast<LoadOp>(user);
    Operation *ancestor = load ? copy->getBlock()->findAncestorOpInBlock(*load) : nullptr;
    if (!ancestor || ancestor->isBeforeInBlock(copy))
      return failure();
    loads.push_back(load);
  }
  return loads;
}

/// The elements that `load` takes from the copy's tile, from the copy's source.
static void loadFromSource(LoadOp load, CopyOp copy) {
  OpBuilder builder(load);
  SmallVector<Value> indices(copy.getIndices());
  indices.back() =
      arith::AddIOp::create(builder, load.getLoc(), indices.back(), load.getIndices().back());
  Value limit = load.getLimit();
  // A limit counts from the start of the memory.
  if (limit)
    limit = arith::AddIOp::create(builder, load.getLoc(), limit, copy.getIndices().back());
  Value columnLimit = load.getColumnLimit();
  if (columnLimit)
    columnLimit =
        arith::AddIOp::create(builder, load.getLoc(), columnLimit, copy.getIndices().back());
  Value loaded = LoadOp::create(builder, load.getLoc(), load.getType(), copy.getSource(), indices,
                                limit, columnLimit, /*aligned=*/Value(), load.getColumnsAttr(),
                                AffineMapAttr::get(load.getAccessMap()));
  load.getResult().replaceAllUsesWith(loaded);
  load.erase();
}

void loadSmallVectors(KernelOp kernel) {
  SmallVector<CopyOp> copies;
  kernel.walk([&](CopyOp copy) {
    SharedType type = copy.getTarget().getType();
    bool isVector = type.getRank() == 1 && isa<MemRefType>(copy.getSource().getType());
    if (isVector && type.getSizeInBytes() % 16 != 0 && copy.getTarget().getDefiningOp<AllocOp>())
      copies.push_back(copy);
  });
  for (CopyOp copy : copies) {
    FailureOr<SmallVector<LoadOp>> loads = findLoads(copy);
    if (failed(loads) || loads->empty())
      continue;
    for (LoadOp load : *loads)
      loadFromSource(load, copy);
    Operation *alloc = copy.getTarget().getDefiningOp();
    copy.erase();
    alloc->erase();
  }
}

} // namespace sage::tile
