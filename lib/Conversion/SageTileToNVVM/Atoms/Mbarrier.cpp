// mbarriers in shared memory (PTX ISA, "mbarrier").

#include "../KernelLowering.h"
#include "InlinePtx.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace sage::tile {

void emitBarrierWait(Value barrier, Value parity, KernelLowering &lowering) {
  emitTryWaitLoop(lowering.builder, lowering.getLoc(), barrier, parity);
}

void emitBarrierExpect(Value barrier, int64_t bytes, KernelLowering &lowering) {
  NVVM::MBarrierArriveExpectTxOp::create(lowering.builder, lowering.getLoc(), Type(), barrier,
                                         lowering.constant(bytes), NVVM::MemScopeKind::CTA,
                                         /*relaxed=*/false, Value());
}

LogicalResult lowerBarrierExpect(BarrierExpectOp op, KernelLowering &lowering) {
  lowering.emitByOneThread([&] {
    emitBarrierExpect(lowering.getBarrier(op.getBarrier(), op.getSlot()), op.getBytes(), lowering);
  });
  return success();
}

/// Whether lanes may have read shared memory since the warp last met. Only the reads of a matrix
/// product are over for the whole warp at its wait; ordinary loads before it (scales, say) are
/// ordered lane by lane, and only bar.warp.sync orders them before lane 0's arrival (PTX ISA,
/// "bar.warp.sync").
static bool needsWarpSync(BarrierArriveOp op) {
  auto reads = [](Operation *inner) {
    return isa<LaneLoadOp, LaneStoreOp, LoadMatrixOp, MmaOp, GetOp>(inner) ? WalkResult::interrupt()
                                                                           : WalkResult::advance();
  };
  for (Operation *before = op->getPrevNode(); before; before = before->getPrevNode()) {
    // An arrival meets the warp itself, or has nothing to wait for since the one before.
    if (isa<BarrierArriveOp, SyncOp>(before))
      return false;
    if (before->walk(reads).wasInterrupted())
      return true;
  }
  return true;
}

LogicalResult lowerBarrierArrive(BarrierArriveOp op, KernelLowering &lowering) {
  OpBuilder &builder = lowering.builder;
  Value barrier = lowering.getBarrier(op.getBarrier(), op.getSlot());
  if (lowering.getRole() == Role::Producer) {
    emitArrive(builder, op.getLoc(), barrier, Value());
    return success();
  }
  if (needsWarpSync(op))
    NVVM::SyncWarpOp::create(builder, op.getLoc(), lowering.constant(-1));
  emitArrive(builder, op.getLoc(), barrier, lowering.isEqual(lowering.getLane(), 0));
  return success();
}

LogicalResult lowerBarrierWait(BarrierWaitOp op, KernelLowering &lowering) {
  emitBarrierWait(lowering.getBarrier(op.getBarrier(), op.getSlot()),
                  lowering.toI32(op.getParity()), lowering);
  return success();
}

} // namespace sage::tile
