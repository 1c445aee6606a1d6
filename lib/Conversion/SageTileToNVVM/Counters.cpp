// What thread blocks and launches wait for: counters in device memory, launches before this one.

#include "Atoms/InlinePtx.h"
#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sage::tile {

/// All threads of the device.
static constexpr StringLiteral kDevice = "device";

/// Whether the block may have written before `op`. Where it stands in the kernel's body, only what
/// is above can have.
static bool followsWrite(CountOp op) {
  if (!isa<LLVM::LLVMFuncOp>(op->getParentOp()))
    return true;
  for (Operation *before = op->getPrevNode(); before; before = before->getPrevNode())
    if (before->getNumRegions() != 0 || isa<LaneStoreOp, LLVM::StoreOp, CountOp>(before))
      return true;
  return false;
}

/// One thread counts between two barriers: what the others wrote before comes before the fence (PTX
/// ISA, "Memory consistency model", causality order). A fence of its own, since LLVM 22 drops the
/// order of an atomic addition; where nothing was written there is nothing to wait for.
LogicalResult KernelLowering::lowerCount(CountOp op) {
  Value address = getAddress(op.getCounters(), op.getIndex());
  auto emitAddition = [&]() -> Value {
    // PTX ISA, "atom": .inc wraps to 0 behind its operand.
    bool wraps = op.getWraps() != nullptr;
    Value operand = wraps ? add(toI32(op.getWraps()), constant(-1)) : constant(1);
    return LLVM::AtomicRMWOp::create(builder, loc,
                                     wraps ? LLVM::AtomicBinOp::uinc_wrap : LLVM::AtomicBinOp::add,
                                     address, operand, LLVM::AtomicOrdering::monotonic, kDevice);
  };
  if (role == Role::Producer) {
    // The producer is one thread, and writes nothing.
    op.getResult().replaceAllUsesWith(toIndex(emitAddition()));
    return success();
  }
  Value place = getPrivateMemory(op);
  emitSync();
  bool releases = followsWrite(op);
  emitByOneThread([&] {
    if (releases)
      LLVM::FenceOp::create(builder, loc, LLVM::AtomicOrdering::acq_rel, kDevice);
    Value number = emitAddition();
    LLVM::StoreOp::create(builder, loc, number, place, 4);
  });
  emitSync();
  Value number = LLVM::LoadOp::create(builder, loc, builder.getI32Type(), place, 4);
  op.getResult().replaceAllUsesWith(toIndex(toUniform(number)));
  return success();
}

LogicalResult KernelLowering::lowerAwait(AwaitOp op) {
  Value address = getAddress(op.getCounters(), op.getIndex());
  Value number = toI32(op.getNumber());
  emitByOneThread([&] {
    auto loop = scf::WhileOp::create(builder, loc, TypeRange(), ValueRange());
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&loop.getBefore());
    Value reached = LLVM::LoadOp::create(builder, loc, builder.getI32Type(), address, 4,
                                         /*isVolatile=*/false, /*isNonTemporal=*/false,
                                         /*isInvariant=*/false, /*isInvariantGroup=*/false,
                                         LLVM::AtomicOrdering::acquire, kDevice);
    Value waits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, reached, number);
    scf::ConditionOp::create(builder, loc, waits, ValueRange());
    builder.createBlock(&loop.getAfter());
    scf::YieldOp::create(builder, loc);
  });
  emitSync();
  return success();
}

Value KernelLowering::getNumber(Value tile, Value index) {
  return offset(getTile(tile).pointer, mul(toI32(index), 4));
}

LogicalResult KernelLowering::lowerPut(PutOp op) {
  LLVM::StoreOp::create(builder, loc, toI32(op.getNumber()),
                        getNumber(op.getTarget(), op.getIndex()), 4, /*isVolatile=*/true);
  return success();
}

LogicalResult KernelLowering::lowerGet(GetOp op) {
  Value number = LLVM::LoadOp::create(builder, loc, builder.getI32Type(),
                                      getNumber(op.getSource(), op.getIndex()), 4,
                                      /*isVolatile=*/true);
  op.getResult().replaceAllUsesWith(toIndex(toUniform(number)));
  return success();
}

LogicalResult KernelLowering::lowerGridControl(Operation *op) {
  // PTX ISA, "griddepcontrol".
  if (failed(verifyChip(op, 90, "launches overlap from there on; leave it out")))
    return failure();
  emitGridControl(builder, loc, isa<GridWaitOp>(op));
  return success();
}

} // namespace sage::tile
