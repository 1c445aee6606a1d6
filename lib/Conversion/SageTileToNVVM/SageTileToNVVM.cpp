// convert-sage-tile-to-nvvm: the kernels of a GPU module, one after the other.

#include "sage/Conversion/SageTileToNVVM/Passes.h"

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace sage {

#define GEN_PASS_DEF_CONVERTSAGETILETONVVM
#include "sage/Conversion/SageTileToNVVM/Passes.h.inc"

namespace {

struct ConvertSageTileToNVVM : impl::ConvertSageTileToNVVMBase<ConvertSageTileToNVVM> {
  void runOnOperation() override {
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<tile::KernelOp>()))
      if (failed(tile::KernelLowering(kernel).run()))
        return signalPassFailure();
    // convert-to-llvm knows shuffles, but no slices.
    RewritePatternSet slices(&getContext());
    vector::populateVectorInsertExtractStridedSliceTransforms(slices);
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), std::move(slices), config)))
      return signalPassFailure();
  }
};

} // namespace
} // namespace sage
