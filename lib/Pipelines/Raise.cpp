// sage-raise: attention in other dialects as sage.attention, from what frameworks export.

#include "sage/Pipelines/Raise.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "sage/Conversion/RaiseAttention/Passes.h"

using namespace mlir;

void sage::buildRaisePipeline(OpPassManager &manager, const RaiseOptions &options) {
  // Dynamic shapes come with selections on sizes that are never negative.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(arith::createIntRangeOptimizationsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createSageRaiseAttention({options.recipe, options.elementType, options.strict}));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void sage::registerRaisePipeline() {
  PassPipelineRegistration<RaiseOptions>(
      "sage-raise",
      "Simplify shapes, and recognize attention in linalg, tosa and tm_tensor as sage.attention",
      buildRaisePipeline);
}

void sage::registerRaiseDialects(DialectRegistry &registry) {
  registry.insert<tosa::TosaDialect>();
}
