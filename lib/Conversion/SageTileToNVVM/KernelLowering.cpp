// From sage_tile.kernel to llvm.func: the walk, and services for the single lowerings.

#include "KernelLowering.h"
#include "Atoms/InlinePtx.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace sage::tile {

//===----------------------------------------------------------------------===//
// Services
//===----------------------------------------------------------------------===//

Value KernelLowering::constant(Type type, int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(type, value));
}
Value KernelLowering::constant(int64_t value) { return constant(builder.getI32Type(), value); }

Value KernelLowering::toI32(Value index) {
  return arith::IndexCastOp::create(builder, loc, builder.getI32Type(), index);
}
Value KernelLowering::toIndex(Value value) {
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
}
Value KernelLowering::add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
Value KernelLowering::mul(Value a, int64_t b) {
  return b == 1 ? a : arith::MulIOp::create(builder, loc, a, constant(a.getType(), b)).getResult();
}
Value KernelLowering::shiftRight(Value a, int64_t bits) {
  return bits == 0 ? a : arith::ShRUIOp::create(builder, loc, a, constant(bits)).getResult();
}
Value KernelLowering::mask(Value a, int64_t bits) {
  return arith::AndIOp::create(builder, loc, a, constant(bits));
}
Value KernelLowering::isEqual(Value a, int64_t b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, constant(b));
}

Value KernelLowering::offset(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}
Value KernelLowering::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  if (!llvm::isInt<31>(bytes))
    return offset(pointer, constant(builder.getI64Type(), bytes));
  return LLVM::GEPOp::create(builder, loc, pointer.getType(), builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
}

SmallVector<Value> KernelLowering::toElements(Value vector) {
  return llvm::to_vector(
      ValueRange(vector::ToElementsOp::create(builder, loc, vector).getResults()));
}
Value KernelLowering::fromElements(ArrayRef<Value> elements) {
  auto type = VectorType::get({int64_t(elements.size())}, elements.front().getType());
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

std::optional<int64_t> KernelLowering::getChip() {
  auto module = (function ? function.getOperation() : kernel.getOperation())
                    ->getParentOfType<gpu::GPUModuleOp>();
  ArrayAttr targets = module.getTargetsAttr();
  auto target = targets && targets.size() == 1 ? dyn_cast<NVVM::NVVMTargetAttr>(targets[0])
                                               : NVVM::NVVMTargetAttr();
  int64_t number;
  StringRef chip = target ? target.getChip() : StringRef();
  if (!chip.consume_front("sm_") || chip.consumeInteger(10, number))
    return std::nullopt;
  return number;
}

LogicalResult KernelLowering::verifyChip(Operation *op, int64_t first, StringRef remedy) {
  std::optional<int64_t> chip = getChip();
  if (!chip || *chip >= first)
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError("chip must be sm_")
                                  << first << " or later, but got sm_" << *chip;
  diagnostic.attachNote() << remedy;
  return diagnostic;
}

Value KernelLowering::getBarrier(Value barrier, Value slot) {
  return offset(barriers.lookup(barrier), mul(toI32(slot), 8));
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// Memory that a kernel only reads may go through the non-coherent cache.
static bool isOnlyRead(Value memref) {
  return llvm::none_of(memref.getUsers(),
                       [](Operation *user) { return isa<LaneStoreOp, CountOp>(user); });
}

/// Whether no launch of the program writes the memory.
static bool isInput(BlockArgument memref) {
  auto kernel = cast<KernelOp>(memref.getOwner()->getParentOp());
  return kernel.getArgAttr(memref.getArgNumber(), KernelOp::inputAttrName) != nullptr;
}

LogicalResult KernelLowering::createFunction() {
  MLIRContext *context = kernel.getContext();
  Type i64 = builder.getI64Type();
  auto globalPointer = LLVM::LLVMPointerType::get(context, 1);
  auto genericPointer = LLVM::LLVMPointerType::get(context);
  auto attribute = [&](StringRef name, Attribute value) {
    return builder.getNamedAttr(name, value);
  };

  SmallVector<Type> types;
  SmallVector<Attribute> attributes;
  auto addArgument = [&](Type type, ArrayRef<NamedAttribute> argumentAttributes) {
    types.push_back(type);
    attributes.push_back(builder.getDictionaryAttr(argumentAttributes));
  };
  Block &entry = kernel.getBody().front();
  for (Value argument : entry.getArguments()) {
    if (auto memref = dyn_cast<MemRefType>(argument.getType())) {
      SmallVector<NamedAttribute> list;
      bool isRead = isOnlyRead(argument);
      // What others write meanwhile must not be read before the wait for it, which nothing says
      // but the order of the instructions.
      if (!overlaps || (isRead && isInput(cast<BlockArgument>(argument))))
        list.push_back(attribute("llvm.noalias", builder.getUnitAttr()));
      if (isRead && !list.empty()) {
        list.push_back(attribute("llvm.readonly", builder.getUnitAttr()));
        invariant.insert(argument);
      }
      addArgument(globalPointer, list);
      for (int64_t stride : memref.getStridesAndOffset().first)
        if (ShapedType::isDynamic(stride))
          addArgument(i64, {});
    } else if (isa<TensorMapType>(argument.getType())) {
      auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 128);
      addArgument(genericPointer, {attribute("llvm.byval", TypeAttr::get(bytes)),
                                   attribute("llvm.align", builder.getI64IntegerAttr(64)),
                                   attribute("nvvm.grid_constant", builder.getUnitAttr())});
    } else {
      addArgument(argument.getType(), {});
    }
  }
  builder.setInsertionPoint(kernel);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types);
  function = LLVM::LLVMFuncOp::create(builder, loc, kernel.getSymName(), type);
  function.setAllArgAttrs(attributes);

  function.getBody().takeBody(kernel.getBody());
  Block &block = function.getBody().front();
  unsigned numOld = block.getNumArguments();
  for (Type argument : types)
    block.addArgument(argument, loc);
  builder.setInsertionPointToStart(&block);
  unsigned next = numOld;
  for (unsigned i = 0; i < numOld; ++i) {
    Value argument = block.getArgument(i), replacement = block.getArgument(next++);
    auto memref = dyn_cast<MemRefType>(argument.getType());
    if (!memref && !isa<TensorMapType>(argument.getType())) {
      argument.replaceAllUsesWith(replacement);
      continue;
    }
    GlobalMemory memory{replacement, {}};
    if (memref)
      for (int64_t stride : memref.getStridesAndOffset().first)
        memory.strides.push_back(ShapedType::isDynamic(stride) ? Value(block.getArgument(next++))
                                                               : constant(i64, stride));
    memories.try_emplace(argument, std::move(memory));
  }
  return success();
}

