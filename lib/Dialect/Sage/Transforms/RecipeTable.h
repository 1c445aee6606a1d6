// The file of recipes that sage-calibrate writes.

#ifndef SAGE_LIB_DIALECT_SAGE_TRANSFORMS_RECIPETABLE_H
#define SAGE_LIB_DIALECT_SAGE_TRANSFORMS_RECIPETABLE_H

#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace sage {
/// By layer and key head; every layer has a head.
using RecipeTable = llvm::SmallVector<llvm::SmallVector<RecipeAttr>>;

/// What is wrong with the file is reported at `loc`.
mlir::FailureOr<RecipeTable> readRecipeTable(mlir::Location loc, llvm::StringRef file);
} // namespace sage

#endif // SAGE_LIB_DIALECT_SAGE_TRANSFORMS_RECIPETABLE_H
