// The CPU reference on the problem that a sage_tile.program records.

#ifndef SAGE_INTERPRET_REFERENCE_H
#define SAGE_INTERPRET_REFERENCE_H

#include "Tensors.h"

#include "mlir/IR/BuiltinAttributes.h"

#include <optional>
#include <string>

namespace sage::interpret {

/// The problem that `description` (the program's `problem`) records; nothing where it records none.
std::optional<sage_problem> getProblem(mlir::DictionaryAttr description);

/// Largest differences that the interpreter's outputs may have from the reference's.
struct Tolerance {
  double relativeL1;
  double lse;
};

/// What the reference computes from `tensors`' inputs. Returns an empty text or what is wrong.
std::string runReference(mlir::DictionaryAttr description, Tensors &tensors,
                         std::vector<uint16_t> &output, std::vector<float> &lse);

/// Compares `tensors`' outputs with the reference and prints the figures. Returns an empty text or
/// what is wrong.
std::string checkAgainstReference(mlir::DictionaryAttr description, Tensors &tensors,
                                  Tolerance tolerance);

} // namespace sage::interpret

#endif // SAGE_INTERPRET_REFERENCE_H
