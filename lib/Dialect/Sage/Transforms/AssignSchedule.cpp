// sage-assign-schedule: attaches the geometry and a schedule row.

#include "TensorForm.h"

#include "sage/Dialect/Sage/Transforms/Passes.h"
#include "sage/Schedule/ScheduleLookup.h"

namespace sage {
#define GEN_PASS_DEF_SAGEASSIGNSCHEDULE
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

static LogicalResult assignSchedule(AttentionOp op, StringRef scheduleFile) {
  if (failed(requireTensors(op)))
    return failure();
  TargetAttr target = op.getTargetAttr();
  if (!target) {
    auto diagnostic = op.emitOpError() << "target must be attached";
    diagnostic.attachNote() << "run sage-legalize-recipe first";
    return diagnostic;
  }
  AttentionShape shape = op.getShape();
  if (ShapedType::isDynamic(shape.headDim) || ShapedType::isDynamic(shape.valueHeadDim)) {
    auto diagnostic = op.emitOpError()
                      << "head dims must be static, but got " << op.getQuery().getType() << " and "
                      << op.getValue().getType();
    diagnostic.attachNote() << "cast the operands to static head dims";
    return diagnostic;
  }
  ScheduleQuery query{target,
                      shape.headDim,
                      shape.valueHeadDim,
                      op.getRecipe(),
                      op.getGeometryAttr(),
                      {op.getBias() || op.getSoftcapAttr(), op.getMask() != Mask::None,
                       op.getWindowLeft().has_value()}};
  ScheduleAttr schedule = op.getScheduleAttr();
  if (!schedule) {
    FailureOr<ScheduleAttr> found =
        lookupSchedule(query, [&] { return op.emitOpError(); }, scheduleFile);
    if (failed(found))
      return failure();
    schedule = *found;
  }
  op.setGeometryAttr(query.getGeometry(schedule));
  op.setScheduleAttr(schedule);
  return success();
}

namespace {
struct AssignSchedule : sage::impl::SageAssignScheduleBase<AssignSchedule> {
  using SageAssignScheduleBase::SageAssignScheduleBase;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      return failed(assignSchedule(op, scheduleFile)) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
