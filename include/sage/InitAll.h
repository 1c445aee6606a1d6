// Registration of all of Sage's dialects and passes, for tools that want everything.

#ifndef SAGE_INITALL_H
#define SAGE_INITALL_H

#include "mlir/IR/DialectRegistry.h"

namespace sage {

/// Registers Sage's dialects with their external interface models.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Registers Sage's passes and pipelines with the global pass registry, once in a process.
void registerAllPasses();

/// All that an embedder needs: the two above, and MLIR's dialects with the interface models, the
/// serialization and the translations that Sage's pipelines use.
void registerAll(mlir::DialectRegistry &registry);

/// Sage's version, e.g. "0.1.0".
const char *getVersion();

} // namespace sage

#endif // SAGE_INITALL_H
