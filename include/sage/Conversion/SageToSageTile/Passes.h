// The pass that turns quantized attention into kernels and a host program.

#ifndef SAGE_CONVERSION_SAGETOSAGETILE_PASSES_H
#define SAGE_CONVERSION_SAGETOSAGETILE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace sage {

#define GEN_PASS_DECL
#include "sage/Conversion/SageToSageTile/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Conversion/SageToSageTile/Passes.h.inc"

} // namespace sage

#endif // SAGE_CONVERSION_SAGETOSAGETILE_PASSES_H
