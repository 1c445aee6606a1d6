// Which operations read and write which shared tiles.

#include "TileAccesses.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace sage::tile {

bool isTileView(Operation *op) { return isa<StageOp, SubtileOp>(op); }

Value getRootTile(Value tile) {
  while (Operation *op = tile.getDefiningOp()) {
    if (!isTileView(op))
      break;
    tile = op->getOperand(0);
  }
  return tile;
}

TileAccesses::TileAccesses(Operation *op) {
  auto add = [](auto &set, Value value) {
    if (isa<SharedType>(value.getType()))
      set.insert(getRootTile(value));
  };
  op->walk([&](Operation *nested) {
    llvm::TypeSwitch<Operation *>(nested)
        .Case<MmaOp, MmaAsyncOp>([&](auto product) {
          add(reads, product.getA());
          add(reads, product.getB());
        })
        .Case<LoadOp>([&](LoadOp load) { add(reads, load.getSource()); })
        .Case<GetOp>([&](GetOp get) { add(reads, get.getSource()); })
        .Case<PutOp>([&](PutOp put) { add(writes, put.getTarget()); })
        .Case<StoreOp>([&](StoreOp store) { add(writes, store.getTarget()); })
        .Case<CopyOp, CopyAsyncOp, FillOp>([&](auto write) { add(writes, write.getTarget()); });
  });
}

bool isScalarOp(Operation *op) {
  auto isRegisterTile = [](Type type) { return isa<FragmentType, AsyncType, VectorType>(type); };
  return isMemoryEffectFree(op) && llvm::none_of(op->getOperandTypes(), isRegisterTile) &&
         llvm::none_of(op->getResultTypes(), isRegisterTile);
}

bool packsOperand(Operation *op) {
  auto convert = dyn_cast<ConvertOp>(op);
  if (!convert)
    return false;
  // The layouts of accumulators and operands are the same for halves.
  FragmentType source = convert.getSource().getType(), result = convert.getResult().getType();
  return source.getLayout() != result.getLayout() ||
         result.getElementType().getIntOrFloatBitWidth() == 16;
}

} // namespace sage::tile
