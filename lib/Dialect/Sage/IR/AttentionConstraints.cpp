// Constraints that the three attention ops share.

#include "AttentionConstraints.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

#include <cmath>

using namespace mlir;
using namespace sage;

OperandShape OperandShape::get(ShapedType type, Layout layout) {
  return {type.getDimSize(0), type.getDimSize(getHeadDimension(layout)),
          type.getDimSize(getTokenDimension(layout)), type.getDimSize(3)};
}

Layout sage::getOperandLayout(ShapedType type, Layout layout) {
  return isSixteenBit(type.getElementType()) ? layout : Layout::HeadMajor;
}

static int64_t firstStatic(int64_t a, int64_t b) { return ShapedType::isDynamic(a) ? b : a; }

AttentionShape AttentionView::getShape() const {
  auto outputType = cast<ShapedType>(outputs.front().getType());
  OperandShape output = OperandShape::get(outputType, layout);
  return {firstStatic(query.batch, firstStatic(key.batch, firstStatic(value.batch, output.batch))),
          firstStatic(query.heads, output.heads),
          firstStatic(key.heads, value.heads),
          firstStatic(query.tokens, output.tokens),
          firstStatic(key.tokens, value.tokens),
          firstStatic(query.channels, key.channels),
          firstStatic(value.channels, output.channels),
          outputType.getElementType()};
}

bool AttentionView::needsLseCorrection() const {
  return recipe.smoothsKey() && (outputs.size() == 2 || masking.softcap || masking.sinks);
}

bool sage::hasShape(ShapedType type, ArrayRef<int64_t> shape) {
  if (type.getRank() != static_cast<int64_t>(shape.size()))
    return false;
  for (auto [actual, expected] : llvm::zip_equal(type.getShape(), shape))
    if (differ(actual, expected))
      return false;
  return true;
}

LogicalResult sage::verifyOperand(Operation *op, StringRef name, ShapedType type, bool allowF32) {
  if (!type.hasRank() || type.getRank() != 4)
    return op->emitOpError() << name << " must have rank 4, but got " << type << " [C2]";
  Type element = type.getElementType();
  if (isSixteenBit(element) || (allowF32 && element.isF32()))
    return success();
  auto diagnostic = op->emitOpError() << name << " must have element type f16 or bf16"
                                      << (allowF32 ? " (or f32 where it is centred)" : "")
                                      << ", but got " << element << " [C3]";
  if (element.isF32() || element.isF64())
    diagnostic.attachNote() << "cast it to f16 or bf16 first, e.g. with arith.truncf";
  return diagnostic;
}

LogicalResult sage::verifyExtents(const AttentionView &view) {
  Operation *op = view.op;
  const OperandShape &q = view.query, &k = view.key, &v = view.value;
  if (differ(q.batch, k.batch) || differ(q.batch, v.batch) || differ(k.batch, v.batch))
    return op->emitOpError() << "batch of query, key and value must be equal, but got " << q.batch
                             << ", " << k.batch << " and " << v.batch << " [C5]";
  if (differ(k.heads, v.heads))
    return op->emitOpError() << "heads of key and value must be equal, but got " << k.heads
                             << " and " << v.heads << " [C5]";
  int64_t keyHeads = firstStatic(k.heads, v.heads);
  if (!ShapedType::isDynamic(q.heads) && !ShapedType::isDynamic(keyHeads) &&
      (keyHeads == 0 ? q.heads != 0 : q.heads % keyHeads != 0)) {
    auto diagnostic = op->emitOpError() << "query heads must be a multiple of key heads, but got "
                                        << q.heads << " and " << keyHeads << " [C4]";
    diagnostic.attachNote() << "repeat the key and value heads, or check that `layout` names the "
                               "order of the dimensions";
    return diagnostic;
  }
  if (differ(k.tokens, v.tokens))
    return op->emitOpError() << "tokens of key and value must be equal, but got " << k.tokens
                             << " and " << v.tokens << " [C5]";
  if (differ(q.channels, k.channels))
    return op->emitOpError() << "head dim of query and key must be equal, but got " << q.channels
                             << " and " << k.channels << " [C6]";
  return success();
}

static LogicalResult verifyLse(const AttentionView &view) {
  auto type = cast<ShapedType>(view.outputs[1].getType());
  AttentionShape shape = view.getShape();
  if (!type.getElementType().isF32())
    return view.op->emitOpError() << "log-sum-exp must have element type f32, but got "
                                  << type.getElementType() << " [C3]";
  if (!hasShape(type, {shape.batch, shape.queryHeads, shape.queryTokens}))
    return view.op->emitOpError()
           << "log-sum-exp must be [batch, query heads, query tokens], but got " << type << " [C6]";
  return success();
}

LogicalResult sage::verifyOutputs(const AttentionView &view) {
  Operation *op = view.op;
  if (view.outputs.empty() || view.outputs.size() > 2)
    return op->emitOpError() << "outputs must be O and, optionally, the log-sum-exp, but got "
                             << view.outputs.size() << " [C7]";
  auto type = cast<ShapedType>(view.outputs[0].getType());
  if (failed(verifyOperand(op, "output", type)))
    return failure();
  OperandShape o = OperandShape::get(type, view.layout);
  if (differ(o.batch, view.query.batch) || differ(o.heads, view.query.heads) ||
      differ(o.tokens, view.query.tokens))
    return op->emitOpError() << "batch, heads and tokens of output and query must be equal, but "
                                "got "
                             << o.batch << ", " << o.heads << ", " << o.tokens << " and "
                             << view.query.batch << ", " << view.query.heads << ", "
                             << view.query.tokens << " [C5]";
  if (differ(o.channels, view.value.channels))
    return op->emitOpError() << "head dim of output and value must be equal, but got " << o.channels
                             << " and " << view.value.channels << " [C6]";
  return view.outputs.size() == 2 ? verifyLse(view) : success();
}

