// The caller's tensors of an attention.

#include "Operands.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sage;

LogicalResult sage::refuse(Operation *op, const Twine &what, const Twine &remedy) {
  InFlightDiagnostic diagnostic = op->emitOpError() << what;
  diagnostic.attachNote() << remedy;
  return diagnostic;
}

namespace {
struct Tokens {
  Value lengths, offsets;
};

struct Origin {
  Value source;  ///< the caller's tensor; null where it was not smoothed as the recipe says
  Value mean;    ///< null where it was not smoothed
  Value centred; ///< what was rotated or quantized

  explicit operator bool() const { return source != nullptr; }
};

/// The kernels compute from the caller's tensors, by recipe and geometry, what the ops before an
/// attention computed: these must say the same in every part.
class OperandFinder {
public:
  explicit OperandFinder(QuantizedAttentionOp op)
      : op(op), recipe(op.getRecipe()), geometry(op.getGeometry()),
        ofQueries{Value(), op.getQueryOffsets()}, ofKeys{op.getKeyLengths(), op.getKeyOffsets()} {}

  FailureOr<SmallVector<Value>> find();

private:
  bool isQuantizedByRecipe(QuantizeOp quantized, RotatedOperand operand);
  bool isQuantizedByRecipe(QuantizeValueOp quantized);
  Origin findOrigin(QuantizeOp quantized, RotatedOperand operand);
  Origin findOrigin(Value value, Layout layout, bool isCentred, int64_t block, Tokens tokens);
  LogicalResult checkCorrections(const Origin &query, const Origin &key, const Origin &value);

  template <typename TokenOp> static bool reads(TokenOp op, Tokens tokens) {
    return op.getLengths() == tokens.lengths && op.getOffsets() == tokens.offsets;
  }

  QuantizedAttentionOp op;
  RecipeAttr recipe;
  GeometryAttr geometry;
  Tokens ofQueries, ofKeys;
};
} // namespace

static constexpr llvm::StringLiteral remedy =
    "run sage-smooth and sage-quantize on a sage.attention, "
    "and nothing between them and this pass";

bool OperandFinder::isQuantizedByRecipe(QuantizeOp quantized, RotatedOperand operand) {
  bool isQuery = operand == RotatedOperand::Query;
  return quantized.getType() == recipe.getQk() && quantized.getPacked() == op.getPacked() &&
         quantized.getGroups() ==
             (isQuery ? geometry.getQueryGroupMap() : geometry.getKeyGroupMap()) &&
         quantized.getScales() == (isQuery ? op.getQueryScales() : op.getKeyScales()) &&
         reads(quantized, isQuery ? ofQueries : ofKeys);
}

bool OperandFinder::isQuantizedByRecipe(QuantizeValueOp quantized) {
  return quantized.getOrder() == geometry.getValueOrderMap() &&
         quantized.getRange().convertToFloat() == recipe.getValueRange() &&
         quantized.getScales() == op.getValueScales() && reads(quantized, ofKeys);
}

/// Of `value`, which is read in the order of `layout`.
Origin OperandFinder::findOrigin(Value value, Layout layout, bool isCentred, int64_t block,
                                 Tokens tokens) {
  Origin result{value, Value(), value};
  if (isCentred) {
    auto center = value.getDefiningOp<CenterOp>();
    auto mean = center ? center.getMean().getDefiningOp<MeanOp>() : MeanOp();
    if (!mean || mean.getInput() != center.getInput() || int64_t(center.getBlock()) != block ||
        int64_t(mean.getBlock()) != block || mean.getLayout() != center.getLayout() ||
        !reads(center, tokens) || !reads(mean, tokens))
      return {};
    result.source = center.getInput();
    result.mean = mean;
    layout = center.getLayout();
  }
  bool isCallers = getElementTypeOrSelf(result.source) == op.getShape().elementType;
  return isCallers && layout == op.getLayout() ? result : Origin();
}

/// Of an operand that is rotated by the recipe.
Origin OperandFinder::findOrigin(QuantizeOp quantized, RotatedOperand operand) {
  Value input = quantized.getInput();
  Layout layout = quantized.getLayout();
  if (recipe.rotates()) {
    auto rotate = input.getDefiningOp<RotateOp>();
    input = rotate.getInput();
    layout = rotate.getLayout();
  }
  if (operand == RotatedOperand::Query)
    return findOrigin(input, layout, recipe.smoothsQuery(), geometry.getQueryBlock(), ofQueries);
  return findOrigin(input, layout, recipe.smoothsKey(), 0, ofKeys);
}

