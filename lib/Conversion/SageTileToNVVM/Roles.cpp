// Which thread does what: units, lanes, producer and consumers.

#include "Atoms/InlinePtx.h"
#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sage::tile {

int64_t KernelLowering::getNumThreads() {
  int64_t units = kernel.getUnits() + (specialized && role == Role::AllUnits ? 1 : 0);
  return (role == Role::Producer ? 1 : units) * kernel.getThreadsPerUnit();
}

Value KernelLowering::getThreadOfRole() {
  if (role != Role::Consumers)
    return thread;
  return arith::SubIOp::create(builder, loc, thread, constant(kernel.getThreadsPerUnit()));
}

Value KernelLowering::getUnitOfBlock() {
  if (unitOfBlock)
    return unitOfBlock;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(thread);
  // ptxas cannot see that %tid.x / 32 is the same in a warp: without the shuffle everything that
  // derives from it, matrix descriptors above all, takes vector registers.
  Value unit = shiftRight(thread, kernel.getUnit() == Unit::Warp ? 5 : 7);
  unitOfBlock =
      NVVM::ShflOp::create(builder, loc, builder.getI32Type(), constant(-1), unit, constant(0),
                           constant(31), NVVM::ShflKind::idx, mlir::UnitAttr());
  return unitOfBlock;
}

LogicalResult KernelLowering::lowerIdentity(Operation *op) {
  Value result;
  if (auto block = dyn_cast<BlockIdOp>(op); block && block.getReload()) {
    result = emitReloadBlockId(builder, loc);
  } else if (block) {
    result = NVVM::BlockIdXOp::create(builder, loc, builder.getI32Type());
  } else if (isa<BlockCountOp>(op)) {
    result = NVVM::GridDimXOp::create(builder, loc, builder.getI32Type());
  } else if (isa<UnitIdOp>(op)) {
    result = getUnitOfBlock();
    if (specialized)
      result = arith::SubIOp::create(builder, loc, result, constant(1));
  } else if (isa<LaneIdOp>(op)) {
    // Addresses between the loops of a persistent block would be computed before all of them, and
    // kept in registers that the inner ones need.
    bool isBetweenLoops = isa_and_present<scf::WhileOp>(op->getParentOfType<LoopLikeOpInterface>());
    result = isBetweenLoops ? emitReloadLaneId(builder, loc) : getLane();
  } else {
    result = mask(shiftRight(thread, 5), getWarpsPerUnit() - 1);
  }
  op->getResult(0).replaceAllUsesWith(toIndex(result));
  return success();
}

void KernelLowering::emitSync() {
  if (role == Role::AllUnits) {
    NVVM::Barrier0Op::create(builder, loc);
    return;
  }
  // Barrier 0 is that of the whole block.
  NVVM::BarrierOp::create(builder, loc, TypeRange(), constant(1), constant(getNumThreads()),
                          /*reductionOp=*/nullptr, /*reductionPredicate=*/Value());
}

void KernelLowering::emitUnitSync() {
  if (kernel.getUnit() == Unit::Warp) {
    NVVM::SyncWarpOp::create(builder, loc, constant(-1));
    return;
  }
  // Behind the barriers of the block and of the consumers, which no producer executes.
  Value barrier = arith::AddIOp::create(builder, loc, getUnitOfBlock(), constant(1));
  NVVM::BarrierOp::create(builder, loc, TypeRange(), barrier, constant(kernel.getThreadsPerUnit()),
                          /*reductionOp=*/nullptr,
                          /*reductionPredicate=*/Value());
}

void KernelLowering::emitProxyFence() {
  NVVM::FenceProxyOp::create(
      builder, loc, NVVM::ProxyKindAttr::get(builder.getContext(), NVVM::ProxyKind::async_shared),
      NVVM::SharedSpaceAttr::get(builder.getContext(), NVVM::SharedSpace::shared_cta));
}