void KernelLowering::setFunctionAttributes(int64_t sharedBytes) {
  int64_t threads = (kernel.getUnits() + (specialized ? 1 : 0)) * kernel.getThreadsPerUnit();
  function->setAttr("gpu.kernel", builder.getUnitAttr());
  function->setAttr("nvvm.kernel", builder.getUnitAttr());
  function->setAttr("nvvm.maxntid", builder.getDenseI32ArrayAttr({int32_t(threads)}));
  auto blocks = kernel->getAttrOfType<IntegerAttr>("blocks_per_multiprocessor");
  function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(blocks ? blocks.getInt() : 1));
  if (kernel->hasAttr("persistent"))
    function->setAttr("sage.persistent", builder.getUnitAttr());
  function->setAttr("sage.shared_bytes", builder.getI64IntegerAttr(sharedBytes));
  // LLVM's vectorizers leave functions with this attribute alone. Vectors are formed when fragments
  // are distributed: the SLP vectorizer finds none, but searches butterflies for seconds where the
  // chip has f32x2.
  function.setPassthroughAttr(builder.getStrArrayAttr({"noimplicitfloat"}));
  if (flushesDenormals())
    function.setDenormalFpMathF32("preserve-sign,preserve-sign");
}

LogicalResult KernelLowering::run() {
  kernel.walk([&](Operation *op) {
    specialized |= isa<SpecializeOp>(op);
    overlaps |= isa<GridWaitOp, AwaitOp>(op);
    asyncProxy |= kernel.getUnit() == Unit::Warpgroup || isa<BarrierAllocOp>(op);
    if (auto copy = dyn_cast<CopyOp>(op))
      asyncProxy |= isa<TensorMapType>(copy.getSource().getType());
  });
  unsigned numArguments = kernel.getNumArguments();
  planSharedMemory();
  if (failed(createFunction()) || failed(emitEntry()) || failed(lowerRegion(function.getBody())))
    return failure();
  for (Operation *op : llvm::reverse(erased))
    op->erase();
  function.getBody().front().eraseArguments(0, numArguments);
  setFunctionAttributes(plan.bytes);
  kernel.erase();
  return narrowIndex(function);
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

LogicalResult KernelLowering::lowerRegion(Region &region) {
  fenced = false;
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(block)) {
      // What a lowering emits is not lowered again: it lies before `op`.
      builder.setInsertionPoint(&op);
      loc = op.getLoc();
      bool keepsFence =
          fenced && (isa<SubtileOp, StageOp>(op) || op.hasTrait<OpTrait::ConstantLike>());
      bool isProduct = isa<MmaAsyncOp>(op);
      if (failed(lower(&op)))
        return failure();
      fenced = isProduct || keepsFence;
    }
  return success();
}