LogicalResult sage::verifyPlan(const AttentionView &view) {
  Operation *op = view.op;
  if (view.scale) {
    double scale = view.scale.getValueAsDouble();
    if (!std::isfinite(scale) || scale <= 0)
      return op->emitOpError() << "scale must be finite and positive, but got " << view.scale
                               << " [C8]";
  }
  if (view.target)
    if (auto conflict = view.target.findConflict(view.recipe)) {
      auto diagnostic = op->emitOpError() << *conflict << " [C12]";
      diagnostic.attachNote() << "use a recipe with pv = f16, e.g. #sage.recipe<\"sage1\">";
      return diagnostic;
    }
  if (!view.schedule)
    return success();
  if (!view.geometry)
    return op->emitOpError() << "schedule must come with a geometry [C10]";
  AttentionShape shape = view.getShape();
  if (!ShapedType::isDynamic(shape.headDim) && !ShapedType::isDynamic(shape.valueHeadDim) &&
      ScheduleAttr::padHeadDims(shape.headDim, shape.valueHeadDim) != view.schedule.getHeadDim())
    return op->emitOpError() << "schedule head_dim must be that of query and value, padded to a "
                                "multiple of 64, but got "
                             << view.schedule.getHeadDim() << " for " << shape.headDim << " and "
                             << shape.valueHeadDim << " [C10]";
  if (view.target && view.target.getFamily() != view.schedule.getFamily())
    return op->emitOpError() << "schedule family must be the target's, but got "
                             << stringifyFamily(view.schedule.getFamily()) << " and "
                             << stringifyFamily(view.target.getFamily()) << " [C10]";
  if (auto conflict = view.schedule.findConflict(view.recipe, view.geometry,
                                                 {view.masking.bias || view.masking.softcap,
                                                  view.masking.mask != Mask::None,
                                                  static_cast<bool>(view.masking.windowLeft)}))
    return op->emitOpError() << *conflict << " [C11]";
  if (view.target && view.schedule.getSharedBytes(view.recipe) > view.target.getSharedBytes()) {
    auto diagnostic = op->emitOpError() << "shared memory of the schedule must fit the target's "
                                        << view.target.getSharedBytes() << " bytes, but got "
                                        << view.schedule.getSharedBytes(view.recipe) << " [C12]";
    diagnostic.attachNote() << "lower stages or key_tile";
    return diagnostic;
  }
  return success();
}

/// M7 for one operand: present exactly when `wanted`, f32, of the given extents.
static LogicalResult verifyCorrection(Operation *op, StringRef name, Value operand, bool wanted,
                                      StringRef reason, ArrayRef<int64_t> shape) {
  if (static_cast<bool>(operand) != wanted)
    return op->emitOpError() << name
                             << (wanted ? " must be given when " : " must be left out unless ")
                             << reason << " [M7]";
  if (!operand)
    return success();
  auto type = cast<ShapedType>(operand.getType());
  if (!type.getElementType().isF32() || !hasShape(type, shape)) {
    auto diagnostic = op->emitOpError() << name << " must be f32 [";
    llvm::interleaveComma(shape, diagnostic, [&](int64_t extent) {
      if (ShapedType::isDynamic(extent))
        diagnostic << "?";
      else
        diagnostic << extent;
    });
    return diagnostic << "], but got " << type << " [M7]";
  }
  return success();
}

LogicalResult sage::verifyCorrections(const AttentionView &view, const Corrections &corrections) {
  AttentionShape shape = view.getShape();
  Value offsets = view.masking.queryOffsets;
  int64_t blocks = ShapedType::kDynamic;
  if (view.geometry)
    blocks = countBlocks(shape.queryTokens, view.geometry.getQueryBlock(), offsets);
  return failure(
      failed(verifyCorrection(view.op, "score correction", corrections.score,
                              view.recipe.smoothsQuery(), "the recipe smooths q",
                              {shape.batch, shape.queryHeads, blocks, shape.keyTokens})) ||
      failed(verifyCorrection(view.op, "log-sum-exp correction", corrections.lse,
                              view.needsLseCorrection(),
                              "the recipe smooths k and there is a log-sum-exp output, a softcap "
                              "or sinks",
                              {shape.batch, shape.queryHeads, shape.queryTokens})) ||
      failed(verifyCorrection(view.op, "value mean", corrections.valueMean,
                              view.recipe.smoothsValue(), "the recipe smooths v",
                              {shape.batch, shape.keyHeads,
                               countBlocks(shape.keyTokens, /*block=*/0, offsets),
                               shape.valueHeadDim})));
}

std::optional<float> sage::getEffectiveScale(FloatAttr scale, int64_t headDim) {
  if (scale)
    return scale.getValue().convertToFloat();
  if (ShapedType::isDynamic(headDim) || headDim == 0)
    return std::nullopt;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(headDim)));
}

LogicalResult sage::reifyOutputs(OpBuilder &builder, Location loc, ValueRange outputs,
                                 SmallVectorImpl<SmallVector<OpFoldResult>> &shapes) {
  for (Value output : outputs)
    shapes.push_back(tensor::getMixedSizes(builder, loc, output));
  return success();
}
