// The `sage` dialect: registration of ops and attributes.

#include "sage/Dialect/Sage/IR/SageDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include "sage/Dialect/Sage/IR/SageDialect.cpp.inc"
#include "sage/Dialect/Sage/IR/SageEnums.cpp.inc"

namespace sage {
/// Parses `true` or `false`; MLIR's own parser of bool parameters reads 0 and 1.
static mlir::FailureOr<bool> parseFlag(mlir::AsmParser &parser) {
  if (mlir::succeeded(parser.parseOptionalKeyword("true")))
    return true;
  if (mlir::succeeded(parser.parseOptionalKeyword("false")))
    return false;
  return parser.emitError(parser.getCurrentLocation(), "expected 'true' or 'false'");
}
} // namespace sage

#define GET_ATTRDEF_CLASSES
#include "sage/Dialect/Sage/IR/SageAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "sage/Dialect/Sage/IR/SageOps.cpp.inc"

void sage::SageDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "sage/Dialect/Sage/IR/SageAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "sage/Dialect/Sage/IR/SageOps.cpp.inc"
      >();
}

void sage::registerSageDialect(mlir::DialectRegistry &registry) { registry.insert<SageDialect>(); }
