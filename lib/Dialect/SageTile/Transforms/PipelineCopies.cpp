// Several stages for the tiles that loops copy.

#include "Maps.h"
#include "ScalarSlices.h"
#include "StageTiles.h"
#include "TileAccesses.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace sage::tile {
#define GEN_PASS_DEF_PIPELINECOPIES
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

//===----------------------------------------------------------------------===//
// Specialized kernels: rings of barriers
//===----------------------------------------------------------------------===//

class RingPipeliner {
public:
  RingPipeliner(SpecializeOp specialize, int64_t stages) : specialize(specialize), stages(stages) {}

  LogicalResult run();

private:
  void createSlots(Region &region, bool isProducer);
  LogicalResult stageBarrier(BarrierAllocOp alloc);

  SpecializeOp specialize;
  int64_t stages;
  LoopSlots slots;
  /// Parity of a wait in an iteration of the loop.
  DenseMap<Operation *, Value> parities;
};

void RingPipeliner::createSlots(Region &region, bool isProducer) {
  for (auto loop : region.front().getOps<scf::ForOp>()) {
    OpBuilder builder = OpBuilder::atBlockBegin(loop.getBody());
    Location loc = loop.getLoc();
    Value number = createIterationNumber(builder, loop, loop.getInductionVar());
    Value round = createQuotient(builder, loc, number, stages);
    // The producer's first waits, of a phase before the first, pass.
    if (isProducer)
      round = arith::AddIOp::create(builder, loc, round,
                                    arith::ConstantIndexOp::create(builder, loc, 1));
    parities[loop] = createRemainder(builder, loc, round, 2);
    slots[loop] = createRemainder(builder, loc, number, stages);
  }
}

LogicalResult RingPipeliner::stageBarrier(BarrierAllocOp alloc) {
  OpBuilder builder(alloc);
  auto type = BarrierType::get(builder.getContext(), stages);
  Value barriers = BarrierAllocOp::create(builder, alloc.getLoc(), type, alloc.getArrivals());
  for (OpOperand &use : llvm::make_early_inc_range(alloc.getResult().getUses())) {
    Operation *op = use.getOwner();
    auto loop = op->getParentOfType<scf::ForOp>();
    if (!loop || !slots.contains(loop))
      return op->emitOpError(
          "barrier of a ring must be used in the producer's and the consumers' loops only");
    Value slot = slots.lookup(loop);
    use.set(barriers);
    if (auto copy = dyn_cast<CopyAsyncOp>(op))
      copy.getSlotMutable().assign(slot);
    else
      op->setOperand(1, slot);
    if (auto wait = dyn_cast<BarrierWaitOp>(op))
      wait.getParityMutable().set(parities.lookup(loop));
  }
  alloc.erase();
  return success();
}

