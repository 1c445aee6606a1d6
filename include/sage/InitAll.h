// Registration of all of Sage's dialects and passes, for tools that want everything.

#ifndef SAGE_INITALL_H
#define SAGE_INITALL_H

#include "mlir/IR/DialectRegistry.h"

namespace sage {

/// Registers Sage's dialects with their external interface models.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Registers Sage's passes and pipelines with the global pass registry.
void registerAllPasses();

} // namespace sage

#endif // SAGE_INITALL_H
