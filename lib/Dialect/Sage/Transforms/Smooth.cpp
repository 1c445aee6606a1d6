// sage-smooth: means, centred operands and the terms that restore what centring removed (Spec N2).

#include "TensorForm.h"

#include "mlir/IR/Builders.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"

namespace sage {
#define GEN_PASS_DEF_SAGESMOOTH
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

static LogicalResult checkPreconditions(AttentionOp op) {
  if (failed(requireTensors(op)))
    return failure();
  if (op.getBias() || op.getKeyLengths()) {
    auto diagnostic = op.emitOpError() << "bias and key lengths must be absent";
    diagnostic.attachNote() << "run sage-legalize-recipe first: it diagnoses them";
    return diagnostic;
  }
  if (op.getRecipe().smoothsQuery() && !op.getGeometryAttr()) {
    auto diagnostic = op.emitOpError() << "geometry must be attached when the recipe smooths q";
    diagnostic.attachNote() << "run sage-assign-schedule first: it fixes the query block";
    return diagnostic;
  }
  if (op.getRecipe().smoothsKey() && op.getLse() && !op.getEffectiveScale()) {
    auto diagnostic = op.emitOpError() << "scale must be given when the head dim is dynamic";
    diagnostic.attachNote() << "run sage-legalize-recipe first, or add `scale`";
    return diagnostic;
  }
  return success();
}

static LogicalResult smooth(AttentionOp op) {
  RecipeAttr recipe = op.getRecipe();
  if (recipe.getSmooth() == Smoothing::None)
    return success();
  if (failed(checkPreconditions(op)))
    return failure();

  OpBuilder builder(op);
  Location loc = op.getLoc();
  Layout layout = op.getLayout();
  Value query = op.getQuery(), key = op.getKey(), value = op.getValue();
  Value queryMean, scoreCorrection, lseCorrection, valueMean;

  if (recipe.smoothsKey()) {
    Value mean = MeanOp::create(builder, loc, key, /*block=*/0, layout);
    key = CenterOp::create(builder, loc, key, mean, /*block=*/0, layout);
    // Softmax cancels the mean of K; the log-sum-exp does not.
    if (op.getLse())
      lseCorrection = LseCorrectionOp::create(builder, loc, query, mean,
                                              llvm::APFloat(*op.getEffectiveScale()), layout);
  }
  if (recipe.smoothsQuery()) {
    int64_t block = op.getGeometryAttr().getQueryBlock();
    queryMean = MeanOp::create(builder, loc, query, block, layout);
    query = CenterOp::create(builder, loc, query, queryMean, block, layout);
    Layout keyLayout = getOperandLayout(cast<ShapedType>(key.getType()), layout);
    scoreCorrection = ScoreCorrectionOp::create(builder, loc, queryMean, key, keyLayout);
  }
  if (recipe.smoothsValue()) {
    valueMean = MeanOp::create(builder, loc, value, /*block=*/0, layout);
    value = CenterOp::create(builder, loc, value, valueMean, /*block=*/0, layout);
  }

  auto smoothed = SmoothedAttentionOp::create(
      builder, loc, op.getResultTypes(), query, key, value, scoreCorrection, lseCorrection,
      valueMean, op.getOutputs(), op.getRecipeAttr(), op.getLayoutAttr(), op.getMaskAttr(),
      op.getScaleAttr(), op.getGeometryAttr(), op.getScheduleAttr(), op.getTargetAttr());
  smoothed->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op->replaceAllUsesWith(smoothed);
  op->erase();
  return success();
}

namespace {
struct Smooth : sage::impl::SageSmoothBase<Smooth> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      return failed(smooth(op)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