LogicalResult RingPipeliner::run() {
  createSlots(specialize.getProducer(), /*isProducer=*/true);
  createSlots(specialize.getConsumer(), /*isProducer=*/false);
  llvm::SetVector<Operation *> tiles, barriers;
  for (auto loop : specialize.getProducer().front().getOps<scf::ForOp>())
    loop.walk([&](Operation *op) {
      if (auto copy = dyn_cast<CopyAsyncOp>(op)) {
        tiles.insert(getRootTile(copy.getTarget()).getDefiningOp());
        barriers.insert(copy.getBarrier().getDefiningOp());
      } else if (auto wait = dyn_cast<BarrierWaitOp>(op)) {
        barriers.insert(wait.getBarrier().getDefiningOp());
      }
    });
  for (Operation *alloc : tiles)
    if (failed(stageTile(cast<AllocOp>(alloc), stages, slots)))
      return failure();
  for (Operation *alloc : barriers)
    if (failed(stageBarrier(cast<BarrierAllocOp>(alloc))))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Other kernels: copy groups of all units
//===----------------------------------------------------------------------===//

LogicalResult verifyGroupCopy(CopyOp copy) {
  if (!isa<TensorMapType>(copy.getSource().getType()))
    return success();
  InFlightDiagnostic diagnostic =
      copy.emitOpError("copy from a tensor map must belong to a producer");
  diagnostic.attachNote() << "run sage-tile-specialize-warps first";
  return diagnostic;
}

/// copy -> a group of its own that all units wait for. Copies that follow each other share the
/// group.
void completeCopies(CopyOp first) {
  OpBuilder builder(first);
  Location loc = first.getLoc();
  SyncOp::create(builder, loc);
  Operation *op = first;
  while (op && (isa<CopyOp>(op) || isScalarOp(op))) {
    Operation *next = op->getNextNode();
    if (auto copy = dyn_cast<CopyOp>(op)) {
      builder.setInsertionPoint(copy);
      CopyAsyncOp::create(builder, copy.getLoc(), copy.getSource(), copy.getIndices(),
                          copy.getTarget(), Value(), Value());
      builder.setInsertionPointAfter(copy);
      copy.erase();
    }
    op = next;
  }
  CommitGroupOp::create(builder, loc);
  WaitGroupOp::create(builder, loc, 0);
  SyncOp::create(builder, loc);
}

class GroupPipeliner {
public:
  GroupPipeliner(scf::ForOp loop, int64_t stages)
      : loop(loop), loc(loop.getLoc()), stages(stages), copies(loop.getBody()->getOps<CopyOp>()) {}

  LogicalResult run();

private:
  Value createIndex(OpBuilder &builder, int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  LogicalResult issue(OpBuilder &builder, Value inductionVariable, Value slot);
  LogicalResult issueIfInside(OpBuilder &builder, Value inductionVariable, Value slot);
  LogicalResult createPrologue();

  scf::ForOp loop;
  Location loc;
  int64_t stages;
  SmallVector<CopyOp> copies;
  /// Staged tile of each copy, and the part of one stage that the copy writes.
  SmallVector<Value> stagedTiles;
};

/// The copies of iteration `inductionVariable` into stage `slot`, and the end of their group.
LogicalResult GroupPipeliner::issue(OpBuilder &builder, Value inductionVariable, Value slot) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), inductionVariable);
  for (auto [copy, staged] : llvm::zip_equal(copies, stagedTiles)) {
    SmallVector<Value> indices;
    for (Value index : copy.getIndices()) {
      FailureOr<Value> cloned = cloneScalar(builder, index, loop.getRegion(), mapping);
      if (failed(cloned))
        return failure();
      indices.push_back(*cloned);
    }
    // The target is a view of the iteration's own stage, with constant rows.
    SmallVector<Operation *> views;
    Value tile = copy.getTarget();
    for (; isa<SubtileOp>(tile.getDefiningOp()); tile = tile.getDefiningOp()->getOperand(0))
      views.push_back(tile.getDefiningOp());
    Value target = StageOp::create(builder, copy.getLoc(), tile.getType(), staged, slot);
    for (Operation *view : llvm::reverse(views)) {
      FailureOr<Value> row = cloneScalar(builder, view->getOperand(1), loop.getRegion(), mapping);
      if (failed(row))
        return failure();
      target =
          SubtileOp::create(builder, view->getLoc(), view->getResult(0).getType(), target, *row);
    }
    CopyAsyncOp::create(builder, copy.getLoc(), copy.getSource(), indices, target, Value(),
                        Value());
  }
  return success();
}

/// The group of an iteration that may be past the last one; it is closed in any case, so that
/// groups can be counted.
LogicalResult GroupPipeliner::issueIfInside(OpBuilder &builder, Value inductionVariable,
                                            Value slot) {
  Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, inductionVariable,
                                       loop.getUpperBound());
  auto branch = scf::IfOp::create(builder, loc, inside, /*withElseRegion=*/false);
  OpBuilder inner = branch.getThenBodyBuilder();
  if (failed(issue(inner, inductionVariable, slot)))
    return failure();
  CommitGroupOp::create(builder, loc);
  return success();
}

