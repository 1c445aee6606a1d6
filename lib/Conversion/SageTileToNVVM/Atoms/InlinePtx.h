// What NVVM has no operation for, as inline PTX.

#ifndef SAGE_LIB_CONVERSION_SAGETILETONVVM_ATOMS_INLINEPTX_H
#define SAGE_LIB_CONVERSION_SAGETILETONVVM_ATOMS_INLINEPTX_H

#include "mlir/IR/Builders.h"

namespace sage::tile {

/// D = A·B + D or, without `accumulator`, D = A·B: one m64n`columns` wgmma. `kinds` are the PTX
/// types of D, A and B; `a` is a descriptor (i64) or four words.
llvm::SmallVector<mlir::Value>
emitWgmma(mlir::OpBuilder &builder, mlir::Location loc, int64_t columns, int64_t depth,
          llvm::ArrayRef<llvm::StringRef> kinds, mlir::Type registerType,
          llvm::ArrayRef<mlir::Value> accumulator, llvm::ArrayRef<mlir::Value> a, mlir::Value b);

/// Waits for all but the last `pending` groups. The accumulator passes through, so that no use
/// moves above the wait; `keep` are registers that must not be reused before it.
llvm::SmallVector<mlir::Value> emitWgmmaWait(mlir::OpBuilder &builder, mlir::Location loc,
                                             int64_t pending,
                                             llvm::ArrayRef<mlir::Value> accumulator,
                                             llvm::ArrayRef<mlir::Value> keep);

/// Arrives on an mbarrier if `predicate` (optional) holds.
void emitArrive(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value barrier,
                mlir::Value predicate);

/// Waits until the phase of parity `parity` of an mbarrier has completed. Without a suspension
/// hint: one costs up to 9 % on a grid of one block per tile (docs/Performance.md), and NVVM's
/// operation has no form without.
void emitTryWaitLoop(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value barrier,
                     mlir::Value parity);

/// %ctaid.x, read where the statement stands: LLVM merges reads of the special register, and keeps
/// the first.
mlir::Value emitReloadBlockId(mlir::OpBuilder &builder, mlir::Location loc);
/// The lane id, read where it stands.
mlir::Value emitReloadLaneId(mlir::OpBuilder &builder, mlir::Location loc);

/// Keeps the assembler from moving instructions across the statement: a trap that no grid takes.
/// Each of a kernel has a `number` of its own, so that none is implied by another.
void emitScheduleBarrier(mlir::OpBuilder &builder, mlir::Location loc, int64_t number);

/// Waits for the launches before this one (`waits`), or lets the next one start. NVVM's operation
/// says that it does not touch memory, so that loads could move across it.
void emitGridControl(mlir::OpBuilder &builder, mlir::Location loc, bool waits);

/// Saturates two i32 to i8 and packs them below the low half of `high`: high << 16 | a1 << 8 | a0.
mlir::Value emitPackSaturate(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value a0,
                             mlir::Value a1, mlir::Value high);

/// Each value becomes value · factor + that of the lane at `distance` (by XOR), one distance after
/// the other. One statement, for which LLVM's passes take little longer than for one instruction.
llvm::SmallVector<mlir::Value> emitButterfly(mlir::OpBuilder &builder, mlir::Location loc,
                                             llvm::ArrayRef<mlir::Value> values,
                                             llvm::ArrayRef<int64_t> distances,
                                             mlir::ValueRange factors, bool flushesDenormals);

} // namespace sage::tile

#endif // SAGE_LIB_CONVERSION_SAGETILETONVVM_ATOMS_INLINEPTX_H