static bool isRotatedByRecipe(QuantizeOp quantized, RecipeAttr recipe, RotatedOperand operand) {
  bool isQuery = operand == RotatedOperand::Query;
  float fraction = isQuery ? recipe.getQueryFraction() : recipe.getKeyFraction();
  if (quantized.getFraction().convertToFloat() != fraction)
    return false;
  if (!recipe.rotates())
    return true;
  auto rotate = quantized.getInput().getDefiningOp<RotateOp>();
  return rotate && int64_t(rotate.getHalvings()) ==
                       getRotationHalvings(rotate.getType().getDimSize(3), operand);
}

LogicalResult OperandFinder::checkCorrections(const Origin &query, const Origin &key,
                                              const Origin &value) {
  if (Value lse = op.getLseCorrection()) {
    auto correction = lse.getDefiningOp<LseCorrectionOp>();
    if (!correction || correction.getQuery() != query.source || correction.getMean() != key.mean ||
        correction.getOffsets() != ofQueries.offsets || correction.getLayout() != op.getLayout() ||
        correction.getScale().convertToFloat() != op.getEffectiveScale())
      return refuse(op, "lse_correction must be the sage.lse_correction of the same query", remedy);
  }
  if (Value score = op.getScoreCorrection()) {
    auto correction = score.getDefiningOp<ScoreCorrectionOp>();
    bool isSame =
        correction && correction.getKey() == key.centred && correction.getMean() == query.mean;
    if (!isSame || (!key.mean && correction.getLayout() != op.getLayout()))
      return refuse(op, "score_correction must be the sage.score_correction of the same key",
                    remedy);
  }
  if (op.getValueMean() && op.getValueMean() != value.mean)
    return refuse(op, "value_mean must be the mean that value is centred on", remedy);
  return success();
}

template <typename AttentionLike>
static void appendMaskOperands(AttentionLike op, SmallVector<Value> &operands) {
  for (Value operand :
       {op.getBias(), op.getKeyLengths(), op.getSinks(), op.getQueryOffsets(), op.getKeyOffsets()})
    if (operand)
      operands.push_back(operand);
}

FailureOr<SmallVector<Value>> OperandFinder::find() {
  auto query = op.getQuery().getDefiningOp<QuantizeOp>();
  auto key = op.getKey().getDefiningOp<QuantizeOp>();
  auto value = op.getValue().getDefiningOp<QuantizeValueOp>();
  if (!query || !key || (recipe.quantizesValue() && !value))
    return refuse(op, "operands must be results of sage.quantize and sage.quantize_value", remedy);
  if (!isQuantizedByRecipe(query, RotatedOperand::Query) ||
      !isQuantizedByRecipe(key, RotatedOperand::Key) || (value && !isQuantizedByRecipe(value)))
    return refuse(op, "operands must be quantized as the recipe and the geometry say", remedy);
  if (!isRotatedByRecipe(query, recipe, RotatedOperand::Query) ||
      !isRotatedByRecipe(key, recipe, RotatedOperand::Key))
    return refuse(op, "query and key must be rotated and clipped as the recipe says", remedy);
  Origin origins[] = {
      findOrigin(query, RotatedOperand::Query), findOrigin(key, RotatedOperand::Key),
      findOrigin(value ? value.getInput() : op.getValue(),
                 value ? value.getLayout() : op.getLayout(), recipe.smoothsValue(), 0, ofKeys)};
  const char *names[] = {"query", "key", "value"};
  SmallVector<Value> operands;
  for (auto [name, origin] : llvm::zip_equal(names, origins)) {
    if (!origin)
      return refuse(op,
                    Twine(name) + " must be the caller's tensor, centred on its mean where the "
                                  "recipe says so",
                    remedy);
    operands.push_back(origin.source);
  }
  if (failed(checkCorrections(origins[0], origins[1], origins[2])))
    return failure();
  appendMaskOperands(op, operands);
  return operands;
}

FailureOr<SmallVector<Value>> sage::findOperands(QuantizedAttentionOp op) {
  return OperandFinder(op).find();
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
