// From a module with an attention to the artifact's text in one call.

#include "sage/Pipelines/CompileToArtifact.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "sage/Target/Artifact.h"

using namespace mlir;

FailureOr<std::string> sage::compileToArtifact(ModuleOp module, const PipelineOptions &options,
                                               StringRef program) {
  PassManager manager(module.getContext());
  // Once at the end, not after every pass: layouts are checked element by element.
  manager.enableVerifier(false);
  buildSageToNVVMPipeline(manager, options);
  if (failed(manager.run(module)) || failed(verify(module)))
    return failure();
  FailureOr<tile::ProgramOp> found = findProgram(module, program);
  if (failed(found))
    return failure();
  return emitArtifact(*found);
}
