// The road from other dialects to sage.attention.

#ifndef SAGE_PIPELINES_RAISE_H
#define SAGE_PIPELINES_RAISE_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace sage {

struct RaiseOptions : mlir::PassPipelineOptions<RaiseOptions> {
  Option<std::string> recipe{*this, "recipe", llvm::cl::desc("As of sage-raise-attention"),
                             llvm::cl::init("sage2-8b")};
  Option<std::string> elementType{
      *this, "element-type", llvm::cl::desc("As of sage-raise-attention"), llvm::cl::init("f16")};
  Option<bool> strict{*this, "strict", llvm::cl::desc("As of sage-raise-attention"),
                      llvm::cl::init(false)};
};

/// Builds sage-raise: what simplifies dynamic shapes, sage-raise-attention, and canonicalization.
void buildRaisePipeline(mlir::OpPassManager &manager, const RaiseOptions &options);
void registerRaisePipeline();

/// Dialects of programs that are raised, beside those of the compiler.
void registerRaiseDialects(mlir::DialectRegistry &registry);

} // namespace sage

#endif // SAGE_PIPELINES_RAISE_H
