// sage-lsp-server: MLIR's language server with Sage's dialects. Editors start it and speak to it
// over standard input and output.

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "sage/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sage::registerAll(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
