// Copies from device to shared memory: which instructions serve which operation.

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace sage::tile {

/// One thread starts the copy and all wait for its barrier, whose phase lies behind it in shared
/// memory.
static LogicalResult lowerBulkCopy(CopyOp op, KernelLowering &lowering) {
  OpBuilder &builder = lowering.builder;
  SharedType type = op.getTarget().getType();
  Value barrier = lowering.getPrivateMemory(op);
  Value phaseAddress = lowering.offset(barrier, 8);
  lowering.emitSync();
  Value phase = LLVM::LoadOp::create(builder, op.getLoc(), builder.getI32Type(), phaseAddress, 4,
                                     /*isVolatile=*/true);
  LogicalResult result = success();
  lowering.emitByOneThread([&] {
    emitBarrierExpect(barrier, type.getSizeInBytes(), lowering);
    result = emitBulkCopy(op, op.getSource(), op.getIndices(), type,
                          lowering.getTile(op.getTarget()).pointer, barrier, lowering);
  });
  emitBarrierWait(barrier, phase, lowering);
  lowering.emitSync();
  lowering.emitByOneThread([&] {
    Value next = arith::XOrIOp::create(builder, op.getLoc(), phase, lowering.constant(1));
    LLVM::StoreOp::create(builder, op.getLoc(), next, phaseAddress, 4);
  });
  return result;
}

LogicalResult lowerCopy(CopyOp op, KernelLowering &lowering) {
  if (lowering.getRole() != Role::AllUnits)
    return op.emitOpError("synchronous copy must not be in a specialized region");
  if (isa<TensorMapType>(op.getSource().getType()))
    return lowerBulkCopy(op, lowering);
  OpBuilder &builder = lowering.builder;
  lowering.emitSync();
  if (failed(emitCpAsync(op, op.getSource(), op.getIndices(), op.getTarget().getType(),
                         lowering.getTile(op.getTarget()).pointer, lowering)))
    return failure();
  NVVM::CpAsyncCommitGroupOp::create(builder, op.getLoc());
  NVVM::CpAsyncWaitGroupOp::create(builder, op.getLoc(), 0);
  if (lowering.usesAsyncProxy())
    lowering.emitProxyFence();
  lowering.emitSync();
  return success();
}

LogicalResult lowerCopyAsync(CopyAsyncOp op, KernelLowering &lowering) {
  SharedType type = op.getTarget().getType();
  Value target = lowering.getTile(op.getTarget()).pointer;
  if (!op.getBarrier()) {
    if (lowering.getRole() == Role::Producer)
      return op.emitOpError("copy of the producer must arrive on a barrier");
    return emitCpAsync(op, op.getSource(), op.getIndices(), type, target, lowering);
  }
  LogicalResult result = success();
  lowering.emitByOneThread([&] {
    Value barrier = lowering.getBarrier(op.getBarrier(), op.getSlot());
    result = emitBulkCopy(op, op.getSource(), op.getIndices(), type, target, barrier, lowering);
  });
  return result;
}

} // namespace sage::tile
