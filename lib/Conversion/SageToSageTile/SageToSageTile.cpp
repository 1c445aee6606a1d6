// Turns quantized attention into kernels and the host program that launches them.

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

/// The 16-bit tensors that a quantized attention was made of.
struct Operands {
  Value query, key, value;
};

LogicalResult refuse(Operation *op, const Twine &what, const Twine &remedy) {
  InFlightDiagnostic diagnostic = op->emitOpError() << what;
  diagnostic.attachNote() << remedy;
  return diagnostic;
}

/// What `value` was quantized from: an original tensor, or one that `center` centred on the mean of
/// all its tokens.
Value findSource(Value value, bool centred) {
  if (!centred)
    return value;
  auto center = value.getDefiningOp<CenterOp>();
  if (!center || center.getBlock() != 0)
    return {};
  auto mean = center.getMean().getDefiningOp<MeanOp>();
  if (!mean || mean.getInput() != center.getInput() || mean.getBlock() != 0)
    return {};
  return center.getInput();
}

FailureOr<Operands> findOperands(QuantizedAttentionOp op) {
  constexpr llvm::StringLiteral remedy = "run sage-smooth and sage-quantize on a sage.attention, "
                                         "and nothing between them and this pass";
  auto query = op.getQuery().getDefiningOp<QuantizeOp>();
  auto key = op.getKey().getDefiningOp<QuantizeOp>();
  auto value = op.getValue().getDefiningOp<QuantizeValueOp>();
  if (!query || !key || !value)
    return refuse(op, "operands must be results of sage.quantize and sage.quantize_value", remedy);
  Operands operands;
  operands.query = findSource(query.getInput(), /*centred=*/false);
  operands.key = findSource(key.getInput(), op.getRecipe().smoothsKey());
  operands.value = findSource(value.getInput(), /*centred=*/false);
  if (!operands.query || !operands.key || !operands.value)
    return refuse(op, "key must be centred on the mean of all its tokens, as the recipe says",
                  remedy);
  if (op.getLseCorrection()) {
    auto correction = op.getLseCorrection().getDefiningOp<LseCorrectionOp>();
    if (!correction || correction.getQuery() != operands.query)
      return refuse(op, "lse_correction must be the sage.lse_correction of the same query", remedy);
  }
  return operands;
}

/// What hides keys, ends sequences or changes scores in a way that the kernels do not.
LogicalResult checkMaskSupport(QuantizedAttentionOp op) {
  constexpr llvm::StringLiteral remedy = "sage-decompose lowers it to linalg";
  const std::pair<llvm::StringLiteral, bool> features[] = {
      {"bias", op.getBias() != nullptr},
      {"key_lengths", op.getKeyLengths() != nullptr},
      {"sinks", op.getSinks() != nullptr},
      {"query_offsets and key_offsets", op.isPacked()},
      {"softcap", op.getSoftcap().has_value()},
      {"window_left", op.getWindowLeft().has_value()},
      {"window_right", op.getWindowRight().has_value()}};
  for (auto [name, given] : features)
    if (given)
      return refuse(op, Twine(name) + " is not lowered to kernels yet", remedy);
  return success();
}

/// Whether the kernels cover the op; says what does not fit and what does.
LogicalResult checkSupport(QuantizedAttentionOp op, const Problem &problem) {
  auto expected =
      GeometryAttr::getDefault(problem.recipe, problem.schedule.getFamily(),
                               problem.geometry.getQueryBlock(), problem.geometry.getKeyTile());
  if (problem.geometry != expected)
    return refuse(op, "geometry's scale groups or value order are not lowered to kernels",
                  "leave geometry to sage-assign-schedule, which chooses what the instructions of "
                  "the chip hold per lane");
  std::optional<Refusal> refusal = findUnsupportedPreparation(problem);
  if (!refusal)
    refusal = findUnsupportedAttention(problem);
  return refusal ? refuse(op, refusal->what, refusal->remedy) : success();
}

FailureOr<Problem> getProblem(QuantizedAttentionOp op) {
  if (!op.getSchedule() || !op.getTarget())
    return refuse(op, "schedule and target must be attached",
                  "run sage-legalize-recipe and sage-assign-schedule first");
  if (failed(checkMaskSupport(op)))
    return failure();
  AttentionShape shape = op.getShape();
  Problem problem;
  problem.recipe = op.getRecipe();
  problem.geometry = op.getGeometry();
  problem.schedule = *op.getSchedule();
  problem.target = *op.getTarget();
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
  void runOnOperation() override {
    SmallVector<QuantizedAttentionOp> ops;
    getOperation().walk([&](QuantizedAttentionOp op) { ops.push_back(op); });
    for (QuantizedAttentionOp op : ops)
      if (failed(convert(op)))
        return signalPassFailure();
  }

private:
  LogicalResult convert(QuantizedAttentionOp op);
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

LogicalResult ConvertSageToSageTilePass::convert(QuantizedAttentionOp op) {
  FailureOr<Problem> problem = getProblem(op);
  if (failed(problem) || failed(checkSupport(op, *problem)))
    return failure();
  FailureOr<Operands> operands = findOperands(op);
  if (failed(operands))
    return failure();

  std::string name = makeName(op);
  ProgramBuilder program(op.getLoc(), getOperation(), name, *problem);
  addPreparationKernels(program);
  addAttentionKernel(program);

  OpBuilder builder(op);
  auto invoke = tile::InvokeOp::create(builder, op.getLoc(), op.getResultTypes(), name,
                                       ValueRange{operands->query, operands->key, operands->value},
                                       op.getOutputs());
  op.replaceAllUsesWith(invoke);

  // What fed the op is dead now, from the quantized operands up.
  SmallVector<Value> dead(op->getOperands());
  op.erase();
  while (!dead.empty()) {
    Operation *source = dead.pop_back_val().getDefiningOp();
    if (!source || !source->use_empty() ||
        !isa<QuantizeOp, QuantizeValueOp, CenterOp, MeanOp, LseCorrectionOp>(source))
      continue;
    llvm::append_range(dead, source->getOperands());
    source->erase();
  }
  return success();
}

} // namespace
