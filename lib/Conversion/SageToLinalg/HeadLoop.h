// The loop over batch and heads that every op decomposes into, and the operands of one head.

#ifndef SAGE_LIB_CONVERSION_SAGETOLINALG_HEADLOOP_H
#define SAGE_LIB_CONVERSION_SAGETOLINALG_HEADLOOP_H

#include "TensorBuilder.h"

#include "sage/Dialect/Sage/IR/AttentionShape.h"

namespace sage {

/// Where an iteration of the loop is.
struct Head {
  mlir::Value batch, head;
};

/// A tensor that the loop writes, one head in each iteration: [B, H, N, D] in `layout`, or [B, H,
/// N].
struct HeadOutput {
  mlir::Value init;
  Layout layout = Layout::HeadMajor;
};

/// The part of `tensor` that belongs to a head: [N, D] of [B, H, N, D] in `layout`, or [N] of [B,
/// H, N].
mlir::Value getHead(TensorBuilder &b, mlir::Value tensor, Head head,
                    Layout layout = Layout::HeadMajor);

/// The key and value head that a query head reads, of `keyHeads` for `queryHeads`.
Head getKeyHead(TensorBuilder &b, Head head, mlir::OpFoldResult queryHeads,
                mlir::OpFoldResult keyHeads);

/// An scf.forall over batch and heads; `body` returns what it computed for the head, one value for
/// each output.
mlir::SmallVector<mlir::Value>
forEachHead(TensorBuilder &b, mlir::OpFoldResult batch, mlir::OpFoldResult heads,
            llvm::ArrayRef<HeadOutput> outputs,
            llvm::function_ref<mlir::SmallVector<mlir::Value>(TensorBuilder &, Head)> body);

} // namespace sage

#endif // SAGE_LIB_CONVERSION_SAGETOLINALG_HEADLOOP_H
