// The attention that is checked: alone in a module that can be called, and as the reference sees
// it.

#ifndef SAGE_CHECK_LEVELS_PROBLEM_H
#define SAGE_CHECK_LEVELS_PROBLEM_H

#include "Tensors.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include "mlir/IR/BuiltinOps.h"

namespace sage::check {

/// The text of a module with one attention of `recipe`: head dim 128, float16, causal, any extents.
std::string makeExample(llvm::StringRef recipe);

/// The only attention of `module`. Reports none, several, and one that is not on tensors.
mlir::FailureOr<AttentionOp> findAttention(mlir::ModuleOp module);

/// Name of the function that `isolate` writes.
inline constexpr llvm::StringLiteral functionName = "run";

/// A module with a function @run of memrefs: the op's operands in their order.
mlir::OwningOpRef<mlir::ModuleOp> isolate(AttentionOp op);

/// What a host program of `op`, which has a geometry, would record.
mlir::DictionaryAttr describe(AttentionOp op);

/// `shape` (B, Hq, Hkv, Nq, Nk) with the extents that `op`'s types fix. Reports one that differs
/// where the caller gave it.
mlir::LogicalResult fixShape(AttentionOp op, bool isGiven, std::array<int64_t, 5> &shape);

/// What `op`'s types say of the operands that change scores and end sequences.
evaluation::MaskChoice chooseMasks(AttentionOp op);

/// Reports inputs that `op`'s types do not allow.
mlir::LogicalResult checkMasks(AttentionOp op, const evaluation::MaskInputs &inputs);

} // namespace sage::check

#endif // SAGE_CHECK_LEVELS_PROBLEM_H
