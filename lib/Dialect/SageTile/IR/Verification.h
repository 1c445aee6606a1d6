// Checks that span several operations; shared by the dialect's sources.

#ifndef SAGE_LIB_DIALECT_SAGETILE_IR_VERIFICATION_H
#define SAGE_LIB_DIALECT_SAGETILE_IR_VERIFICATION_H

#include "sage/Dialect/SageTile/IR/SageTile.h"

namespace sage::tile {

/// No A operand is packed while a product that reads registers is in flight, and no wait leaves its
/// own product in flight, in `block` and below it.
mlir::LogicalResult verifyProductsInFlight(mlir::Block &block);

} // namespace sage::tile

#endif // SAGE_LIB_DIALECT_SAGETILE_IR_VERIFICATION_H
