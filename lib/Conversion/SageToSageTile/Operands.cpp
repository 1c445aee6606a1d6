// The caller's tensors of an attention.

#include "Operands.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sage;

LogicalResult sage::refuse(Operation *op, const Twine &what, const Twine &remedy) {
  InFlightDiagnostic diagnostic = op->emitOpError() << what;
  diagnostic.attachNote() << remedy;
  return diagnostic;
}

/// What `value` was quantized from: an original tensor, or one that was centred on the means of its
/// blocks (0: of all its tokens).
static Value findSource(Value value, bool centred, int64_t block) {
  if (!centred)
    return value;
  auto center = value.getDefiningOp<CenterOp>();
  if (!center || int64_t(center.getBlock()) != block)
    return {};
  auto mean = center.getMean().getDefiningOp<MeanOp>();
  if (!mean || mean.getInput() != center.getInput() || int64_t(mean.getBlock()) != block)
    return {};
  return center.getInput();
}

/// What `quantized` was made from before it was rotated; null where it is not what the recipe says.
static Value findUnrotated(QuantizeOp quantized, RecipeAttr recipe, RotatedOperand operand) {
  bool isQuery = operand == RotatedOperand::Query;
  float fraction = isQuery ? recipe.getQueryFraction() : recipe.getKeyFraction();
  if (quantized.getFraction().convertToFloat() != fraction)
    return {};
  if (!recipe.rotates())
    return quantized.getInput();
  auto rotate = quantized.getInput().getDefiningOp<RotateOp>();
  if (!rotate ||
      int64_t(rotate.getHalvings()) != getRotationHalvings(rotate.getType().getDimSize(3), operand))
    return {};
  return rotate.getInput();
}

template <typename AttentionLike>
static void appendMaskOperands(AttentionLike op, SmallVector<Value> &operands) {
  for (Value operand :
       {op.getBias(), op.getKeyLengths(), op.getSinks(), op.getQueryOffsets(), op.getKeyOffsets()})
    if (operand)
      operands.push_back(operand);
}

FailureOr<SmallVector<Value>> sage::findOperands(QuantizedAttentionOp op) {
  constexpr llvm::StringLiteral remedy = "run sage-smooth and sage-quantize on a sage.attention, "
                                         "and nothing between them and this pass";
  RecipeAttr recipe = op.getRecipe();
  auto query = op.getQuery().getDefiningOp<QuantizeOp>();
  auto key = op.getKey().getDefiningOp<QuantizeOp>();
  auto value = op.getValue().getDefiningOp<QuantizeValueOp>();
  if (!query || !key || (recipe.quantizesValue() && !value))
    return refuse(op, "operands must be results of sage.quantize and sage.quantize_value", remedy);
  Value centredQuery = findUnrotated(query, recipe, RotatedOperand::Query);
  Value centredKey = findUnrotated(key, recipe, RotatedOperand::Key);
  if (!centredQuery || !centredKey)
    return refuse(op, "query and key must be rotated and clipped as the recipe says", remedy);
  int64_t block = op.getGeometry().getQueryBlock();
  SmallVector<Value> operands{
      findSource(centredQuery, recipe.smoothsQuery(), block),
      findSource(centredKey, recipe.smoothsKey(), 0),
      findSource(value ? value.getInput() : op.getValue(), recipe.smoothsValue(), 0)};
  const char *names[] = {"query", "key", "value"};
  for (auto [name, operand] : llvm::zip_equal(names, operands))
    if (!operand)
      return refuse(op, Twine(name) + " must be centred on its mean as the recipe says", remedy);
  if (Value lse = op.getLseCorrection()) {
    auto correction = lse.getDefiningOp<LseCorrectionOp>();
    if (!correction || correction.getQuery() != operands[0])
      return refuse(op, "lse_correction must be the sage.lse_correction of the same query", remedy);
  }
  if (Value score = op.getScoreCorrection()) {
    auto correction = score.getDefiningOp<ScoreCorrectionOp>();
    if (!correction || correction.getKey() != centredKey)
      return refuse(op, "score_correction must be the sage.score_correction of the same key",
                    remedy);
  }
  appendMaskOperands(op, operands);
  return operands;
}

FailureOr<SmallVector<Value>> sage::findOperands(AttentionOp op) {
  SmallVector<Value> operands{op.getQuery(), op.getKey(), op.getValue()};
  appendMaskOperands(op, operands);
  return operands;
}

void sage::eraseUnused(ValueRange operands) {
  // By op: several values may come from one, and none may be looked at after it is erased.
  llvm::SetVector<Operation *> sources;
  auto add = [&](ValueRange values) {
    for (Value value : values)
      if (Operation *source = value.getDefiningOp())
        sources.insert(source);
  };
  add(operands);
  while (!sources.empty()) {
    Operation *source = sources.pop_back_val();
    if (!source->use_empty() || !isa<QuantizeOp, QuantizeValueOp, RotateOp, CenterOp, MeanOp,
                                     LseCorrectionOp, ScoreCorrectionOp>(source))
      continue;
    add(source->getOperands());
    source->erase();
  }
}
