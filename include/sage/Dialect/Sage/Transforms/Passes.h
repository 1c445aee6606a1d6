// Passes on the `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_H
#define SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"

namespace sage {

#define GEN_PASS_DECL
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"

} // namespace sage

#endif // SAGE_DIALECT_SAGE_TRANSFORMS_PASSES_H
