// Conversions move down: of scores to their exponentials, of probabilities below the barrier of
// their product.

#include "Maps.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "llvm/ADT/SetVector.h"

namespace sage::tile {
#define GEN_PASS_DEF_SINKCONVERSIONS
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

bool isPacking(Operation *op) { return isa_and_nonnull<ConvertOp, ConcatOp, SliceOp>(op); }

/// What packs `value` in `block`, in no order.
void collectPacking(Value value, Block *block, llvm::SetVector<Operation *> &packing) {
  Operation *op = value.getDefiningOp();
  if (!isPacking(op) || op->getBlock() != block || !packing.insert(op))
    return;
  for (Value operand : op->getOperands())
    collectPacking(operand, block, packing);
}

/// Drops what something besides the packing and products uses: it is needed where it is.
void dropSharedOps(llvm::SetVector<Operation *> &packing) {
  bool changed = true;
  while (changed) {
    changed = packing.remove_if([&](Operation *op) {
      return !llvm::all_of(op->getUsers(), [&](Operation *user) {
        return packing.contains(user) || isa<MmaAsyncOp>(user);
      });
    });
  }
}

/// The operations between `first` and `product` let packing pass: a barrier is waited for, and no
/// product is in flight, which packing would have to wait for.
bool isWorthMoving(Operation *first, Operation *product) {
  bool waits = false;
  for (Operation *op = first; op != product; op = op->getNextNode()) {
    if (isa<MmaAsyncOp>(op))
      return false;
    waits |= isa<BarrierWaitOp>(op);
  }
  return waits;
}

/// Moves what packs operands of the products of `block` down to the first of these.
void sinkPacking(Block &block) {
  llvm::SetVector<Operation *> packing;
  for (auto product : block.getOps<MmaAsyncOp>())
    collectPacking(product.getA(), &block, packing);
  dropSharedOps(packing);
  Operation *product = nullptr;
  for (Operation *op : packing)
    for (Operation *user : op->getUsers())
      if (isa<MmaAsyncOp>(user) && (!product || user->isBeforeInBlock(product)))
        product = user;
  packing.remove_if([&](Operation *op) { return product->isBeforeInBlock(op); });
  SmallVector<Operation *> ordered = packing.takeVector();
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  if (ordered.empty() || !isWorthMoving(ordered.front(), product))
    return;
  for (Operation *op : ordered)
    op->moveBefore(product);
}

/// Scores as floats, converted or masked.
bool isScore(MapOp map) {
  if (isElementwise<arith::SIToFPOp>(map))
    return true;
  auto select = getYieldedValue(map).getDefiningOp<arith::SelectOp>();
  return select && isMinusInfinity(select.getFalseValue());
}

void sinkToFirstUser(Operation *op) {
  Operation *first = nullptr;
  for (Operation *user : op->getUsers()) {
    Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
    if (ancestor && (!first || ancestor->isBeforeInBlock(first)))
      first = ancestor;
  }
  if (first)
    op->moveBefore(first);
}

struct SinkConversions : impl::SinkConversionsBase<SinkConversions> {
  void runOnOperation() override {
    SmallVector<MapOp> scores;
    getOperation().walk([&](MapOp map) {
      if (isScore(map))
        scores.push_back(map);
    });
    // Masks before what they mask.
    for (MapOp map : llvm::reverse(scores))
      sinkToFirstUser(map);
    getOperation().walk([](Block *block) { sinkPacking(*block); });
  }
};

} // namespace
} // namespace sage::tile
