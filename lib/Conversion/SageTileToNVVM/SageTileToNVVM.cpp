// convert-sage-tile-to-nvvm: the kernels of a GPU module, one after the other.

#include "sage/Conversion/SageTileToNVVM/Passes.h"

#include "KernelLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

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
  }
};

} // namespace
} // namespace sage