LogicalResult GroupPipeliner::createPrologue() {
  OpBuilder builder(loop);
  for (int64_t stage = 0; stage < stages - 1; ++stage) {
    Value offset = arith::MulIOp::create(builder, loc, createIndex(builder, stage), loop.getStep());
    Value iteration = arith::AddIOp::create(builder, loc, loop.getLowerBound(), offset);
    if (failed(issueIfInside(builder, iteration, createIndex(builder, stage))))
      return failure();
  }
  return success();
}

LogicalResult GroupPipeliner::run() {
  OpBuilder builder = OpBuilder::atBlockBegin(loop.getBody());
  Value inductionVariable = loop.getInductionVar();
  Value number = createIterationNumber(builder, loop, inductionVariable);
  Value slot = createRemainder(builder, loc, number, stages);
  LoopSlots slots;
  slots[loop] = slot;

  DenseMap<Value, Value> staged;
  for (CopyOp copy : copies) {
    Value root = getRootTile(copy.getTarget());
    if (staged.contains(root))
      continue;
    FailureOr<Value> tile = stageTile(root.getDefiningOp<AllocOp>(), stages, slots);
    if (failed(tile))
      return failure();
    staged[getRootTile(copy.getTarget())] = *tile;
  }
  for (CopyOp copy : copies)
    stagedTiles.push_back(getRootTile(copy.getTarget()));
  if (failed(createPrologue()))
    return failure();

  // All units have read the stage of the iteration before, which the next copies overwrite, when
  // they pass the sync.
  builder.setInsertionPointAfterValue(slot);
  WaitGroupOp::create(builder, loc, stages - 2);
  SyncOp::create(builder, loc);
  Value distance = createIndex(builder, stages - 1);
  Value ahead =
      arith::AddIOp::create(builder, loc, inductionVariable,
                            arith::MulIOp::create(builder, loc, distance, loop.getStep()));
  Value aheadSlot =
      createRemainder(builder, loc, arith::AddIOp::create(builder, loc, number, distance), stages);
  if (failed(issueIfInside(builder, ahead, aheadSlot)))
    return failure();
  for (CopyOp copy : copies)
    copy.erase();
  return success();
}

struct PipelineCopies : impl::PipelineCopiesBase<PipelineCopies> {
  using PipelineCopiesBase::PipelineCopiesBase;

  void runOnOperation() override {
    KernelOp kernel = getOperation();
    // Spec S4. Every stage is a copy of the prologue.
    if (stages < 1 || stages > 8) {
      kernel.emitError("stages must be 1 to 8, but got ") << stages.getValue();
      return signalPassFailure();
    }
    if (failed(pipeline(kernel)))
      return signalPassFailure();
    eraseDeadOps(kernel);
  }

  LogicalResult pipeline(KernelOp kernel) {
    for (auto specialize : kernel.getBody().getOps<SpecializeOp>())
      if (stages > 1)
        return RingPipeliner(specialize, stages).run();

    SmallVector<CopyOp> copies;
    llvm::SetVector<Operation *> loops;
    kernel.walk([&](CopyOp copy) {
      copies.push_back(copy);
      if (auto loop = dyn_cast<scf::ForOp>(copy->getParentOp()))
        loops.insert(loop);
    });
    for (CopyOp copy : copies)
      if (failed(verifyGroupCopy(copy)))
        return failure();
    for (Operation *loop : loops)
      if (stages > 1 && failed(GroupPipeliner(cast<scf::ForOp>(loop), stages).run()))
        return failure();
    while (kernel
               .walk([](CopyOp copy) {
                 completeCopies(copy);
                 return WalkResult::interrupt();
               })
               .wasInterrupted())
      ;
    return success();
  }
};

} // namespace
} // namespace sage::tile
