// Enumerations and attributes of the `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H
#define SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"

#include <optional>
#include <string>

#include "sage/Dialect/Sage/IR/SageEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "sage/Dialect/Sage/IR/SageAttributes.h.inc"

#endif // SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H
