// Raising of attention that other compilers wrote to the `sage` dialect.

#ifndef SAGE_CONVERSION_RAISEATTENTION_PASSES_H
#define SAGE_CONVERSION_RAISEATTENTION_PASSES_H

#include "mlir/Pass/Pass.h"

#include <string>

namespace sage {

#define GEN_PASS_DECL
#include "sage/Conversion/RaiseAttention/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Conversion/RaiseAttention/Passes.h.inc"

} // namespace sage

#endif // SAGE_CONVERSION_RAISEATTENTION_PASSES_H
