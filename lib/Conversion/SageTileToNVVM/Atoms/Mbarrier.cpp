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

/// Lane 0 arrives for its warp, so the other lanes' accesses must have happened. A wait for a
/// matrix product is executed by the warp as a whole and comes after the product's own reads.
static bool needsWarpSync(BarrierArriveOp op) {
  for (Operation *before = op->getPrevNode(); before; before = before->getPrevNode()) {
    if (isa<WaitOp>(before))
      return false;
    if (isa<LaneLoadOp, LaneStoreOp, LoadMatrixOp, MmaOp, GetOp>(before) ||
        before->getNumRegions() != 0)
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
