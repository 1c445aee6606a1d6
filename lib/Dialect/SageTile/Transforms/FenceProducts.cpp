// A schedule barrier before every product of a loop whose first operand is computed there.

#include "sage/Dialect/SageTile/IR/SageTile.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"

namespace sage::tile {
#define GEN_PASS_DEF_FENCEPRODUCTS
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// Whether `product` begins a chain of products that add to one another, with an operand that its
/// loop computes.
bool needsFence(MmaOp product) {
  auto loop = dyn_cast<scf::ForOp>(product->getParentOp());
  if (!loop || !isa<FragmentType>(product.getA().getType()) ||
      loop.isDefinedOutsideOfLoop(product.getA()))
    return false;
  Operation *before = product.getAccumulator().getDefiningOp();
  return !isa_and_nonnull<MmaOp>(before) || before->getBlock() != product->getBlock();
}

struct FenceProducts : impl::FenceProductsBase<FenceProducts> {
  using FenceProductsBase::FenceProductsBase;

  void runOnOperation() override {
    getOperation().walk([](MmaOp product) {
      OpBuilder builder(product);
      if (needsFence(product))
        ScheduleBarrierOp::create(builder, product.getLoc());
    });
  }
};

} // namespace
} // namespace sage::tile
