// Enumerations and attributes of the `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H
#define SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"

#include <optional>
#include <string>

#include "sage/Dialect/Sage/IR/SageEnums.h.inc"

namespace sage {

/// What an op's masks and biases take of the registers of a schedule's main loop (Spec S7, S11).
struct ScoreDemands {
  /// Scores have terms or factors of their own besides the recipe's: a bias or a soft cap.
  bool terms = false;
  /// The keys of a query are bounded: at all, and on the left.
  bool mask = false;
  bool window = false;
};

} // namespace sage

#define GET_ATTRDEF_CLASSES
#include "sage/Dialect/Sage/IR/SageAttributes.h.inc"

#endif // SAGE_DIALECT_SAGE_IR_SAGEATTRIBUTES_H
