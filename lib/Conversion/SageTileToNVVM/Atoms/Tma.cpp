// Bulk copies (PTX ISA, "cp.async.bulk" and "cp.async.bulk.tensor").

#include "../KernelLowering.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace sage::tile {

/// Copies from a memref name one contiguous piece: a vector, or rows without a gap.
static LogicalResult verifyContiguous(Operation *op, MemRefType source, SharedType type) {
  if (type.getSwizzle() != 0) {
    InFlightDiagnostic diagnostic =
        op->emitOpError("bulk copy from a memref must not have a swizzled target, but got ")
        << type;
    diagnostic.attachNote() << "use a tensor map";
    return diagnostic;
  }
  ArrayRef<int64_t> strides = source.getStridesAndOffset().first;
  if (type.getRank() == 2 && type.getShape()[0] > 1 &&
      strides[strides.size() - 2] != type.getShape()[1])
    return op->emitOpError("bulk copy from a memref must be of rows without a gap, but got ")
           << source << " to " << type;
  return success();
}

LogicalResult emitBulkCopy(Operation *op, Value source, ValueRange indices, SharedType type,
                           Value target, Value barrier, KernelLowering &lowering) {
  OpBuilder &builder = lowering.builder;
  Location loc = op->getLoc();
  if (auto memref = dyn_cast<MemRefType>(source.getType())) {
    if (failed(verifyContiguous(op, memref, type)))
      return failure();
    NVVM::CpAsyncBulkGlobalToSharedClusterOp::create(
        builder, loc, target, lowering.getAddress(source, indices), barrier,
        lowering.constant(type.getSizeInBytes()), Value(), Value());
    return success();
  }
  // A tensor map names the innermost coordinate first.
  SmallVector<Value> coordinates;
  for (Value index : llvm::reverse(indices))
    coordinates.push_back(lowering.toI32(index));
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      builder, loc, target, lowering.getMemory(source).pointer, coordinates, barrier,
      /*im2colOffsets=*/ValueRange(), /*multicastMask=*/Value(), /*l2CacheHint=*/Value(),
      NVVM::TMALoadMode::TILE, /*isCTAOnly=*/true, /*group=*/nullptr, /*predicate=*/Value());
  return success();
}

} // namespace sage::tile
