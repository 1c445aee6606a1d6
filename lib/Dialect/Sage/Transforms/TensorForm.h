// The passes of the `sage` dialect work on tensors.

#ifndef SAGE_LIB_DIALECT_SAGE_TRANSFORMS_TENSORFORM_H
#define SAGE_LIB_DIALECT_SAGE_TRANSFORMS_TENSORFORM_H

#include "sage/Dialect/Sage/IR/SageOps.h"

namespace sage {
/// Reports an attention on memrefs, which the passes cannot rewrite.
mlir::LogicalResult requireTensors(AttentionOp op);
} // namespace sage

#endif // SAGE_LIB_DIALECT_SAGE_TRANSFORMS_TENSORFORM_H
