// sage-legalize-recipe: every attention runs on the chip, or the reason why not is reported.

#include "TensorForm.h"

#include "mlir/IR/Builders.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "sage/Schedule/ScheduleLookup.h"

namespace sage {
#define GEN_PASS_DEF_SAGELEGALIZERECIPE
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

/// The nearest recipe without 8-bit float products.
static RecipeAttr withoutE4M3(RecipeAttr recipe) {
  ScoreType qk = recipe.getQk() == ScoreType::E4M3 ? ScoreType::Int8 : recipe.getQk();
  return RecipeAttr::get(recipe.getContext(), qk, recipe.getGranularity(),
                         recipe.getSmooth() & ~Smoothing::Value, PvType::F16, Accumulation::Single,
                         InnerType::F32, /*interval=*/0, RowSum::Float, recipe.getRotate(),
                         recipe.getRange());
}

static LogicalResult materializeScale(AttentionOp op) {
  if (op.getScaleAttr())
    return success();
  std::optional<float> scale = op.getEffectiveScale();
  if (!scale) {
    auto diagnostic = op.emitOpError() << "scale must be given when the head dim is dynamic";
    diagnostic.attachNote() << "add `scale`, or cast query and key to a static head dim";
    return diagnostic;
  }
  op.setScaleAttr(Builder(op.getContext()).getF32FloatAttr(*scale));
  return success();
}

/// Checks the recipe against the target, or substitutes it.
static LogicalResult fitRecipe(AttentionOp op, TargetAttr target, bool substitute) {
  RecipeAttr recipe = op.getRecipe();
  std::optional<std::string> conflict = target.findConflict(recipe);
  if (!conflict)
    return success();
  RecipeAttr nearest = withoutE4M3(recipe);
  if (!substitute) {
    auto diagnostic = op.emitOpError() << *conflict << " [C12]";
    diagnostic.attachNote() << "use " << nearest
                            << ", or let `substitute` of sage-legalize-recipe do so";
    return diagnostic;
  }
  op.emitRemark() << "recipe " << recipe << " is replaced by " << nearest << " on "
                  << target.getChip();
  op->setAttr("sage.substituted_for", recipe);
  op.setRecipeAttr(nearest);
  return success();
}

namespace {
struct LegalizeRecipe : sage::impl::SageLegalizeRecipeBase<LegalizeRecipe> {
  using SageLegalizeRecipeBase::SageLegalizeRecipeBase;

  void runOnOperation() override {
    RecipeAttr replacement;
    TargetAttr optionTarget;
    if (failed(readOptions(replacement, optionTarget)))
      return signalPassFailure();
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      return failed(legalize(op, replacement, optionTarget)) ? WalkResult::interrupt()
                                                             : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  LogicalResult readOptions(RecipeAttr &replacement, TargetAttr &optionTarget) {
    auto emitError = [&] { return mlir::emitError(getOperation()->getLoc()); };
    if (!recipe.empty()) {
      replacement = RecipeAttr::getNamed(&getContext(), recipe);
      if (!replacement)
        return emitError() << "recipe must be one of " << RecipeAttr::listNames() << ", but got '"
                           << recipe << "'";
    }
    if (chip.empty())
      return success();
    FailureOr<TargetAttr> found = lookupTarget(&getContext(), chip, emitError);
    if (failed(found))
      return failure();
    optionTarget = *found;
    return success();
  }

  LogicalResult legalize(AttentionOp op, RecipeAttr replacement, TargetAttr optionTarget) {
    if (failed(requireTensors(op)) || failed(materializeScale(op)))
      return failure();
    TargetAttr target = optionTarget ? optionTarget : op.getTargetAttr();
    if (!target) {
      auto diagnostic = op.emitOpError() << "target must be known";
      diagnostic.attachNote() << "set `chip` of sage-legalize-recipe";
      return diagnostic;
    }
    if (replacement)
      op.setRecipeAttr(replacement);
    if (failed(fitRecipe(op, target, substitute)))
      return failure();
    op.setTargetAttr(target);
    return success();
  }
};
} // namespace
