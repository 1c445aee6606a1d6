// One arith or math operation, applied to strips of values.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTOPS_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTOPS_H

#include "ElementFormats.h"

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace sage::tile::interpreter {

/// One element in a register: floats of all formats as their float32 value, integers sign-extended.
union Scalar {
  int64_t integer;
  float number;
};

/// An operation on strips of `Scalar`. Results are rounded, or wrapped, to `result`.
struct ElementOp {
  using Function = void (*)(const ElementOp &op, const Scalar *const *operands, Scalar *result,
                            int64_t count);
  Function function = nullptr;
  ElementKind operand = ElementKind::I64; ///< type of the first operand
  ElementKind result = ElementKind::I64;
  int64_t immediate = 0; ///< predicate, or the constant's bits

  void apply(const Scalar *const *operands, Scalar *results, int64_t count) const;
};

/// Nothing for operations that the interpreter does not know.
std::optional<ElementOp> getElementOp(mlir::Operation *op);

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_ELEMENTOPS_H
