// Thread blocks that compute one block id after the other, in a specialized kernel.

#include "Maps.h"
#include "ScalarSlices.h"
#include "StageTiles.h"
#include "TileAccesses.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace sage::tile {
#define GEN_PASS_DEF_MAKEPERSISTENT
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// Ids, and tiles that are copied once for each, are handed on in this many slots.
constexpr int64_t slots = 2;
/// Slots and phases repeat after this many ids.
constexpr int64_t period = 2 * slots;

class Persister {
public:
  Persister(KernelOp kernel, TicketsOp tickets, SpecializeOp specialize)
      : loc(tickets.getLoc()), kernel(kernel), tickets(tickets), specialize(specialize),
        top(specialize) {}

  LogicalResult run();

private:
  /// One region's loop over block ids. `state` is `period` times the iterations of loops over
  /// copied tiles, for all ids before, plus the number of these ids mod `period`: consumers have no
  /// register to spare.
  struct IdLoop {
    scf::WhileOp loop;
    Value id, state, slot, parity;
  };

  LogicalResult collectDependents();
  LogicalResult stageOnceCopied();
  std::pair<Value, Value> createSlot(OpBuilder &builder, Value state);
  IdLoop createLoop(Region &region, bool isProducer);
  void cloneDependents(IdLoop &ids);
  LogicalResult shiftRings(IdLoop &ids, scf::ForOp &last);
  void useSlots(IdLoop &ids);
  Value createNextState(OpBuilder &builder, Value last);
  void finishProducer(IdLoop &ids, scf::ForOp last);
  void finishConsumer(IdLoop &ids, scf::ForOp last);
  Value constant(OpBuilder &builder, int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }

  Location loc;
  KernelOp kernel;
  TicketsOp tickets;
  SpecializeOp specialize;
  /// Inserts before the specialization.
  OpBuilder top;
  /// Scalars above the specialization that depend on the block id, in order.
  llvm::SetVector<Operation *> dependents;
  Value numbers, full, empty;
  /// Barriers and tiles of copies outside of the loops, and what replaces them.
  llvm::SmallMapVector<Value, Value, 4> stagedBarriers, stagedTiles;
};

LogicalResult Persister::collectDependents() {
  for (Operation &op : kernel.getBody().front()) {
    if (&op == specialize)
      return success();
    bool depends = isa<BlockIdOp>(op) || llvm::any_of(op.getOperands(), [&](Value operand) {
                     return operand.getDefiningOp() && dependents.contains(operand.getDefiningOp());
                   });
    if (!depends)
      continue;
    if (!isa<BlockIdOp>(op) && (!isScalarOp(&op) || op.getNumRegions() != 0))
      return op.emitOpError("must not depend on the block id in a kernel to be made persistent");
    dependents.insert(&op);
  }
  return success();
}

