// State and services of the conversion of one kernel; the sources of this folder lower one kind of
// operation each.

#ifndef SAGE_LIB_CONVERSION_SAGETILETONVVM_KERNELLOWERING_H
#define SAGE_LIB_CONVERSION_SAGETILETONVVM_KERNELLOWERING_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace sage::tile {

/// Who executes the operations that are being lowered.
enum class Role { AllUnits, Producer, Consumers };

/// A shared tile: its address, and the low word of its matrix descriptor (PTX ISA, "Matrix
/// descriptor format").
struct SharedTile {
  mlir::Value pointer;
  mlir::Value descriptor;
};

/// A memref or tensor map in device memory; strides are in elements (i64).
struct GlobalMemory {
  mlir::Value pointer;
  llvm::SmallVector<mlir::Value> strides;
};

class KernelLowering {
public:
  explicit KernelLowering(KernelOp kernel)
      : builder(kernel.getContext()), kernel(kernel), loc(kernel.getLoc()) {}

  /// Replaces the kernel by an llvm.func. After a failure the kernel is in no usable state.
  mlir::LogicalResult run();

  //===--- Services for the lowering of single operations -------------------===//

  mlir::OpBuilder builder;

  mlir::Location getLoc() const { return loc; }
  Role getRole() const { return role; }
  /// Whether bulk copies or wgmma use shared memory, which see ordinary stores only after a proxy
  /// fence.
  bool usesAsyncProxy() const { return asyncProxy; }
  bool flushesDenormals() { return kernel->hasAttr("flush_denormals"); }
  /// Number of the chip that the module is for (89 for sm_89); nothing without a target.
  std::optional<int64_t> getChip();
  /// Whether the chip is `first` or later; else an error with `remedy`.
  mlir::LogicalResult verifyChip(mlir::Operation *op, int64_t first, mlir::StringRef remedy);
  int64_t getWarpsPerUnit() { return kernel.getThreadsPerUnit() / 32; }
  /// Threads that execute the operations being lowered (of the producer, one is elected).
  int64_t getNumThreads();

