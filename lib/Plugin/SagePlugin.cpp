// What mlir-opt asks a plugin for (--load-dialect-plugin, --load-pass-plugin).

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "sage/InitAll.h"

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Sage", sage::getVersion(),
          [](mlir::DialectRegistry *registry) { sage::registerAll(*registry); }};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Sage", sage::getVersion(), [] { sage::registerAllPasses(); }};
}