/// Barriers that no loop of the consumers waits for belong to copies that are made once for each
/// id.
LogicalResult Persister::stageOnceCopied() {
  for (auto wait : specialize.getConsumer().front().getOps<BarrierWaitOp>())
    stagedBarriers[wait.getBarrier()] = Value();
  WalkResult result = specialize.getProducer().walk([&](CopyAsyncOp copy) {
    if (!stagedBarriers.contains(copy.getBarrier()))
      return WalkResult::advance();
    Value root = getRootTile(copy.getTarget());
    auto type = cast<SharedType>(root.getType());
    if (type.isStaged() || llvm::any_of(root.getUsers(), llvm::IsaPred<FillOp>)) {
      copy.emitOpError("target must have no stages and no filled parts, but got ") << type;
      return WalkResult::interrupt();
    }
    stagedTiles[root] = Value();
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (auto &[barrier, staged] : stagedBarriers) {
    auto alloc = barrier.getDefiningOp<BarrierAllocOp>();
    staged = BarrierAllocOp::create(
        top, alloc.getLoc(), BarrierType::get(kernel.getContext(), slots), alloc.getArrivals());
  }
  for (auto &[tile, staged] : stagedTiles)
    staged =
        AllocOp::create(top, tile.getLoc(), cast<SharedType>(tile.getType()).withStages(slots));
  return success();
}

/// Slot and parity of an id.
std::pair<Value, Value> Persister::createSlot(OpBuilder &builder, Value state) {
  Value phase = createQuotient(builder, loc, state, slots);
  return {createRemainder(builder, loc, state, slots), createRemainder(builder, loc, phase, 2)};
}

/// Moves `region` into a loop that ends at the first id that is none.
Persister::IdLoop Persister::createLoop(Region &region, bool isProducer) {
  IdLoop ids;
  Block *old = &region.front();
  Block *body = new Block;
  region.push_back(body);
  OpBuilder builder = OpBuilder::atBlockBegin(body);
  Value zero = constant(builder, 0);
  // A producer knows the next id, consumers are told.
  SmallVector<Value> initial{zero};
  if (isProducer)
    initial.insert(initial.begin(), BlockIdOp::create(builder, loc));
  SmallVector<Type> types(initial.size(), builder.getIndexType());
  SmallVector<Type> bodyTypes(2, builder.getIndexType());
  SmallVector<Location> locations(2, loc);
  ids.loop = scf::WhileOp::create(builder, loc, bodyTypes, initial);

  OpBuilder::InsertionGuard guard(builder);
  Block *before = builder.createBlock(&ids.loop.getBefore(), {}, types,
                                      ArrayRef(locations).take_front(types.size()));
  Value state = before->getArguments().back(), id;
  auto [slot, parity] = createSlot(builder, state);
  Value isId;
  if (isProducer) {
    id = before->getArgument(0);
    isId = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, id, tickets.getIds());
    // The first waits, for a phase before the first, pass.
    Value inverted = createRemainder(
        builder, loc, arith::AddIOp::create(builder, loc, parity, constant(builder, 1)), 2);
    BarrierWaitOp::create(builder, loc, empty, slot, inverted);
    // Below 0: no more. Consumers have no register for the number of ids.
    Value none = constant(builder, -1);
    Value handed = arith::SelectOp::create(builder, loc, isId, id, none);
    PutOp::create(builder, loc, handed, numbers, slot);
    BarrierArriveOp::create(builder, loc, full, slot);
  } else {
    BarrierWaitOp::create(builder, loc, full, slot, parity);
    id = GetOp::create(builder, loc, numbers, slot);
    isId = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, id, constant(builder, 0));
  }
  scf::ConditionOp::create(builder, loc, isId, ValueRange{id, state});

  Block *after = builder.createBlock(&ids.loop.getAfter(), {}, bodyTypes, locations);
  ids.id = after->getArgument(0);
  ids.state = after->getArgument(1);
  std::tie(ids.slot, ids.parity) = createSlot(builder, ids.state);
  after->getOperations().splice(after->end(), old->getOperations());
  old->erase();
  return ids;
}

void Persister::cloneDependents(IdLoop &ids) {
  Block *body = ids.loop.getAfterBody();
  OpBuilder builder(ids.loop.getContext());
  builder.setInsertionPointAfterValue(ids.parity);
  IRMapping mapping;
  for (Operation *op : dependents) {
    if (isa<BlockIdOp>(op))
      mapping.map(op->getResult(0), ids.id);
    else
      builder.clone(*op, mapping);
  }
  body->walk([&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (Operation *source = operand.get().getDefiningOp(); source && dependents.contains(source))
        operand.set(mapping.lookup(operand.get()));
  });
}

