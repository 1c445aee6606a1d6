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

/// Windows of fewer key tiles have too few for parts.
static constexpr int64_t leastTilesOfWindow = 16;

/// Whether parts of the keys can make a call with few queries faster: where their number is not
/// known to be one, and few queries may see many keys.
static bool splitsKeys(AttentionOp op, GeometryAttr geometry) {
  Mask mask = op.getMask();
  if (op.isPacked() || mask == Mask::CausalTopLeft || mask == Mask::WindowTopLeft)
    return false;
  if (std::optional<int64_t> left = op.getWindowLeft();
      left && *left < leastTilesOfWindow * geometry.getKeyTile())
    return false;
  AttentionShape shape = op.getShape();
  int64_t extents[] = {shape.batch, shape.queryHeads, shape.keyHeads, shape.queryTokens,
                       shape.keyTokens};
  return llvm::any_of(extents, ShapedType::isDynamic) || geometry.countKeyParts(extents) != 1;
}

static LogicalResult assignSchedule(AttentionOp op, StringRef scheduleFile, bool splitKeys) {
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
  if (!op.getGeometryAttr()) {
    GeometryAttr geometry = query.getGeometry(schedule);
    GeometryAttr inParts = geometry.withDefaultKeyParts();
    op.setGeometryAttr(splitKeys && splitsKeys(op, inParts) ? inParts : geometry);
  }
  op.setScheduleAttr(schedule);
  return success();
}

namespace {
struct AssignSchedule : sage::impl::SageAssignScheduleBase<AssignSchedule> {
  using SageAssignScheduleBase::SageAssignScheduleBase;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      return failed(assignSchedule(op, scheduleFile, splitKeys)) ? WalkResult::interrupt()
                                                                 : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
