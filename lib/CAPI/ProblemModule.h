// The problem of a C caller as a module.

#ifndef SAGE_LIB_CAPI_PROBLEMMODULE_H
#define SAGE_LIB_CAPI_PROBLEMMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/runtime/sage.h"

namespace sage {

/// A module with a function `attention` whose attention is `problem`; diagnostics name the field
/// of `problem` that cannot be.
mlir::OwningOpRef<mlir::ModuleOp>
buildProblemModule(mlir::Location loc, const sage_problem &problem, RecipeAttr recipe);

} // namespace sage

#endif // SAGE_LIB_CAPI_PROBLEMMODULE_H
