// sage-quantize: quantized Q, K and V with their scales (Spec N3 to N6); Q and K rotated before.

#include "TensorForm.h"

#include "mlir/IR/Builders.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"

namespace sage {
#define GEN_PASS_DEF_SAGEQUANTIZE
#include "sage/Dialect/Sage/Transforms/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

namespace {
/// What an attention of either level brings along besides Q, K and V.
struct Corrections {
  Value score, lse, valueMean;
};
} // namespace

/// Quantizes V, or leaves it 16-bit; returns V and its scales (null).
template <typename AttentionLike>
static std::pair<Value, Value> quantizeValue(OpBuilder &builder, AttentionLike op) {
  RecipeAttr recipe = op.getRecipe();
  Value value = op.getValue();
  if (!recipe.quantizesValue())
    return {value, Value()};
  Type type = recipe.getPv() == PvType::E4M3 ? Type(Float8E4M3FNType::get(builder.getContext()))
                                             : Type(Float8E5M2Type::get(builder.getContext()));
  auto quantized = QuantizeValueOp::create(
      builder, op.getLoc(), value, op.getKeyLengths(), op.getKeyOffsets(),
      op.getGeometryAttr().getValueOrderMap(), type, llvm::APFloat(recipe.getValueRange()),
      getOperandLayout(cast<ShapedType>(value.getType()), op.getLayout()));
  return {quantized.getResult(), quantized.getScales()};
}

template <typename AttentionLike>
static LogicalResult quantize(AttentionLike op, const Corrections &corrections) {
  RecipeAttr recipe = op.getRecipe();
  GeometryAttr geometry = op.getGeometryAttr();
  if (!geometry) {
    auto diagnostic = op.emitOpError() << "geometry must be attached";
    diagnostic.attachNote() << "run sage-assign-schedule first: it fixes the scale groups";
    return diagnostic;
  }
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Layout layout = op.getLayout();
  // Where the tensor cores do not multiply INT4, its values go through INT8 products and are stored
  // as such; so are those of an odd head dim, which have no pairs (Spec Q2).
  int64_t headDim = op.getShape().headDim;
  bool packed = recipe.getQk() == ScoreType::Int4 && op.getTargetAttr() &&
                op.getTargetAttr().getInt4Mma() &&
                (ShapedType::isDynamic(headDim) || headDim % 2 == 0);
  if (recipe.rotates() && ShapedType::isDynamic(headDim)) {
    auto diagnostic = op.emitOpError() << "head dim must be known to be rotated";
    diagnostic.attachNote() << "cast query and key to a static head dim";
    return diagnostic;
  }
  auto quantizeScores = [&](Value operand, bool query) {
    if (recipe.rotates())
      operand = RotateOp::create(
          builder, loc, operand,
          getRotationHalvings(headDim, query ? RotatedOperand::Query : RotatedOperand::Key),
          getOperandLayout(cast<ShapedType>(operand.getType()), layout));
    float fraction = query ? recipe.getQueryFraction() : recipe.getKeyFraction();
    return QuantizeOp::create(builder, loc, operand, query ? Value() : op.getKeyLengths(),
                              query ? op.getQueryOffsets() : op.getKeyOffsets(), recipe.getQk(),
                              query ? geometry.getQueryGroupMap() : geometry.getKeyGroupMap(),
                              packed, llvm::APFloat(fraction),
                              getOperandLayout(cast<ShapedType>(operand.getType()), layout));
  };
  auto query = quantizeScores(op.getQuery(), /*query=*/true);
  auto key = quantizeScores(op.getKey(), /*query=*/false);
  auto [value, valueScales] = quantizeValue(builder, op);

  auto quantized = QuantizedAttentionOp::create(
      builder, loc, op.getResultTypes(), query.getResult(), key.getResult(), value,
      query.getScales(), key.getScales(), valueScales, corrections.score, corrections.lse,
      corrections.valueMean, op.getBias(), op.getKeyLengths(), op.getSinks(), op.getQueryOffsets(),
      op.getKeyOffsets(), op.getOutputs(), recipe, geometry, op.getLayoutAttr(), op.getMaskAttr(),
      op.getWindowLeftAttr(), op.getWindowRightAttr(), op.getSinkTokensAttr(), op.getSoftcapAttr(),
      op.getScaleAttr(), packed ? builder.getUnitAttr() : UnitAttr(), op.getScheduleAttr(),
      op.getTargetAttr());
  quantized->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op->replaceAllUsesWith(quantized);
  op->erase();
  return success();
}

static LogicalResult quantize(AttentionOp op) {
  if (!op.getRecipe().quantizesScores())
    return success();
  if (failed(requireTensors(op)))
    return failure();
  if (op.getRecipe().getSmooth() != Smoothing::None) {
    auto diagnostic = op.emitOpError()
                      << "smoothing must be explicit, but got recipe " << op.getRecipe();
    diagnostic.attachNote() << "run sage-smooth first";
    return diagnostic;
  }
  return quantize(op, Corrections());
}

namespace {
struct Quantize : sage::impl::SageQuantizeBase<Quantize> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](Operation *op) {
      LogicalResult quantized = success();
      if (auto attention = dyn_cast<AttentionOp>(op))
        quantized = quantize(attention);
      else if (auto smoothed = dyn_cast<SmoothedAttentionOp>(op))
        quantized = quantize(smoothed, {smoothed.getScoreCorrection(), smoothed.getLseCorrection(),
                                        smoothed.getValueMean()});
      return failed(quantized) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
