/*===- Pipelines.h - the roads from sage.attention ---------------------------===*\
|* They are added to a pass manager of a builtin.module; with text as in          *|
|* mlirParsePassPipeline every pass and pipeline is there as well, once it is      *|
|* registered (Dialects.h).                                                       *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_C_PIPELINES_H
#define SAGE_C_PIPELINES_H

#include "mlir-c/IR.h"
#include "mlir-c/Pass.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zeros: the ops' own targets and recipes, and the built-in schedules. */
typedef struct SagePipelineOptions {
  MlirStringRef chip;
  MlirStringRef recipe; /**< a name */
  bool substitute;
  MlirStringRef scheduleFile;
} SagePipelineOptions;

/** Explicit smoothing and quantization. */
MLIR_CAPI_EXPORTED void sageAddSageToQuantizedPipeline(MlirOpPassManager manager,
                                                       const SagePipelineOptions *options);
/** `sage-to-tile`: scheduled tile kernels and a host program. */
MLIR_CAPI_EXPORTED void sageAddSageToTilePipeline(MlirOpPassManager manager,
                                                  const SagePipelineOptions *options);
/** `sage-to-nvvm`: one chip's instructions and a host program. */
MLIR_CAPI_EXPORTED void sageAddSageToNVVMPipeline(MlirOpPassManager manager,
                                                  const SagePipelineOptions *options);
/** `sage-to-ptx`: a gpu.binary of PTX and a host program. */
MLIR_CAPI_EXPORTED void sageAddSageToPTXPipeline(MlirOpPassManager manager,
                                                 const SagePipelineOptions *options);
/** `sage-to-gpu`: a gpu.binary, and functions that launch its kernels. */
MLIR_CAPI_EXPORTED void sageAddSageToGpuPipeline(MlirOpPassManager manager,
                                                 const SagePipelineOptions *options);
/** `sage-to-cpu`: the llvm dialect for this machine. */
MLIR_CAPI_EXPORTED void sageAddSageToCpuPipeline(MlirOpPassManager manager);

/** Gives the artifact of the host program `program` (null: the only one) of a module
 *  that sageAddSageToNVVMPipeline lowered to `callback`. */
MLIR_CAPI_EXPORTED MlirLogicalResult sageEmitArtifact(MlirModule module, MlirStringRef program,
                                                      MlirStringCallback callback, void *userData);

#ifdef __cplusplus
}
#endif
#endif
