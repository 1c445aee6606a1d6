// Registration through the C API.

#include "sage-c/Dialects.h"

#include "mlir/CAPI/Registration.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"
#include "sage/Dialect/SageTile/IR/SageTile.h"
#include "sage/InitAll.h"

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Sage, sage, sage::SageDialect)
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(SageTile, sage_tile, sage::tile::SageTileDialect)

void sageRegisterAll(MlirDialectRegistry registry) { sage::registerAll(*unwrap(registry)); }

void sageRegisterAllPasses(void) { sage::registerAllPasses(); }