  mlir::Value constant(int64_t value);
  mlir::Value constant(mlir::Type type, int64_t value);
  /// `index` as i32.
  mlir::Value toI32(mlir::Value index);
  /// An i32 as index.
  mlir::Value toIndex(mlir::Value value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value shiftRight(mlir::Value a, int64_t bits);
  mlir::Value mask(mlir::Value a, int64_t bits);
  mlir::Value isEqual(mlir::Value a, int64_t b);
  /// The address `bytes` (i32 or a constant) after `pointer`.
  mlir::Value offset(mlir::Value pointer, mlir::Value bytes);
  mlir::Value offset(mlir::Value pointer, int64_t bytes);

  /// %tid.x of the block; its lane; and the number of the thread among those of `getRole()`.
  mlir::Value getThread() { return thread; }
  mlir::Value getLane() { return mask(thread, 31); }
  mlir::Value getThreadOfRole();
  /// Number of the unit in the block, a producer included; uniform in a warp for the assembler too.
  mlir::Value getUnitOfBlock();
  /// Barrier over the threads of the current role (`sage_tile.sync`).
  void emitSync();
  void emitUnitSync();
  /// Makes ordinary writes to shared memory visible to bulk copies and wgmma.
  void emitProxyFence();
  /// Emits `body` for one thread of the current role.
  void emitByOneThread(llvm::function_ref<void()> body);

  SharedTile getTile(mlir::Value tile) const { return tiles.lookup(tile); }
  /// What swizzling XORs to the column byte in `row` (i32); null without swizzling.
  mlir::Value getSwizzlePattern(SharedType type, mlir::Value row);
  /// Bytes from a tile's start to element (row, column byte), swizzled.
  mlir::Value getSwizzledOffset(SharedType type, mlir::Value row, mlir::Value columnByte);
  mlir::Value getBarrier(mlir::Value barrier, mlir::Value slot);
  const GlobalMemory &getMemory(mlir::Value memory) const { return memories.at(memory); }
  bool isInvariant(mlir::Value memory) const { return invariant.contains(memory); }
  /// Address of an element of a memref.
  mlir::Value getAddress(mlir::Value memref, mlir::ValueRange indices);
  /// Shared memory that an operation has to itself: of a synchronous copy from a tensor map the
  /// mbarrier, and its phase (i32) behind it; of a `sage_tile.count` what it gives.
  mlir::Value getPrivateMemory(mlir::Operation *op);
  /// A loaded value that is the same in all lanes, so that the assembler can see it.
  mlir::Value toUniform(mlir::Value value);

  llvm::SmallVector<mlir::Value> toElements(mlir::Value vector);
  mlir::Value fromElements(llvm::ArrayRef<mlir::Value> elements);
  /// The lane's values of `value` if it is in flight, and itself otherwise.
  mlir::Value getInFlight(mlir::Value value) const { return inFlight.lookup_or(value, value); }
  void setInFlight(mlir::Value async, mlir::Value vector) { inFlight[async] = vector; }
  /// Registers that a product in flight reads; they must not be reused before it is waited for.
  llvm::SmallVector<mlir::Value> &getRegistersRead(mlir::Value async) {
    return registersRead[async];
  }
  /// Whether nothing but products touched registers since a fence of theirs (PTX ISA,
  /// "wgmma.fence").
  bool isFenced() const { return fenced; }

private:
  struct SharedPlan {
    llvm::DenseMap<mlir::Operation *, int64_t> offsets;
    int64_t bytes = 0;
  };

  // KernelLowering.cpp
  mlir::LogicalResult createFunction();
  mlir::LogicalResult lowerRegion(mlir::Region &region);
  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lowerStructured(mlir::Operation *op);
  void setFunctionAttributes(int64_t sharedBytes);

  // Roles.cpp
  mlir::LogicalResult lowerSpecialize(SpecializeOp op);
  mlir::LogicalResult lowerIdentity(mlir::Operation *op);
  mlir::LogicalResult lowerShuffle(mlir::gpu::ShuffleOp op);
  mlir::LogicalResult lowerButterfly(LaneButterflyOp op);

  // SharedMemory.cpp
  void planSharedMemory();
  mlir::LogicalResult emitEntry();
  mlir::LogicalResult emitBarrierInit();
  mlir::LogicalResult lowerStage(StageOp op);
  mlir::LogicalResult lowerSubtile(SubtileOp op);
  mlir::LogicalResult lowerFill(FillOp op);
  mlir::Value getLaneAddress(mlir::Value memory, mlir::ValueRange indices);
  mlir::LogicalResult lowerLaneLoad(LaneLoadOp op);
  mlir::LogicalResult lowerLaneStore(LaneStoreOp op);
  mlir::LogicalResult lowerPrefetch(PrefetchOp op);
  mlir::LogicalResult lowerRead(ReadOp op);

  // Counters.cpp
  mlir::LogicalResult lowerCount(CountOp op);
  mlir::LogicalResult lowerAwait(AwaitOp op);
  mlir::Value getNumber(mlir::Value tile, mlir::Value index);
  mlir::LogicalResult lowerPut(PutOp op);
  mlir::LogicalResult lowerGet(GetOp op);
  mlir::LogicalResult lowerGridControl(mlir::Operation *op);

  KernelOp kernel;
  mlir::LLVM::LLVMFuncOp function;
  mlir::Location loc;
  Role role = Role::AllUnits;
  /// Whether memory that the kernel only reads may change while it runs.
  bool overlaps = false;
  bool specialized = false, asyncProxy = false, fenced = false, continuesFill = false;
  int64_t numScheduleBarriers = 0;
  SharedPlan plan;
  mlir::Value thread, unitOfBlock, shared;
  llvm::DenseMap<mlir::Value, SharedTile> tiles;
  llvm::DenseMap<mlir::Value, mlir::Value> barriers, inFlight;
  llvm::DenseMap<mlir::Value, GlobalMemory> memories;
  /// Device memory that nobody writes while the kernel runs.
  llvm::DenseSet<mlir::Value> invariant;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> registersRead;
  llvm::SmallVector<mlir::Operation *> erased;
};

//===----------------------------------------------------------------------===//
// Atoms: one instruction family per source file
//===----------------------------------------------------------------------===//

mlir::LogicalResult lowerMmaSync(MmaOp op, KernelLowering &lowering);
mlir::LogicalResult lowerLoadMatrix(LoadMatrixOp op, KernelLowering &lowering);
mlir::LogicalResult lowerWgmma(MmaOp op, KernelLowering &lowering);
mlir::LogicalResult lowerWgmmaAsync(MmaAsyncOp op, KernelLowering &lowering);
mlir::LogicalResult lowerWgmmaWait(WaitOp op, KernelLowering &lowering);
mlir::LogicalResult lowerLog2(mlir::math::Log2Op op, KernelLowering &lowering);
/// Division of a kernel that flushes denormals, marked `arcp`: by the approximate reciprocal.
mlir::LogicalResult lowerDivision(mlir::arith::DivFOp op, KernelLowering &lowering);
mlir::LogicalResult lowerPack(PackOp op, KernelLowering &lowering);
mlir::LogicalResult lowerCopy(CopyOp op, KernelLowering &lowering);
mlir::LogicalResult lowerCopyAsync(CopyAsyncOp op, KernelLowering &lowering);
mlir::LogicalResult lowerCommitGroup(CommitGroupOp op, KernelLowering &lowering);
mlir::LogicalResult lowerWaitGroup(WaitGroupOp op, KernelLowering &lowering);
mlir::LogicalResult lowerBarrierExpect(BarrierExpectOp op, KernelLowering &lowering);
mlir::LogicalResult lowerBarrierArrive(BarrierArriveOp op, KernelLowering &lowering);
mlir::LogicalResult lowerBarrierWait(BarrierWaitOp op, KernelLowering &lowering);
/// Copies by the threads of the current role, complete after the thread's next wait for its copy
/// group.
mlir::LogicalResult emitCpAsync(mlir::Operation *op, mlir::Value source, mlir::ValueRange indices,
                                SharedType type, mlir::Value target, KernelLowering &lowering);
/// A bulk copy that arrives with its bytes on `barrier`; executed by one thread.
mlir::LogicalResult emitBulkCopy(mlir::Operation *op, mlir::Value source, mlir::ValueRange indices,
                                 SharedType type, mlir::Value target, mlir::Value barrier,
                                 KernelLowering &lowering);
void emitBarrierWait(mlir::Value barrier, mlir::Value parity, KernelLowering &lowering);
void emitBarrierExpect(mlir::Value barrier, int64_t bytes, KernelLowering &lowering);

/// Index arithmetic of `function` becomes i32 arithmetic.
mlir::LogicalResult narrowIndex(mlir::LLVM::LLVMFuncOp function);

} // namespace sage::tile

#endif // SAGE_LIB_CONVERSION_SAGETILETONVVM_KERNELLOWERING_H
