// Copies by all threads, 16 bytes each at a time (PTX ISA, "cp.async").

#include "../KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sage::tile {

/// Emits `body(piece)` for the pieces of this thread: the thread's number, then every `threads`-th.
static void forEachPiece(KernelLowering &lowering, int64_t pieces,
                         llvm::function_ref<void(Value piece, int64_t round)> body) {
  int64_t threads = lowering.getNumThreads();
  Value thread = lowering.getThreadOfRole();
  OpBuilder &builder = lowering.builder;
  for (int64_t round = 0; round * threads < pieces; ++round) {
    OpBuilder::InsertionGuard guard(builder);
    if (pieces < (round + 1) * threads) {
      Value inside = arith::CmpIOp::create(builder, lowering.getLoc(), arith::CmpIPredicate::ult,
                                           thread, lowering.constant(pieces - round * threads));
      auto branch = scf::IfOp::create(builder, lowering.getLoc(), inside, /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    body(thread, round);
  }
}

static void emitPiece(KernelLowering &lowering, Value to, Value from, int64_t bytes) {
  // .cg (past L1) exists for 16 bytes only.
  auto cache = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(lowering.builder, lowering.getLoc(), to, from, bytes, cache, Value());
}

LogicalResult emitCpAsync(Operation *op, Value source, ValueRange indices, SharedType type,
                          Value target, KernelLowering &lowering) {
  Value start = lowering.getAddress(source, indices);
  int64_t elementBytes = type.getElementType().getIntOrFloatBitWidth() / 8;
  if (type.getRank() == 1) {
    // A vector may start at any element: nothing is known about its alignment.
    if (elementBytes != 4)
      return op->emitOpError("copied vector must have elements of 4 bytes, but got ") << type;
    forEachPiece(lowering, type.getNumElements(), [&](Value thread, int64_t round) {
      Value at = lowering.mul(
          lowering.add(thread, lowering.constant(round * lowering.getNumThreads())), 4);
      emitPiece(lowering, lowering.offset(target, at), lowering.offset(start, at), 4);
    });
    return success();
  }
  int64_t rowBytes = type.getShape()[1] * elementBytes, piecesPerRow = rowBytes / 16;
  int64_t threads = lowering.getNumThreads(), pieces = type.getShape()[0] * piecesPerRow;
  if (threads % piecesPerRow != 0 || !llvm::isPowerOf2_64(piecesPerRow)) {
    InFlightDiagnostic diagnostic =
        op->emitOpError(
            "row must have a power of two of 16-byte pieces that divides the number of threads, ")
        << threads << ", but got " << piecesPerRow;
    diagnostic.attachNote() << "split the tile in panels of 32, 64 or 128 bytes";
    return diagnostic;
  }
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.getLoc();
  // In every round a thread copies the same columns, `threads / piecesPerRow` rows further on.
  Value thread = lowering.getThreadOfRole();
  Value row = lowering.shiftRight(thread, llvm::Log2_64(piecesPerRow));
  Value column = lowering.mul(lowering.mask(thread, piecesPerRow - 1), 16);
  Value stride = *(lowering.getMemory(source).strides.end() - 2);
  stride = lowering.mul(stride, elementBytes);
  Type i64 = builder.getI64Type();
  Value from =
      arith::MulIOp::create(builder, loc, arith::ExtUIOp::create(builder, loc, i64, row), stride);
  from = lowering.add(from, arith::ExtUIOp::create(builder, loc, i64, column));
  from = lowering.offset(start, from);
  forEachPiece(lowering, pieces, [&](Value, int64_t round) {
    int64_t rows = round * (threads / piecesPerRow);
    Value to = lowering.getSwizzledOffset(type, lowering.add(row, lowering.constant(rows)), column);
    emitPiece(lowering, lowering.offset(target, to),
              lowering.offset(from, lowering.mul(stride, rows)), 16);
  });
  return success();
}

LogicalResult lowerCommitGroup(CommitGroupOp op, KernelLowering &lowering) {
  NVVM::CpAsyncCommitGroupOp::create(lowering.builder, op.getLoc());
  return success();
}

LogicalResult lowerWaitGroup(WaitGroupOp op, KernelLowering &lowering) {
  NVVM::CpAsyncWaitGroupOp::create(lowering.builder, op.getLoc(), op.getPending());
  return success();
}

} // namespace sage::tile
