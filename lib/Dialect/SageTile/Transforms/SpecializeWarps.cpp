// One producer that copies, many consumers that compute, and the barriers between them.

#include "Maps.h"
#include "ScalarSlices.h"
#include "SmallVectors.h"
#include "TileAccesses.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace sage::tile {
#define GEN_PASS_DEF_SPECIALIZEWARPS
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// Copies that complete on one barrier.
using CopyGroup = SmallVector<CopyOp>;

/// Runs of copies in `block` with only scalars between them.
SmallVector<CopyGroup> groupCopies(Block &block) {
  SmallVector<CopyGroup> groups;
  bool extends = false;
  for (Operation &op : block) {
    if (auto copy = dyn_cast<CopyOp>(op)) {
      if (!extends)
        groups.emplace_back();
      groups.back().push_back(copy);
      extends = true;
    } else if (!isScalarOp(&op)) {
      extends = false;
    }
  }
  return groups;
}

int64_t getBytes(const CopyGroup &group) {
  int64_t bytes = 0;
  for (CopyOp copy : group)
    bytes += copy.getTarget().getType().getSizeInBytes();
  return bytes;
}

LogicalResult verifyBulkCopy(CopyOp copy) {
  SharedType target = copy.getTarget().getType();
  if (isa<MemRefType>(copy.getSource().getType()) && target.getRank() != 1) {
    InFlightDiagnostic diagnostic =
        copy.emitOpError("source of a producer's copy must be a tensor map or a vector, but got ")
        << copy.getSource().getType();
    diagnostic.attachNote() << "use a schedule with cp.async copies, or a tensor map";
    return diagnostic;
  }
  if (target.getSizeInBytes() % 16 != 0)
    return copy.emitOpError("bulk copy must move a multiple of 16 bytes, but got ")
           << target.getSizeInBytes();
  return success();
}

class Specializer {
public:
  Specializer(KernelOp kernel, int64_t producerRegisters, int64_t consumerRegisters)
      : kernel(kernel), body(kernel.getBody().front()), top(body.getTerminator()) {
    createRegions(producerRegisters, consumerRegisters);
  }

  LogicalResult run();

private:
  void createRegions(int64_t producerRegisters, int64_t consumerRegisters);
  LogicalResult splitBody();
  LogicalResult moveGroups(Block &block, OpBuilder &producer, IRMapping &mapping, scf::ForOp loop);
  LogicalResult moveLoop(scf::ForOp loop, OpBuilder &producer);
  LogicalResult movePrefetch(PrefetchOp prefetch, OpBuilder &producer, IRMapping &mapping);
  LogicalResult moveGroup(const CopyGroup &group, OpBuilder &producer, IRMapping &mapping,
                          scf::ForOp loop);
  LogicalResult findUses(const CopyGroup &group, Operation *&first, Operation *&last);
  Value allocateBarrier(Location loc, int32_t arrivals) {
    return BarrierAllocOp::create(top, loc, BarrierType::get(kernel.getContext(), 1), arrivals);
  }

  KernelOp kernel;
  Block &body;
  /// Inserts before the specialization: allocations.
  OpBuilder top;
  SpecializeOp specialize;
  llvm::SmallPtrSet<Value, 8> copiedTiles;
};

/// Register counts that the launch's allotment covers: what it gives each thread, as a multiple of
/// 8, times all units (PTX ISA, "setmaxnreg"; more would wait for ever).
std::pair<int64_t, int64_t> computeRegisters(int64_t units) {
  constexpr int64_t perLane = 512, producerMinimum = 24, largest = 240;
  int64_t total = perLane / (units + 1) / 8 * 8 * (units + 1);
  int64_t consumer = std::min(largest, (total - producerMinimum) / units / 8 * 8);
  int64_t producer = std::min(largest, total - units * consumer);
  return {producer, consumer};
}

void Specializer::createRegions(int64_t producerRegisters, int64_t consumerRegisters) {
  int64_t producer = 0, consumer = 0;
  // setmaxnreg is for warpgroups; a single consumer has all the registers it can name.
  if (kernel.getUnit() == Unit::Warpgroup && kernel.getUnits() > 1)
    std::tie(producer, consumer) = computeRegisters(kernel.getUnits());
  specialize = SpecializeOp::create(top, kernel.getLoc(),
                                    producerRegisters < 0 ? producer : producerRegisters,
                                    consumerRegisters < 0 ? consumer : consumerRegisters);
  specialize.getProducer().emplaceBlock();
  specialize.getConsumer().emplaceBlock();
  top.setInsertionPoint(specialize);
}