/// Stages and phases of what loops copy go on where the id before ended. Sets `last`, the last of
/// these loops.
LogicalResult Persister::shiftRings(IdLoop &ids, scf::ForOp &last) {
  DenseMap<Value, Value> bounds;
  auto isRing = [](scf::ForOp loop) {
    return loop
        .walk([](Operation *op) {
          return isa<BarrierWaitOp, BarrierArriveOp>(op) ? WalkResult::interrupt()
                                                         : WalkResult::advance();
        })
        .wasInterrupted();
  };
  for (auto loop : ids.loop.getAfterBody()->getOps<scf::ForOp>()) {
    if (!isRing(loop))
      continue;
    if (!isConstantIntValue(loop.getStep(), 1) ||
        (!last && !isConstantIntValue(loop.getLowerBound(), 0)))
      return loop.emitOpError("loop must count from 0 by 1 in a kernel to be made persistent");
    OpBuilder builder(loop);
    // Loops that were one end where the next begins.
    auto shiftBound = [&](Value bound) {
      Value &shifted = bounds[bound];
      if (!shifted)
        shifted = arith::AddIOp::create(
            builder, loc, arith::MulIOp::create(builder, loc, bound, constant(builder, period)),
            ids.state);
      return shifted;
    };
    loop.setLowerBound(last ? shiftBound(loop.getLowerBound()) : ids.state);
    loop.setUpperBound(shiftBound(loop.getUpperBound()));
    last = loop;
    loop.setStep(constant(builder, period));
    builder.setInsertionPointToStart(loop.getBody());
    // Most loops number nothing but stages: then one register counts both.
    Value state = loop.getInductionVar();
    Value ring = createQuotient(builder, loc, state, period);
    Value steps = arith::SubIOp::create(builder, loc, state, ids.state);
    Value number = createQuotient(builder, loc, steps, period);
    state.replaceUsesWithIf(number, [&](OpOperand &use) {
      return use.getOwner() != ring.getDefiningOp() && use.getOwner() != steps.getDefiningOp();
    });
    IRMapping mapping;
    mapping.map(number, ring);
    auto shift = [&](OpOperand &operand) {
      FailureOr<Value> value = cloneScalar(builder, operand.get(), loop.getRegion(), mapping);
      if (succeeded(value))
        operand.set(*value);
      return success(succeeded(value));
    };
    WalkResult result = loop.walk([&](Operation *op) {
      if (auto stage = dyn_cast<StageOp>(op))
        return WalkResult(shift(stage.getIndexMutable()));
      if (auto copy = dyn_cast<CopyAsyncOp>(op); copy && copy.getSlot())
        return WalkResult(shift(copy.getSlotMutable()[0]));
      if (isa<BarrierExpectOp, BarrierArriveOp>(op))
        return WalkResult(shift(op->getOpOperand(1)));
      if (auto wait = dyn_cast<BarrierWaitOp>(op)) {
        if (failed(shift(wait.getSlotMutable())))
          return WalkResult::interrupt();
        return WalkResult(shift(wait.getParityMutable()));
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
  }
  if (!last)
    return tickets.emitOpError("must be in a kernel that copies tiles in a loop");
  return success();
}

/// Copies outside of the loops take turns in two slots.
void Persister::useSlots(IdLoop &ids) {
  Block *body = ids.loop.getAfterBody();
  OpBuilder builder(body->getParentOp()->getContext());
  builder.setInsertionPointAfterValue(ids.parity);
  IRMapping stages;
  for (auto &[tile, staged] : stagedTiles)
    stages.map(
        tile,
        StageOp::create(builder, tile.getLoc(), tile.getType(), staged, ids.slot).getResult());
  body->walk([&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands()) {
      if (Value stage = stages.lookupOrNull(operand.get())) {
        operand.set(stage);
        continue;
      }
      auto staged = stagedBarriers.find(operand.get());
      if (staged == stagedBarriers.end())
        continue;
      operand.set(staged->second);
      if (auto copy = dyn_cast<CopyAsyncOp>(op))
        copy.getSlotMutable().assign(ids.slot);
      else
        op->setOperand(1, ids.slot);
      if (auto wait = dyn_cast<BarrierWaitOp>(op))
        wait.getParityMutable().set(ids.parity);
    }
  });
}

/// One id further; `last` counts the iterations of this one already.
Value Persister::createNextState(OpBuilder &builder, Value last) {
  Value round = createRemainder(builder, loc, last, period);
  Value next = createRemainder(
      builder, loc, arith::AddIOp::create(builder, loc, last, constant(builder, 1)), period);
  return arith::AddIOp::create(builder, loc, arith::SubIOp::create(builder, loc, last, round),
                               next);
}

/// Tickets follow the ids that blocks begin with. The next one is asked for at once, and needed
/// when all copies of this id are issued.
void Persister::finishProducer(IdLoop &ids, scf::ForOp last) {
  Block *body = ids.loop.getAfterBody();
  OpBuilder builder = OpBuilder::atBlockBegin(body);
  // As many are taken as there are ids: one for every id but the blocks' first, and one by which
  // each block ends.
  Value ticket =
      CountOp::create(builder, loc, tickets.getCounters(), tickets.getIndex(), tickets.getIds());
  builder.setInsertionPointToEnd(body);
  Value next = arith::AddIOp::create(builder, loc, ticket, BlockCountOp::create(builder, loc));
  scf::YieldOp::create(builder, loc,
                       ValueRange{next, createNextState(builder, last.getUpperBound())});
}

/// The slots are free when the consumers have read the id, for the last time too, and what was
/// copied for it.
void Persister::finishConsumer(IdLoop &ids, scf::ForOp last) {
  Block *body = ids.loop.getAfterBody();
  OpBuilder builder(ids.loop.getContext());
  builder.setInsertionPointAfter(last);
  Value slot = createSlot(builder, last.getUpperBound()).first;
  Operation *end = slot.getDefiningOp();
  for (auto block : llvm::make_early_inc_range(body->getOps<BlockIdOp>())) {
    builder.setInsertionPoint(block);
    end = GetOp::create(builder, block.getLoc(), numbers, slot);
    block.getResult().replaceAllUsesWith(end->getResult(0));
    block.erase();
  }
  builder.setInsertionPointAfter(end);
  BarrierArriveOp::create(builder, loc, empty, slot);
  builder.setInsertionPointToEnd(body);
  scf::YieldOp::create(builder, loc, createNextState(builder, last.getUpperBound()));
}

LogicalResult Persister::run() {
  if (failed(collectDependents()) || failed(stageOnceCopied()))
    return failure();
  MLIRContext *context = kernel.getContext();
  // 16 bytes: the unit in which shared memory is placed.
  numbers = AllocOp::create(top, loc,
                            SharedType::get(context, {2 * slots}, top.getI32Type(), /*swizzle=*/0));
  auto type = BarrierType::get(context, slots);
  full = BarrierAllocOp::create(top, loc, type, 1);
  empty = BarrierAllocOp::create(top, loc, type, static_cast<int32_t>(kernel.getUnits()));
  for (bool isProducer : {true, false}) {
    Region &region = isProducer ? specialize.getProducer() : specialize.getConsumer();
    IdLoop ids = createLoop(region, isProducer);
    cloneDependents(ids);
    useSlots(ids);
    scf::ForOp last;
    if (failed(shiftRings(ids, last)))
      return failure();
    isProducer ? finishProducer(ids, last) : finishConsumer(ids, last);
  }
  for (auto &replaced : {stagedTiles, stagedBarriers})
    for (auto &[old, staged] : replaced)
      old.getDefiningOp()->erase();
  tickets.erase();
  kernel->setAttr("persistent", mlir::UnitAttr::get(context));
  eraseDeadOps(kernel);
  return success();
}

struct MakePersistent : impl::MakePersistentBase<MakePersistent> {
  void runOnOperation() override {
    auto found = getOperation().getBody().getOps<TicketsOp>();
    if (found.empty())
      return;
    TicketsOp tickets = *found.begin();
    auto regions = getOperation().getBody().getOps<SpecializeOp>();
    if (regions.empty()) {
      InFlightDiagnostic diagnostic =
          tickets.emitOpError("must be in a specialized kernel to be made persistent");
      diagnostic.attachNote() << "run sage-tile-specialize-warps first";
      return signalPassFailure();
    }
    if (failed(Persister(getOperation(), tickets, *regions.begin()).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace sage::tile
