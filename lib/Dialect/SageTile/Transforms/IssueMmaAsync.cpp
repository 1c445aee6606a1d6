// mma -> mma_async and wait (wgmma).

#include "TileAccesses.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace sage::tile {
#define GEN_PASS_DEF_ISSUEMMAASYNC
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

bool isProduct(Operation *op) { return isa<MmaOp, MmaAsyncOp>(op); }

/// Start values and views of tiles: what a product needs besides its data, cheap to have early.
bool isPreparation(Operation *op) { return isScalarOp(op) || isa<SplatOp>(op) || isTileView(op); }

/// Moves `product`, with the preparations that it needs, directly behind the product `previous`,
/// unless it depends on something between, memory is written between, or floats of an earlier
/// product are added up between: their registers may be needed.
void moveBehind(Operation *product, Operation *previous) {
  Block *block = product->getBlock();
  llvm::SetVector<Operation *> needed;
  SmallVector<Operation *> worklist{product};
  while (!worklist.empty())
    for (Value operand : worklist.pop_back_val()->getOperands()) {
      Operation *op = operand.getDefiningOp();
      if (!op || op->getBlock() != block || !previous->isBeforeInBlock(op) || needed.contains(op))
        continue;
      if (!isPreparation(op))
        return;
      needed.insert(op);
      worklist.push_back(op);
    }
  auto isFloatResult = [](Value value) {
    auto type = dyn_cast<FragmentType>(value.getType());
    return type && isa<FloatType>(type.getElementType()) && value.getDefiningOp<MmaOp>();
  };
  for (Operation *op = previous->getNextNode(); op != product; op = op->getNextNode())
    if ((!isMemoryEffectFree(op) && !isa<LoadOp>(op) && !isProduct(op)) ||
        (isa<MapOp>(op) && llvm::any_of(op->getOperands(), isFloatResult)))
      return;

  SmallVector<Operation *> ordered(needed.begin(), needed.end());
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  Operation *anchor = previous;
  ordered.push_back(product);
  for (Operation *op : ordered) {
    op->moveAfter(anchor);
    anchor = op;
  }
}

/// Whether `value` is computed from the result of `product`, in its block.
bool dependsOn(Value value, Operation *product) {
  llvm::SetVector<Operation *> reached;
  auto reach = [&](Value operand) {
    Operation *op = operand.getDefiningOp();
    if (op && op->getBlock() == product->getBlock() && !op->isBeforeInBlock(product))
      reached.insert(op);
  };
  reach(value);
  for (size_t i = 0; i < reached.size(); ++i)
    if (reached[i] != product)
      llvm::for_each(reached[i]->getOperands(), reach);
  return reached.contains(product);
}

/// Whether the result of `product` is promoted into a sum that already holds `previous`: then both
/// can have the same registers, one after the other.
bool continuesSum(MmaOp product, Operation *previous) {
  auto type = cast<FragmentType>(product.getType());
  if (!isa<FloatType>(type.getElementType()))
    return false;
  auto holdsPrevious = [&](Value value) {
    auto sum = dyn_cast<FragmentType>(value.getType());
    return value != product.getResult() && sum && sum.getShape() == type.getShape() &&
           dependsOn(value, previous);
  };
  return llvm::any_of(product.getResult().getUsers(), [&](Operation *user) {
    return isa<MapOp>(user) && llvm::any_of(user->getOperands(), holdsPrevious);
  });
}

bool uses(Operation *op, Value value) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) { return op->isAncestor(user); });
}

/// Whether `op` must not execute while `product` is in flight.
bool mustFollow(Operation *op, MmaAsyncOp product) {
  if (op->hasTrait<OpTrait::IsTerminator>() || isa<SyncOp, BarrierArriveOp>(op) ||
      uses(op, product.getResult()))
    return true;
  if (!isa<SharedType>(product.getA().getType()) && packsOperand(op))
    return true;
  bool hasProducts = false;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *nested) { hasProducts |= isProduct(nested); });
  TileAccesses accesses(op);
  return hasProducts || accesses.writes.contains(getRootTile(product.getB())) ||
         accesses.writes.contains(getRootTile(product.getA()));
}

/// The products in flight that `product` adds to, and itself, as they stand in the program.
SmallVector<MmaAsyncOp> getChain(MmaAsyncOp product) {
  SmallVector<MmaAsyncOp> chain{product};
  while (auto previous = chain.back().getAccumulator().getDefiningOp<MmaAsyncOp>())
    chain.push_back(previous);
  return chain;
}

/// Whether `op` adds to the result of `product`, and nothing else uses it: no need to wait between.
bool continuesChain(Operation *op, MmaAsyncOp product) {
  auto next = dyn_cast<MmaOp>(op);
  return next && next.getAccumulator() == product.getResult() && product.getResult().hasOneUse();
}

/// Whether `op` loads what is used together with `product`: beside one in flight there are no
/// registers for it.
bool isLoadedFor(Operation *op, Value product) {
  return isa<LoadOp>(op) && llvm::any_of(op->getUsers(), [&](Operation *user) {
           return llvm::is_contained(user->getOperands(), product);
         });
}

void issue(MmaOp product) {
  OpBuilder builder(product);
  auto async = MmaAsyncOp::create(
      builder, product.getLoc(), AsyncType::get(builder.getContext(), product.getType()),
      product.getA(), product.getB(), product.getAccumulator(), product.getInt4());
  Value inFlight = async.getResult();
  // `mustFollow` looks for users of the async value: let it take the place of the result for a
  // moment.
  product.getResult().replaceAllUsesWith(inFlight);
  SmallVector<MmaAsyncOp> chain = getChain(async);
  auto mustFollowChain = [&](Operation *op) {
    return llvm::any_of(chain, [&](MmaAsyncOp link) { return mustFollow(op, link); });
  };
  Operation *position = product->getNextNode();
  int32_t pending = 0;
  for (; !mustFollowChain(position); position = position->getNextNode())
    pending += isProduct(position);
  if (!continuesChain(position, async)) {
    while (isLoadedFor(position->getPrevNode(), inFlight))
      position = position->getPrevNode();
    builder.setInsertionPoint(position);
    auto wait = WaitOp::create(builder, product.getLoc(), product.getType(), inFlight, pending);
    inFlight.replaceAllUsesExcept(wait.getResult(), wait);
  }
  product.erase();
}

WalkResult refuse(MmaOp product) {
  auto diagnostic = product.emitOpError("result must be a fragment, but got ") << product.getType();
  diagnostic.attachNote() << "run sage-tile-issue-mma-async before sage-tile-distribute";
  return WalkResult::interrupt();
}

struct IssueMmaAsync : impl::IssueMmaAsyncBase<IssueMmaAsync> {
  void runOnOperation() override {
    if (getOperation().getUnit() != Unit::Warpgroup)
      return;
    llvm::SetVector<Block *> blocks;
    WalkResult walk = getOperation().walk([&](MmaOp product) {
      blocks.insert(product->getBlock());
      return isa<FragmentType>(product.getType()) ? WalkResult::advance() : refuse(product);
    });
    if (walk.wasInterrupted())
      return signalPassFailure();
    for (Block *block : blocks) {
      SmallVector<MmaOp> products(block->getOps<MmaOp>());
      for (size_t i = 1; i < products.size(); ++i)
        if (!continuesSum(products[i], products[i - 1]))
          moveBehind(products[i], products[i - 1]);
      for (MmaOp product : products)
        issue(product);
    }
  }
};

} // namespace
} // namespace sage::tile