/// Allocations, fills, and scalars that are the same for all units stay above; everything else goes
/// to the consumers.
LogicalResult Specializer::splitBody() {
  Block *consumer = &specialize.getConsumer().front();
  llvm::SmallPtrSet<Operation *, 32> moved;
  llvm::SmallPtrSet<Value, 4> touched;
  for (Operation &op : llvm::make_early_inc_range(body)) {
    if (&op == specialize)
      break;
    bool dependsOnMoved = op.walk([&](Operation *nested) {
                              bool found = llvm::any_of(nested->getOperands(), [&](Value operand) {
                                return moved.contains(operand.getDefiningOp());
                              });
                              return found ? WalkResult::interrupt() : WalkResult::advance();
                            }).wasInterrupted();
    bool allocates = isa<AllocOp, BarrierAllocOp, FillOp>(op);
    // Every thread of the block waits for the launches before; tickets are nothing yet.
    if (isa<GridWaitOp, GridReleaseOp, TicketsOp>(op))
      continue;
    if ((isScalarOp(&op) || allocates) && !isa<UnitIdOp>(op) && !dependsOnMoved) {
      if (auto fill = dyn_cast<FillOp>(op); fill && touched.contains(getRootTile(fill.getTarget())))
        return fill.emitOpError(
            "fill must come before the first access of its tile in a kernel to be specialized");
      continue;
    }
    if (allocates)
      return op.emitOpError("must not depend on the executing unit in a kernel to be specialized");
    TileAccesses accesses(&op);
    touched.insert(accesses.reads.begin(), accesses.reads.end());
    op.moveBefore(consumer, consumer->end());
    moved.insert(&op);
  }
  return success();
}

/// The first and the last operation, in the block of the copies, that use the copied tiles. A
/// product in flight uses them until its wait.
LogicalResult Specializer::findUses(const CopyGroup &group, Operation *&first, Operation *&last) {
  CopyOp lastCopy = group.back();
  Block *block = lastCopy->getBlock();
  for (CopyOp copy : group) {
    Value root = getRootTile(copy.getTarget());
    if (!copiedTiles.insert(root).second)
      return copy.emitOpError(
          "tile must be the target of one copy group in a kernel to be specialized");
  }
  auto readsGroup = [&](Operation *op) {
    TileAccesses accesses(op);
    return llvm::any_of(
        group, [&](CopyOp copy) { return accesses.reads.contains(getRootTile(copy.getTarget())); });
  };
  auto extend = [&](Operation *op) {
    op = block->findAncestorOpInBlock(*op);
    if (op && (!last || last->isBeforeInBlock(op)))
      last = op;
  };
  WalkResult result = specialize.getConsumer().walk([&](Operation *op) {
    if (op->getNumRegions() != 0 || !readsGroup(op))
      return WalkResult::advance();
    Operation *ancestor = block->findAncestorOpInBlock(*op);
    if (!ancestor || ancestor->isBeforeInBlock(lastCopy)) {
      lastCopy.emitOpError("tile must be read after its copy in the same block of a kernel to be "
                           "specialized")
              .attachNote(op->getLoc())
          << "read here";
      return WalkResult::interrupt();
    }
    if (!first || ancestor->isBeforeInBlock(first))
      first = ancestor;
    extend(op);
    if (auto product = dyn_cast<MmaAsyncOp>(op))
      for (Operation *user : product.getResult().getUsers())
        extend(user);
    return WalkResult::advance();
  });
  // Nobody reads the tile: the barriers still have to turn.
  if (!first)
    first = last = lastCopy;
  return failure(result.wasInterrupted());
}

/// `number` + `shift` mod 2: parity of the phase that a wait waits for.
Value createParity(OpBuilder &builder, scf::ForOp loop, Value inductionVariable, int64_t shift) {
  Location loc = loop.getLoc();
  Value number = createIterationNumber(builder, loop, inductionVariable);
  if (shift != 0)
    number = arith::AddIOp::create(builder, loc, number,
                                   arith::ConstantIndexOp::create(builder, loc, shift));
  return createRemainder(builder, loc, number, 2);
}

LogicalResult Specializer::moveGroup(const CopyGroup &group, OpBuilder &producer,
                                     IRMapping &mapping, scf::ForOp loop) {
  Location loc = group.front()->getLoc();
  Operation *first = nullptr, *last = nullptr;
  if (failed(findUses(group, first, last)))
    return failure();
  Value full = allocateBarrier(loc, 1);
  OpBuilder consumer(first);
  Value consumerSlot = arith::ConstantIndexOp::create(consumer, loc, 0);
  Value parity = loop ? createParity(consumer, loop, loop.getInductionVar(), 0) : consumerSlot;
  BarrierWaitOp::create(consumer, loc, full, consumerSlot, parity);

  Value slot = arith::ConstantIndexOp::create(producer, loc, 0);
  // A tile that is copied once is never waited for by its producer.
  if (loop) {
    Value empty = allocateBarrier(loc, kernel.getUnits());
    consumer.setInsertionPointAfter(last);
    BarrierArriveOp::create(consumer, loc, empty, consumerSlot);
    Value inverted = createParity(producer, loop, mapping.lookup(loop.getInductionVar()), 1);
    BarrierWaitOp::create(producer, loc, empty, slot, inverted);
  }
  BarrierExpectOp::create(producer, loc, full, slot, getBytes(group));
  for (CopyOp copy : group) {
    SmallVector<Value> indices;
    for (Value index : copy.getIndices()) {
      FailureOr<Value> cloned = cloneScalar(producer, index, specialize.getConsumer(), mapping);
      if (failed(cloned))
        return failure();
      indices.push_back(*cloned);
    }
    FailureOr<Value> target =
        cloneScalar(producer, copy.getTarget(), specialize.getConsumer(), mapping);
    if (failed(target))
      return failure();
    CopyAsyncOp::create(producer, copy.getLoc(), copy.getSource(), indices, *target, full, slot);
    copy.erase();
  }
  return success();
}

