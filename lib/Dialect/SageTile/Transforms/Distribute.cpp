// sage-tile-distribute: fragments become vectors of what one lane holds.

#include "Distribute.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Dialect/SCF/Transforms/Patterns.h"

using namespace mlir;

namespace sage::tile {

#define GEN_PASS_DEF_DISTRIBUTE
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"

namespace {

struct Distribute : impl::DistributeBase<Distribute> {
  void runOnOperation() override;
};

/// Selection between fragments by a scalar condition.
struct DistributeSelect : OpConversionPattern<arith::SelectOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(arith::SelectOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, adaptor.getCondition(), adaptor.getTrueValue(),
                                                 adaptor.getFalseValue());
    return success();
  }
};

} // namespace

void Distribute::runOnOperation() {
  TypeConverter converter;
  converter.addConversion([](Type type) { return type; });
  converter.addConversion([](FragmentType type) -> Type { return type.getLaneType(); });
  converter.addConversion([](AsyncType type) -> Type {
    if (auto fragment = dyn_cast<FragmentType>(type.getValueType()))
      return AsyncType::get(type.getContext(), fragment.getLaneType());
    return type;
  });

  ConversionTarget target(getContext());
  target.markUnknownOpDynamicallyLegal([&](Operation *op) { return converter.isLegal(op); });
  RewritePatternSet patterns(&getContext());
  scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
  patterns.add<DistributeSelect>(converter, &getContext());
  populateDistributeArithmeticPatterns(converter, patterns);
  populateDistributeMapPatterns(converter, patterns);
  populateDistributeReductionPatterns(converter, patterns);
  populateDistributeHadamardPatterns(converter, patterns);
  populateDistributeMemoryPatterns(converter, patterns);
  populateDistributeProductPatterns(converter, patterns);
  if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
    signalPassFailure();
}

} // namespace sage::tile
