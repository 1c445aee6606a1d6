// From a module with an attention to the artifact's text in one call.

#ifndef SAGE_PIPELINES_COMPILETOARTIFACT_H
#define SAGE_PIPELINES_COMPILETOARTIFACT_H

#include "mlir/IR/BuiltinOps.h"
#include "sage/Pipelines/Pipelines.h"

#include <string>

namespace sage {

/// Lowers `module` in place (pipeline `sage-to-nvvm`), and returns the artifact of its only host
/// program, or of the one called `program`. Failures are diagnostics of the module's context.
mlir::FailureOr<std::string> compileToArtifact(mlir::ModuleOp module,
                                               const PipelineOptions &options,
                                               llvm::StringRef program = "");

} // namespace sage

#endif // SAGE_PIPELINES_COMPILETOARTIFACT_H
