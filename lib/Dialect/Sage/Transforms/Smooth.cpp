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

/// Softmax cancels the mean of K; the log-sum-exp, a soft cap and a sink do not (Spec M7).
static bool needsLseCorrection(AttentionOp op) {
  return op.getRecipe().smoothsKey() && (op.getLse() || op.getSoftcap() || op.getSinks());
}

static LogicalResult checkPreconditions(AttentionOp op) {
  if (failed(requireTensors(op)))
    return failure();
  if (op.getRecipe().smoothsQuery() && !op.getGeometryAttr()) {
    auto diagnostic = op.emitOpError() << "geometry must be attached when the recipe smooths q";
    diagnostic.attachNote() << "run sage-assign-schedule first: it fixes the query block";
    return diagnostic;
  }
  if (needsLseCorrection(op) && !op.getEffectiveScale()) {
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
  Value queryOffsets = op.getQueryOffsets(), keyOffsets = op.getKeyOffsets();
  Value keyLengths = op.getKeyLengths();
  Value queryMean, scoreCorrection, lseCorrection, valueMean;

  if (recipe.smoothsKey()) {
    Value mean = MeanOp::create(builder, loc, key, keyLengths, keyOffsets, /*block=*/0, layout);
    key = CenterOp::create(builder, loc, key, mean, keyLengths, keyOffsets, /*block=*/0, layout);
    if (needsLseCorrection(op))
      lseCorrection = LseCorrectionOp::create(builder, loc, query, mean, queryOffsets,
                                              llvm::APFloat(*op.getEffectiveScale()), layout);
  }
  if (recipe.smoothsQuery()) {
    int64_t block = op.getGeometryAttr().getQueryBlock();
    queryMean = MeanOp::create(builder, loc, query, Value(), queryOffsets, block, layout);
    query = CenterOp::create(builder, loc, query, queryMean, Value(), queryOffsets, block, layout);
    Layout keyLayout = getOperandLayout(cast<ShapedType>(key.getType()), layout);
    scoreCorrection = ScoreCorrectionOp::create(builder, loc, queryMean, key, keyLayout);
  }
  if (recipe.smoothsValue()) {
    valueMean = MeanOp::create(builder, loc, value, keyLengths, keyOffsets, /*block=*/0, layout);
    value = CenterOp::create(builder, loc, value, valueMean, keyLengths, keyOffsets, /*block=*/0,
                             layout);
  }

  auto smoothed = SmoothedAttentionOp::create(
      builder, loc, op.getResultTypes(), query, key, value, scoreCorrection, lseCorrection,
      valueMean, op.getBias(), keyLengths, op.getSinks(), queryOffsets, keyOffsets, op.getOutputs(),
      op.getRecipeAttr(), op.getLayoutAttr(), op.getMaskAttr(), op.getWindowLeftAttr(),
      op.getWindowRightAttr(), op.getSinkTokensAttr(), op.getSoftcapAttr(), op.getScaleAttr(),
      op.getGeometryAttr(), op.getScheduleAttr(), op.getTargetAttr());
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