/// Values in flight that structured control flow carries become their lanes' vectors.
LogicalResult KernelLowering::lowerStructured(Operation *op) {
  auto toVector = [](Value value) {
    if (auto async = dyn_cast<AsyncType>(value.getType()))
      value.setType(async.getValueType());
  };
  for (OpOperand &operand : op->getOpOperands())
    operand.set(getInFlight(operand.get()));
  llvm::for_each(op->getResults(), toVector);
  for (Region &region : op->getRegions()) {
    for (Block &block : region)
      llvm::for_each(block.getArguments(), toVector);
    if (failed(lowerRegion(region)))
      return failure();
  }
  return success();
}

LogicalResult KernelLowering::lower(Operation *op) {
  auto division = dyn_cast<arith::DivFOp>(op);
  bool isApproximate = division && flushesDenormals() &&
                       bitEnumContainsAll(division.getFastmath(), arith::FastMathFlags::arcp);
  if (!isa<SageTileDialect>(op->getDialect()) && !isa<gpu::ShuffleOp, math::Log2Op>(op) &&
      !isApproximate)
    return lowerStructured(op);
  bool isWarp = kernel.getUnit() == Unit::Warp;
  LogicalResult result =
      llvm::TypeSwitch<Operation *, LogicalResult>(op)
          .Case([&](ReturnOp) {
            LLVM::ReturnOp::create(builder, loc, ValueRange());
            return success();
          })
          .Case<BlockIdOp, BlockCountOp, UnitIdOp, LaneIdOp, WarpIdOp>(
              [&](auto id) { return lowerIdentity(id); })
          .Case([&](SpecializeOp specialize) { return lowerSpecialize(specialize); })
          .Case([&](math::Log2Op log2) { return lowerLog2(log2, *this); })
          .Case([&](arith::DivFOp) { return lowerDivision(division, *this); })
          .Case([&](gpu::ShuffleOp shuffle) { return lowerShuffle(shuffle); })
          .Case([&](LaneButterflyOp butterfly) { return lowerButterfly(butterfly); })
          .Case<AllocOp, BarrierAllocOp>([&](auto) { return success(); })
          .Case([&](StageOp stage) { return lowerStage(stage); })
          .Case([&](SubtileOp subtile) { return lowerSubtile(subtile); })
          .Case([&](FillOp fill) { return lowerFill(fill); })
          .Case([&](SyncOp sync) {
            if (asyncProxy)
              emitProxyFence();
            sync.getUnit() ? emitUnitSync() : emitSync();
            return success();
          })
          .Case([&](ScheduleBarrierOp) {
            emitScheduleBarrier(builder, loc, numScheduleBarriers++);
            return success();
          })
          .Case([&](LaneLoadOp load) { return lowerLaneLoad(load); })
          .Case([&](LaneStoreOp store) { return lowerLaneStore(store); })
          .Case([&](PrefetchOp prefetch) { return lowerPrefetch(prefetch); })
          .Case([&](ReadOp read) { return lowerRead(read); })
          .Case([&](CountOp count) { return lowerCount(count); })
          .Case([&](AwaitOp await) { return lowerAwait(await); })
          .Case([&](TicketsOp) { return success(); })
          .Case([&](PutOp put) { return lowerPut(put); })
          .Case([&](GetOp get) { return lowerGet(get); })
          .Case<GridWaitOp, GridReleaseOp>([&](auto) { return lowerGridControl(op); })
          .Case([&](LoadMatrixOp load) { return lowerLoadMatrix(load, *this); })
          .Case([&](PackOp pack) { return lowerPack(pack, *this); })
          .Case(
              [&](MmaOp mma) { return isWarp ? lowerMmaSync(mma, *this) : lowerWgmma(mma, *this); })
          .Case([&](MmaAsyncOp mma) { return lowerWgmmaAsync(mma, *this); })
          .Case([&](WaitOp wait) { return lowerWgmmaWait(wait, *this); })
          .Case([&](CopyOp copy) { return lowerCopy(copy, *this); })
          .Case([&](CopyAsyncOp copy) { return lowerCopyAsync(copy, *this); })
          .Case([&](CommitGroupOp commit) { return lowerCommitGroup(commit, *this); })
          .Case([&](WaitGroupOp wait) { return lowerWaitGroup(wait, *this); })
          .Case([&](BarrierExpectOp expect) { return lowerBarrierExpect(expect, *this); })
          .Case([&](BarrierArriveOp arrive) { return lowerBarrierArrive(arrive, *this); })
          .Case([&](BarrierWaitOp wait) { return lowerBarrierWait(wait, *this); })
          .Default([&](Operation *other) {
            return other->emitOpError("must be lowered by sage-tile-distribute first");
          });
  // Handles of tiles, barriers and values in flight are used by what follows.
  erased.push_back(op);
  return result;
}

} // namespace sage::tile
