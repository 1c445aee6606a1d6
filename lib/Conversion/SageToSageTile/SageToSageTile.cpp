// Turns quantized attention into kernels and the host program that launches them.

#include "Operands.h"
#include "ProgramBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "sage/Conversion/SageToSageTile/Passes.h"
#include "sage/Dialect/Sage/IR/AttentionShape.h"

namespace sage {
#define GEN_PASS_DEF_CONVERTSAGETOSAGETILE
#include "sage/Conversion/SageToSageTile/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {

/// Whether the kernels cover the problem of `op`; says what does not fit and what does.
LogicalResult checkSupport(Operation *op, const Problem &problem) {
  auto expected =
      GeometryAttr::getDefault(problem.recipe, problem.schedule.getFamily(),
                               problem.geometry.getQueryBlock(), problem.geometry.getKeyTile())
          .withKeyParts(problem.geometry.getKeyParts());
  if (problem.geometry != expected)
    return refuse(op, "geometry's scale groups or value order are not lowered to kernels",
                  "leave geometry to sage-assign-schedule, which chooses what the instructions of "
                  "the chip hold per lane");
  std::optional<Refusal> refusal = findUnsupportedPreparation(problem);
  return refusal ? refuse(op, refusal->what, refusal->remedy) : success();
}

template <typename AttentionLike> FailureOr<Problem> getProblem(AttentionLike op) {
  if (!op.getGeometryAttr() || !op.getScheduleAttr() || !op.getTargetAttr())
    return refuse(op, "geometry, schedule and target must be attached",
                  "run sage-legalize-recipe and sage-assign-schedule first");
  AttentionShape shape = op.getShape();
  Problem problem;
  problem.recipe = op.getRecipe();
  problem.geometry = op.getGeometryAttr();
  problem.schedule = op.getScheduleAttr();
  problem.target = op.getTargetAttr();
  problem.mask = op.getMask();
  problem.layout = op.getLayout();
  problem.headDim = shape.headDim;
  problem.valueHeadDim = shape.valueHeadDim;
  problem.elementType = shape.elementType;
  problem.hasLse = op.getLse() != nullptr;
  for (int64_t extent :
       {shape.batch, shape.queryHeads, shape.keyHeads, shape.queryTokens, shape.keyTokens})
    problem.shape.push_back(ShapedType::isDynamic(extent) ? -1 : extent);
  problem.scale = op.getScaleAttr();
  if (Value bias = op.getBias())
    problem.bias = getElementTypeOrSelf(bias);
  problem.windowLeft = op.getWindowLeftAttr();
  problem.windowRight = op.getWindowRightAttr();
  problem.sinkTokens = op.getSinkTokensAttr();
  problem.softcap = op.getSoftcapAttr();
  problem.hasKeyLengths = op.getKeyLengths() != nullptr;
  problem.hasSinks = op.getSinks() != nullptr;
  problem.isPacked = op.isPacked();
  return problem;
}

class ConvertSageToSageTilePass
    : public sage::impl::ConvertSageToSageTileBase<ConvertSageToSageTilePass> {
public:
  using ConvertSageToSageTileBase::ConvertSageToSageTileBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      // Where nothing is quantized the op is still the user's.
      auto attention = dyn_cast<AttentionOp>(op);
      if (isa<QuantizedAttentionOp>(op) || (attention && !attention.getRecipe().quantizesScores()))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      auto quantized = dyn_cast<QuantizedAttentionOp>(op);
      if (failed(quantized ? convert(quantized) : convert(cast<AttentionOp>(op))))
        return signalPassFailure();
    }
  }

private:
  template <typename AttentionLike> LogicalResult convert(AttentionLike op);
  std::string makeName(Operation *op);
};

/// `<function>_attention`, numbered when the module has it already.
std::string ConvertSageToSageTilePass::makeName(Operation *op) {
  auto function = op->getParentOfType<SymbolOpInterface>();
  std::string base = (function ? function.getName().str() + "_" : std::string()) + "attention";
  std::string name = base;
  for (unsigned i = 1; SymbolTable::lookupSymbolIn(getOperation(), name); ++i)
    name = base + "_" + std::to_string(i);
  return name;
}

template <typename AttentionLike>
LogicalResult ConvertSageToSageTilePass::convert(AttentionLike op) {
  FailureOr<Problem> problem = getProblem(op);
  if (failed(problem) || failed(checkSupport(op, *problem)))
    return failure();
  FailureOr<SmallVector<Value>> inputs = findOperands(op);
  if (failed(inputs))
    return failure();

  std::string name = makeName(op);
  ProgramBuilder program(op.getLoc(), getOperation(), name, *problem, overlapLaunches);
  addPreparationKernels(program);
  if (!preparationOnly) {
    addAttentionKernel(program);
    addJoinKernel(program);
  }

  OpBuilder builder(op);
  auto invoke = tile::InvokeOp::create(builder, op.getLoc(), op->getResultTypes(), name, *inputs,
                                       op.getOutputs());
  op->replaceAllUsesWith(invoke);
  SmallVector<Value> operands(op->getOperands());
  op.erase();
  eraseUnused(operands);
  return success();
}

} // namespace
