// Shared memory: where tiles and barriers lie, and how lanes access it.

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace sage::tile {

static constexpr StringLiteral kSharedName = "sage_shared";

static int64_t getElementBytes(Type memory) {
  Type type = isa<SharedType>(memory) ? cast<SharedType>(memory).getElementType()
                                      : cast<MemRefType>(memory).getElementType();
  return std::max(8u, type.getIntOrFloatBitWidth()) / 8;
}

//===----------------------------------------------------------------------===//
// Placement
//===----------------------------------------------------------------------===//

void KernelLowering::planSharedMemory() {
  auto place = [&](Operation *op, int64_t bytes, int64_t alignment) {
    int64_t offset = llvm::alignTo(plan.bytes, alignment);
    plan.offsets[op] = offset;
    plan.bytes = offset + bytes;
  };
  // Swizzled tiles first: they start at multiples of 1024 bytes, and end there as a rule.
  for (bool swizzled : {true, false})
    kernel.walk([&](AllocOp op) {
      SharedType type = op.getResult().getType();
      // PTX ISA, "cp.async.bulk.tensor": the destination is aligned to 128 bytes.
      int64_t alignment = swizzled ? 1024 : type.getSizeInBytes() >= 128 ? 128 : 16;
      if ((type.getSwizzle() != 0) == swizzled)
        place(op, type.getSizeInBytes(), alignment);
    });
  kernel.walk([&](BarrierAllocOp op) { place(op, 8 * op.getResult().getType().getCount(), 8); });
  // A barrier and its phase for every synchronous bulk copy.
  kernel.walk([&](CopyOp op) {
    if (isa<TensorMapType>(op.getSource().getType()))
      place(op, 16, 8);
  });
  kernel.walk([&](CountOp op) {
    // One thread needs no place to hand its number on.
    if (!op->getParentOfType<SpecializeOp>())
      place(op, 4, 4);
  });
}

Value KernelLowering::getPrivateMemory(Operation *op) {
  return offset(shared, plan.offsets.lookup(op));
}

/// Every arrival counts once for each warp of the arriving unit; the producer is one thread.
static FailureOr<int64_t> countArrivals(BarrierAllocOp op, int64_t warpsPerUnit) {
  bool byProducer = false, byUnits = false;
  for (Operation *user : op->getUsers()) {
    if (isa<BarrierExpectOp>(user))
      byProducer = true;
    if (!isa<BarrierArriveOp>(user))
      continue;
    auto specialize = user->getParentOfType<SpecializeOp>();
    if (specialize && specialize.getProducer().isAncestor(user->getParentRegion()))
      byProducer = true;
    else
      byUnits = true;
  }
  if (byProducer && byUnits)
    return op.emitOpError("barrier must not mix arrivals of the producer and of units");
  return op.getArrivals() * (byUnits ? warpsPerUnit : 1);
}

LogicalResult KernelLowering::emitBarrierInit() {
  LogicalResult result = success();
  bool any = false;
  OpBuilder::InsertionGuard guard(builder);
  auto branch = scf::IfOp::create(builder, loc, isEqual(thread, 0), /*withElseRegion=*/false);
  builder.setInsertionPointToStart(branch.thenBlock());
  function.walk([&](BarrierAllocOp op) {
    any = true;
    FailureOr<int64_t> arrivals = countArrivals(op, getWarpsPerUnit());
    if (failed(arrivals)) {
      result = failure();
      return;
    }
    for (int64_t slot = 0, count = op.getResult().getType().getCount(); slot < count; ++slot)
      NVVM::MBarrierInitOp::create(builder, loc, offset(barriers.lookup(op), 8 * slot),
                                   constant(*arrivals), Value());
  });
  function.walk([&](CopyOp op) {
    if (!isa<TensorMapType>(op.getSource().getType()))
      return;
    any = true;
    Value barrier = getPrivateMemory(op);
    NVVM::MBarrierInitOp::create(builder, loc, barrier, constant(1), Value());
    LLVM::StoreOp::create(builder, loc, constant(0), offset(barrier, 8), 4);
  });
  if (!any) {
    branch.erase();
    return result;
  }
  NVVM::FenceMbarrierInitOp::create(builder, loc);
  builder.setInsertionPointAfter(branch);
  NVVM::Barrier0Op::create(builder, loc);
  return result;
}

LogicalResult KernelLowering::emitEntry() {
  thread = NVVM::ThreadIdXOp::create(builder, loc, builder.getI32Type());
  if (plan.bytes == 0)
    return success();
  auto module = function->getParentOfType<gpu::GPUModuleOp>();
  auto pointerType = LLVM::LLVMPointerType::get(builder.getContext(), 3);
  if (!module.lookupSymbol(kSharedName)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    // Only an external array of no length is sized by the launch (PTX ISA, ".shared").
    LLVM::GlobalOp::create(builder, loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
                           /*isConstant=*/false, LLVM::Linkage::External, kSharedName, Attribute(),
                           /*alignment=*/1024, /*addrSpace=*/3);
  }
  shared = LLVM::AddressOfOp::create(builder, loc, pointerType, kSharedName);
  Value address = LLVM::PtrToIntOp::create(builder, loc, builder.getI32Type(), shared);
  function.walk([&](AllocOp op) {
    int64_t at = plan.offsets.lookup(op);
    // PTX ISA, "Matrix descriptor format": start address and leading offset in units of 16 bytes.
    Value descriptor = shiftRight(add(address, constant(at)), 4);
    descriptor = arith::OrIOp::create(builder, loc, descriptor, constant(1 << 16));
    tiles[op] = {offset(shared, at), descriptor};
  });
  function.walk([&](BarrierAllocOp op) { barriers[op] = offset(shared, plan.offsets.lookup(op)); });
  LogicalResult result = emitBarrierInit();
  return result;
}

//===----------------------------------------------------------------------===//
// Parts of tiles
//===----------------------------------------------------------------------===//

/// The tile `count` units of `bytes` (a multiple of 16) further on.
static SharedTile advance(KernelLowering &lowering, SharedTile tile, Value count, int64_t bytes) {
  count = lowering.toI32(count);
  SharedTile result = tile;
  result.pointer = lowering.offset(tile.pointer, lowering.mul(count, bytes));
  if (bytes % 16 == 0)
    result.descriptor = lowering.add(tile.descriptor, lowering.mul(count, bytes / 16));
  return result;
}

LogicalResult KernelLowering::lowerStage(StageOp op) {
  tiles[op] = advance(*this, getTile(op.getSource()), op.getIndex(),
                      op.getResult().getType().getSizeInBytes());
  return success();
}

LogicalResult KernelLowering::lowerSubtile(SubtileOp op) {
  SharedType type = op.getResult().getType();
  tiles[op] = advance(*this, getTile(op.getSource()), op.getRow(),
                      getElementBytes(type) * type.getShape().back());
  return success();
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

static int64_t getRowBytes(SharedType type) {
  return type.getShape().back() * getElementBytes(type);
}

Value KernelLowering::getSwizzlePattern(SharedType type, Value row) {
  if (type.getSwizzle() == 0)
    return {};
  // PTX ISA, "Swizzling modes": address bits 4.. are XORed with bits 7...
  return mask(shiftRight(mul(row, getRowBytes(type)), 3), type.getSwizzle() - 16);
}

Value KernelLowering::getSwizzledOffset(SharedType type, Value row, Value columnByte) {
  if (Value pattern = getSwizzlePattern(type, row))
    columnByte = arith::XOrIOp::create(builder, loc, columnByte, pattern);
  return add(mul(row, getRowBytes(type)), columnByte);
}

Value KernelLowering::getLaneAddress(Value memory, ValueRange indices) {
  auto type = dyn_cast<SharedType>(memory.getType());
  if (!type)
    return getAddress(memory, indices);
  Value column = mul(toI32(indices.back()), getElementBytes(type));
  Value pointer = getTile(memory).pointer;
  if (type.getRank() == 1)
    return offset(pointer, column);
  return offset(pointer, getSwizzledOffset(type, toI32(indices.front()), column));
}

static int64_t getBytes(VectorType type) {
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

LogicalResult KernelLowering::lowerLaneLoad(LaneLoadOp op) {
  VectorType type = op.getResult().getType();
  Value result =
      LLVM::LoadOp::create(builder, loc, type, getLaneAddress(op.getSource(), op.getIndices()),
                           getBytes(type), op.getIsVolatile(), /*isNonTemporal=*/false,
                           /*isInvariant=*/isInvariant(op.getSource()));
  op.getResult().replaceAllUsesWith(result);
  return success();
}

LogicalResult KernelLowering::lowerLaneStore(LaneStoreOp op) {
  LLVM::StoreOp::create(builder, loc, op.getValue(),
                        getLaneAddress(op.getTarget(), op.getIndices()),
                        getBytes(op.getValue().getType()));
  return success();
}

/// In one request: a producer has no time for one for each row.
LogicalResult KernelLowering::lowerPrefetch(PrefetchOp op) {
  // PTX ISA, "cp.async.bulk.prefetch".
  if (failed(verifyChip(op, 90,
                        "bulk requests exist from there on; leave it out: no result needs it")))
    return failure();
  auto memref = cast<MemRefType>(op.getSource().getType());
  Value stride = getMemory(op.getSource()).strides[memref.getRank() - 2];
  Value columns = arith::ConstantIntOp::create(builder, loc, op.getColumns(), 64);
  Value isDense = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, stride, columns);
  Value asks = arith::AndIOp::create(builder, loc, op.getAligned(), isDense);
  emitByOneThread([&] {
    auto branch = scf::IfOp::create(builder, loc, asks, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    int64_t bytes = op.getColumns() * memref.getElementTypeBitWidth() / 8;
    NVVM::CpAsyncBulkPrefetchOp::create(builder, loc, getAddress(op.getSource(), op.getIndices()),
                                        mul(toI32(op.getRows()), bytes), /*l2CacheHint=*/Value());
  });
  return success();
}

LogicalResult KernelLowering::lowerRead(ReadOp op) {
  Value value = LLVM::LoadOp::create(builder, loc, op.getResult().getType(),
                                     getAddress(op.getSource(), op.getIndices()), /*alignment=*/4);
  // The producer is one thread.
  op.getResult().replaceAllUsesWith(role == Role::Producer ? value : toUniform(value));
  return success();
}

/// What lanes load may differ for all the assembler knows: a loop that it bounds would not be
/// uniform.
Value KernelLowering::toUniform(Value value) {
  return NVVM::ShflOp::create(builder, loc, value.getType(), constant(-1), value, constant(0),
                              constant(31), NVVM::ShflKind::idx, mlir::UnitAttr());
}

/// Whether another fill comes before anything that could read what `op` filled: it synchronizes for
/// both.
static bool isFollowedByFill(FillOp op) {
  Operation *next = op->getNextNode();
  while (next && (isa<StageOp, SubtileOp>(next) || next->hasTrait<OpTrait::ConstantLike>()))
    next = next->getNextNode();
  return isa_and_nonnull<FillOp>(next);
}

LogicalResult KernelLowering::lowerFill(FillOp op) {
  SharedType type = op.getTarget().getType();
  auto number = dyn_cast<FloatAttr>(op.getValue());
  APInt bits =
      number ? number.getValue().bitcastToAPInt() : cast<IntegerAttr>(op.getValue()).getValue();
  // Equal 16-byte chunks look the same under every swizzle.
  int32_t word =
      int32_t(APInt::getSplat(32, bits.zextOrTrunc(8 * getElementBytes(type))).getZExtValue());
  int64_t bytes = type.getSizeInBytes(), unit = bytes % 16 == 0 ? 16 : 4;
  if (bytes % 4 != 0)
    return op.emitOpError("tile must be a multiple of 4 bytes, but got ") << bytes;
  auto vectorType = VectorType::get({unit / 4}, builder.getI32Type());
  Value value = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorType, word));

  if (!continuesFill)
    emitSync();
  continuesFill = isFollowedByFill(op);
  Value pointer = getTile(op.getTarget()).pointer;
  scf::ForOp loop = scf::ForOp::create(builder, loc, getThreadOfRole(), constant(bytes / unit),
                                       constant(getNumThreads()));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    LLVM::StoreOp::create(builder, loc, value, offset(pointer, mul(loop.getInductionVar(), unit)),
                          unit);
  }
  if (continuesFill)
    return success();
  if (asyncProxy)
    emitProxyFence();
  emitSync();
  return success();
}

} // namespace sage::tile
