// The pass that turns lane-level kernels into NVVM functions.

#ifndef SAGE_CONVERSION_SAGETILETONVVM_PASSES_H
#define SAGE_CONVERSION_SAGETILETONVVM_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/Pass.h"

namespace sage {

#define GEN_PASS_DECL
#include "sage/Conversion/SageTileToNVVM/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Conversion/SageTileToNVVM/Passes.h.inc"

} // namespace sage

#endif // SAGE_CONVERSION_SAGETILETONVVM_PASSES_H
