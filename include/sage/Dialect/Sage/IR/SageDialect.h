// The `sage` dialect class.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEDIALECT_H
#define SAGE_DIALECT_SAGE_IR_SAGEDIALECT_H

#include "mlir/IR/Dialect.h"

#include "sage/Dialect/Sage/IR/SageDialect.h.inc"

namespace sage {
/// Registers the dialect.
void registerSageDialect(mlir::DialectRegistry &registry);
} // namespace sage

#endif // SAGE_DIALECT_SAGE_IR_SAGEDIALECT_H
