// Scalars of a loop body as functions of the induction variable, recomputed elsewhere.

#ifndef SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SCALARSLICES_H
#define SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SCALARSLICES_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace sage::tile {

/// Clones what `value` is computed from inside `region` to the builder's position; what `mapping`
/// maps and what is defined above `region` is used as it is. Fails, with a diagnostic, on anything
/// but scalar arithmetic.
mlir::FailureOr<mlir::Value> cloneScalar(mlir::OpBuilder &builder, mlir::Value value,
                                         mlir::Region &region, mlir::IRMapping &mapping);

/// 0, 1, 2, ... in the iterations of `loop`, as a function of `inductionVariable` (which stands for
/// the loop's own).
mlir::Value createIterationNumber(mlir::OpBuilder &builder, mlir::scf::ForOp loop,
                                  mlir::Value inductionVariable);

/// `value` mod `divisor` and `value` floordiv `divisor` of a value that is not negative.
mlir::Value createRemainder(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                            int64_t divisor);
mlir::Value createQuotient(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                           int64_t divisor);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_TRANSFORMS_SCALARSLICES_H
