/*===- Dialects.h - registration in the style of MLIR's C API ---------------===*\
|* Handles of the dialects `sage` and `sage_tile`, and registration of all that  *|
|* Sage has. libSageCompilerC.so also exports MLIR's own C API of the IR.        *|
\*===----------------------------------------------------------------------===*/
#ifndef SAGE_C_DIALECTS_H
#define SAGE_C_DIALECTS_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Sage, sage);
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(SageTile, sage_tile);

/** Dialects, passes and pipelines, and what of MLIR the pipelines use. */
MLIR_CAPI_EXPORTED void sageRegisterAll(MlirDialectRegistry registry);
/** Passes and pipelines only, for mlirParsePassPipeline and the like. */
MLIR_CAPI_EXPORTED void sageRegisterAllPasses(void);

#ifdef __cplusplus
}
#endif
#endif