void KernelLowering::emitByOneThread(llvm::function_ref<void()> body) {
  // The producer's region is executed by one thread already.
  if (role == Role::Producer)
    return body();
  auto branch =
      scf::IfOp::create(builder, loc, isEqual(getThreadOfRole(), 0), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

/// Moves the operations of `from` to the builder's position.
static void moveBody(Region &from, OpBuilder &builder) {
  Block *block = builder.getInsertionBlock();
  block->getOperations().splice(builder.getInsertionPoint(), from.front().getOperations());
}

static void emitSetMaxRegisters(OpBuilder &builder, Location loc, int32_t count,
                                NVVM::SetMaxRegisterAction action) {
  if (count != 0)
    NVVM::SetMaxRegisterOp::create(builder, loc, count, action);
}

LogicalResult KernelLowering::lowerSpecialize(SpecializeOp op) {
  auto branch =
      scf::IfOp::create(builder, loc, isEqual(getUnitOfBlock(), 0), /*withElseRegion=*/true);
  builder.setInsertionPointToStart(branch.thenBlock());
  emitSetMaxRegisters(builder, loc, op.getProducerRegisters(),
                      NVVM::SetMaxRegisterAction::decrease);
  auto elected = scf::IfOp::create(builder, loc, isEqual(thread, 0), /*withElseRegion=*/false);
  builder.setInsertionPointToStart(elected.thenBlock());
  moveBody(op.getProducer(), builder);
  role = Role::Producer;
  if (failed(lowerRegion(elected.getThenRegion())))
    return failure();

  builder.setInsertionPointToStart(branch.elseBlock());
  emitSetMaxRegisters(builder, loc, op.getConsumerRegisters(),
                      NVVM::SetMaxRegisterAction::increase);
  moveBody(op.getConsumer(), builder);
  role = Role::Consumers;
  if (failed(lowerRegion(branch.getElseRegion())))
    return failure();
  role = Role::AllUnits;
  return success();
}

LogicalResult KernelLowering::lowerButterfly(LaneButterflyOp op) {
  constexpr int64_t fewValues = 64;
  std::optional<int64_t> chip = getChip();
  bool isLong = op.getResult().getType().getNumElements() > fewValues && chip && *chip < 90;
  constexpr size_t valuesPerStatement = 8;
  SmallVector<Value> values = toElements(op.getSource()), results;
  for (ArrayRef<Value> rest = values; !rest.empty();) {
    ArrayRef<Value> some = rest.take_front(valuesPerStatement);
    llvm::append_range(results, emitButterfly(builder, loc, some, op.getDistances(),
                                              op.getFactors(), flushesDenormals()));
    rest = rest.drop_front(some.size());
    // Before sm_90, ptxas takes a time that is more than linear in the exchanges of one basic
    // block: 16 s for the 1280 of head dim 256, and one where the blocks are small.
    if (isLong)
      emitScheduleBarrier(builder, loc, numScheduleBarriers++);
  }
  op.getResult().replaceAllUsesWith(fromElements(results));
  return success();
}

LogicalResult KernelLowering::lowerShuffle(gpu::ShuffleOp op) {
  NVVM::ShflKind kind;
  switch (op.getMode()) {
  case gpu::ShuffleMode::XOR:
    kind = NVVM::ShflKind::bfly;
    break;
  case gpu::ShuffleMode::IDX:
    kind = NVVM::ShflKind::idx;
    break;
  case gpu::ShuffleMode::UP:
    kind = NVVM::ShflKind::up;
    break;
  case gpu::ShuffleMode::DOWN:
    kind = NVVM::ShflKind::down;
    break;
  }
  Type type = op.getValue().getType();
  if ((!type.isF32() && !type.isInteger(32)) || !op.getValid().use_empty())
    return op.emitOpError(
               "shuffle must be of f32 or i32 and without a use of its validity, but got ")
           << type;
  Value result = NVVM::ShflOp::create(builder, loc, type, constant(-1), op.getValue(),
                                      op.getOffset(), constant(31), kind, mlir::UnitAttr());
  op.getShuffleResult().replaceAllUsesWith(result);
  return success();
}

} // namespace sage::tile
