// Pipelines and the artifact through the C API.

#include "sage-c/Pipelines.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Pass.h"
#include "mlir/CAPI/Support.h"
#include "mlir/CAPI/Utils.h"
#include "sage/Conversion/SageToLinalg/Passes.h"
#include "sage/Pipelines/SageToGpu.h"
#include "sage/Target/Artifact.h"

using namespace mlir;

/// Fills options of either kind.
template <typename Options> static void read(const SagePipelineOptions *given, Options &options) {
  if (!given)
    return;
  options.chip = unwrap(given->chip).str();
  options.recipe = unwrap(given->recipe).str();
  options.substitute = given->substitute;
  options.scheduleFile = unwrap(given->scheduleFile).str();
}

/// Adds a pipeline that is built from `Options`.
template <typename Options>
static void add(MlirOpPassManager manager, const SagePipelineOptions *given,
                void (*build)(OpPassManager &, const Options &)) {
  Options options;
  read(given, options);
  build(*unwrap(manager), options);
}

void sageAddSageToQuantizedPipeline(MlirOpPassManager manager, const SagePipelineOptions *options) {
  add(manager, options, sage::buildSageToQuantizedPipeline);
}

void sageAddSageToTilePipeline(MlirOpPassManager manager, const SagePipelineOptions *options) {
  add(manager, options, sage::buildSageToTilePipeline);
}

void sageAddSageToNVVMPipeline(MlirOpPassManager manager, const SagePipelineOptions *options) {
  add(manager, options, sage::buildSageToNVVMPipeline);
}

void sageAddSageToPTXPipeline(MlirOpPassManager manager, const SagePipelineOptions *options) {
  add(manager, options, sage::buildSageToPTXPipeline);
}

void sageAddSageToGpuPipeline(MlirOpPassManager manager, const SagePipelineOptions *options) {
  add(manager, options, sage::buildSageToGpuPipeline);
}

void sageAddSageToCpuPipeline(MlirOpPassManager manager) {
  sage::buildSageToCpuPipeline(*unwrap(manager), {});
}

MlirLogicalResult sageEmitArtifact(MlirModule module, MlirStringRef program,
                                   MlirStringCallback callback, void *userData) {
  FailureOr<sage::tile::ProgramOp> found = sage::findProgram(unwrap(module), unwrap(program));
  if (failed(found))
    return mlirLogicalResultFailure();
  FailureOr<std::string> artifact = sage::emitArtifact(*found);
  if (failed(artifact))
    return mlirLogicalResultFailure();
  callback(wrap(StringRef(*artifact)), userData);
  return mlirLogicalResultSuccess();
}