LogicalResult Specializer::moveLoop(scf::ForOp loop, OpBuilder &producer) {
  IRMapping mapping;
  SmallVector<Value> bounds;
  for (Value bound : {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()}) {
    FailureOr<Value> cloned = cloneScalar(producer, bound, specialize.getConsumer(), mapping);
    if (failed(cloned))
      return failure();
    bounds.push_back(*cloned);
  }
  auto copies = scf::ForOp::create(producer, loop.getLoc(), bounds[0], bounds[1], bounds[2]);
  mapping.map(loop.getInductionVar(), copies.getInductionVar());
  OpBuilder inner(copies.getBody()->getTerminator());
  return moveGroups(*loop.getBody(), inner, mapping, loop);
}

LogicalResult Specializer::movePrefetch(PrefetchOp prefetch, OpBuilder &producer,
                                        IRMapping &mapping) {
  for (Value operand : prefetch->getOperands())
    if (failed(cloneScalar(producer, operand, specialize.getConsumer(), mapping)))
      return failure();
  producer.clone(*prefetch, mapping);
  prefetch.erase();
  return success();
}

/// Moves the copies and prefetches of `block`, in their order, to the producer.
LogicalResult Specializer::moveGroups(Block &block, OpBuilder &producer, IRMapping &mapping,
                                      scf::ForOp loop) {
  SmallVector<CopyGroup> groups = groupCopies(block);
  auto hasCopies = [](scf::ForOp nested) {
    return nested.walk([](CopyOp) { return WalkResult::interrupt(); }).wasInterrupted();
  };
  // Prefetches, groups and loops by position; groups erase their copies as they move.
  SmallVector<std::pair<Operation *, const CopyGroup *>> work;
  for (auto prefetch : block.getOps<PrefetchOp>())
    work.push_back({prefetch, nullptr});
  for (const CopyGroup &group : groups)
    work.push_back({group.front(), &group});
  for (auto nested : block.getOps<scf::ForOp>())
    if (hasCopies(nested))
      work.push_back({nested, nullptr});
  llvm::sort(work, [](auto &a, auto &b) { return a.first->isBeforeInBlock(b.first); });
  auto move = [&](Operation *op, const CopyGroup *group) {
    if (group)
      return moveGroup(*group, producer, mapping, loop);
    if (auto prefetch = dyn_cast<PrefetchOp>(op))
      return movePrefetch(prefetch, producer, mapping);
    return moveLoop(cast<scf::ForOp>(op), producer);
  };
  for (auto [op, group] : work)
    if (failed(move(op, group)))
      return failure();
  return success();
}

LogicalResult Specializer::run() {
  IRMapping mapping;
  OpBuilder producer = OpBuilder::atBlockEnd(&specialize.getProducer().front());
  if (failed(splitBody()) ||
      failed(moveGroups(specialize.getConsumer().front(), producer, mapping, {})))
    return failure();
  eraseDeadOps(kernel);
  return success();
}

/// Copies must be in the kernel's body or in a loop of it.
LogicalResult verifyPlaces(KernelOp kernel) {
  WalkResult result = kernel.walk([&](CopyOp copy) {
    Operation *parent = copy->getParentOp();
    bool isInLoop = isa<scf::ForOp>(parent) && parent->getParentOp() == kernel;
    if (parent != kernel && !isInLoop) {
      copy.emitOpError(
          "must be in the kernel's body or in a loop of it in a kernel to be specialized");
      return WalkResult::interrupt();
    }
    return failed(verifyBulkCopy(copy)) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

struct SpecializeWarps : impl::SpecializeWarpsBase<SpecializeWarps> {
  using SpecializeWarpsBase::SpecializeWarpsBase;

  void runOnOperation() override {
    KernelOp kernel = getOperation();
    bool hasCopies = kernel.walk([](CopyOp) { return WalkResult::interrupt(); }).wasInterrupted();
    if (!hasCopies)
      return;
    if (!llvm::hasSingleElement(kernel.getBody())) {
      kernel.emitOpError("must have one block to be specialized");
      return signalPassFailure();
    }
    loadSmallVectors(kernel);
    if (failed(verifyPlaces(kernel)) ||
        failed(Specializer(kernel, producerRegisters, consumerRegisters).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace sage::tile
