// The pass that turns host programs into functions of the gpu dialect.

#ifndef SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_H
#define SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_H

#include "mlir/Pass/Pass.h"

namespace sage {

/// Who allocates the workspace of a `sage_tile.invoke`.
enum class WorkspaceMemory { Gpu, Host };

#define GEN_PASS_DECL
#include "sage/Conversion/SageProgramToGPU/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Conversion/SageProgramToGPU/Passes.h.inc"

} // namespace sage

#endif // SAGE_CONVERSION_SAGEPROGRAMTOGPU_PASSES_H
