// Runs the tile passes that a kernel's schedule calls for.

#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"
#include "sage/Pipelines/Pipelines.h"

namespace sage {
#define GEN_PASS_DEF_APPLYSCHEDULE
#include "sage/Pipelines/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

void addPasses(OpPassManager &manager, ScheduleAttr schedule, RecipeAttr recipe) {
  if (recipe.getAccumulation() == Accumulation::TwoLevel)
    // Products of warps are complete at once: one fresh fragment does.
    manager.addPass(tile::createTwoLevelAccumulation(
        {schedule.getValueChunks(), stringifyInnerType(recipe.getInner()).str(),
         schedule.getFamily() == Family::Wgmma ? 2 : 1, recipe.getInterval()}));
  // The folded constant is too coarse for the large scales of INT4 values.
  bool isMagic = schedule.getConversion() == Conversion::Magic && recipe.getQk() == ScoreType::Int8;
  manager.addPass(tile::createFoldScoreConversion({isMagic ? "magic" : "convert"}));
  manager.addPass(tile::createIssueMmaAsync());
  if (schedule.isWarpSpecialized())
    manager.addPass(tile::createSpecializeWarps(
        {schedule.getProducerRegisters(), schedule.getConsumerRegisters()}));
  manager.addPass(tile::createPipelineCopies({schedule.getStages()}));
  // Sums of integer products are never the integer that stands for a masked score.
  bool isInteger = recipe.getQk() == ScoreType::Int8 || recipe.getQk() == ScoreType::Int4;
  manager.addPass(tile::createPeelMasks({/*dropsGuards=*/isInteger}));
  if (schedule.getExpChunks() > 1)
    manager.addPass(tile::createInterleaveExponentials({schedule.getExpChunks()}));
  // Beside 16-bit P, or sums in float16, warpgroups have no registers for scores that wait.
  bool hasRegisters = !schedule.isWarpSpecialized() ||
                      (recipe.quantizesValue() && recipe.getInner() == InnerType::F32);
  if (schedule.getLateConversions() && hasRegisters)
    manager.addPass(tile::createSinkConversions());
  if (schedule.getFenceProducts())
    manager.addPass(tile::createFenceProducts());
  manager.addPass(tile::createMakePersistent());
}

class ApplySchedulePass : public sage::impl::ApplyScheduleBase<ApplySchedulePass> {
public:
  void getDependentDialects(DialectRegistry &registry) const override {
    ApplyScheduleBase::getDependentDialects(registry);
    // What the passes need must be loaded before this one runs; the row does not matter.
    OpPassManager manager(tile::KernelOp::getOperationName());
    manager.addPass(tile::createTwoLevelAccumulation());
    manager.addPass(tile::createPipelineCopies());
    manager.getDependentDialects(registry);
  }

  void runOnOperation() override {
    auto schedule = getOperation()->getAttrOfType<ScheduleAttr>("sage.schedule");
    if (!schedule)
      return;
    auto recipe = getOperation()->getAttrOfType<RecipeAttr>("sage.recipe");
    if (!recipe) {
      InFlightDiagnostic diagnostic =
          getOperation().emitOpError("must have sage.recipe beside sage.schedule");
      diagnostic.attachNote() << "convert-sage-to-sage-tile sets both";
      return signalPassFailure();
    }
    OpPassManager manager(tile::KernelOp::getOperationName());
    addPasses(manager, schedule, recipe);
    if (failed(runPipeline(manager, getOperation())))
      return signalPassFailure();
    // Applied once: a scheduled kernel that is read back is left alone.
    getOperation()->removeAttr("sage.schedule");
  }
};

} // namespace
