// Several stages for one tile.

#include "StageTiles.h"

#include "TileAccesses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace sage::tile {

Value createStageView(OpBuilder &builder, Value tile, Value staged, Value slot) {
  Operation *op = tile.getDefiningOp();
  if (!isTileView(op))
    return StageOp::create(builder, op->getLoc(), tile.getType(), staged, slot);
  IRMapping mapping;
  mapping.map(op->getOperand(0), createStageView(builder, op->getOperand(0), staged, slot));
  return builder.clone(*op, mapping)->getResult(0);
}

namespace {

class TileStager {
public:
  TileStager(Value staged, int64_t stages, const LoopSlots &slots)
      : staged(staged), stages(stages), slots(slots) {}

  /// Replaces the uses of `tile`, which is outside of all loops.
  LogicalResult replaceUses(Value tile);

private:
  scf::ForOp findLoop(Operation *op) {
    for (auto loop = op->getParentOfType<scf::ForOp>(); loop;
         loop = loop->getParentOfType<scf::ForOp>())
      if (slots.contains(loop))
        return loop;
    return {};
  }
  void fillStages(FillOp fill);

  Value staged;
  int64_t stages;
  const LoopSlots &slots;
};

void TileStager::fillStages(FillOp fill) {
  OpBuilder builder(fill);
  for (int64_t stage = 0; stage < stages; ++stage) {
    Value slot = arith::ConstantIndexOp::create(builder, fill.getLoc(), stage);
    Value target = createStageView(builder, fill.getTarget(), staged, slot);
    FillOp::create(builder, fill.getLoc(), fill.getValue(), target);
  }
  fill.erase();
}

LogicalResult TileStager::replaceUses(Value tile) {
  DenseMap<Operation *, Value> views;
  for (OpOperand &use : llvm::make_early_inc_range(tile.getUses())) {
    Operation *op = use.getOwner();
    if (scf::ForOp loop = findLoop(op)) {
      Value &view = views[loop];
      if (!view) {
        Value slot = slots.lookup(loop);
        OpBuilder builder(loop.getContext());
        builder.setInsertionPointAfterValue(slot);
        view = createStageView(builder, tile, staged, slot);
      }
      use.set(view);
      continue;
    }
    if (auto fill = dyn_cast<FillOp>(op)) {
      fillStages(fill);
      continue;
    }
    if (!isTileView(op))
      return op->emitOpError(
          "tile that a loop copies must be used in the loop only, to be pipelined");
    if (failed(replaceUses(op->getResult(0))))
      return failure();
    op->erase();
  }
  return success();
}

} // namespace

FailureOr<Value> stageTile(AllocOp alloc, int64_t stages, const LoopSlots &slots) {
  OpBuilder builder(alloc);
  SharedType type = alloc.getResult().getType();
  Value staged = AllocOp::create(builder, alloc.getLoc(), type.withStages(stages));
  if (failed(TileStager(staged, stages, slots).replaceUses(alloc.getResult())))
    return failure();
  alloc.erase();
  return staged;
}

} // namespace sage::tile
