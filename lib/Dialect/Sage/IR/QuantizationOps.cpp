// The quantization level: result types, reification and verification.

#include "AttentionConstraints.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/Sage/IR/TokenGroups.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace sage;

static bool areCompatible(TypeRange inferred, TypeRange actual) {
  if (inferred.size() != actual.size())
    return false;
  for (auto [a, b] : llvm::zip_equal(inferred, actual))
    if (getElementTypeOrSelf(a) != getElementTypeOrSelf(b) || failed(verifyCompatibleShape(a, b)))
      return false;
  return true;
}
bool RotateOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) { return areCompatible(l, r); }
bool QuantizeOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) { return areCompatible(l, r); }
bool QuantizeValueOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) {
  return areCompatible(l, r);
}

/// M1: rank 4; 16-bit in `layout`, or f32 and head-major.
static LogicalResult checkInput(std::optional<Location> location, RankedTensorType type,
                                Layout layout) {
  bool f32 = type.getElementType().isF32();
  if (type.getRank() != 4 || !(isSixteenBit(type.getElementType()) || f32))
    return emitOptionalError(location, "the input must be f16 or bf16 or f32 of rank 4, but got ",
                             type, " [M1]");
  if (f32 && layout != Layout::HeadMajor)
    return emitOptionalError(location, "an input of f32 must be head-major, but got layout ",
                             stringifyLayout(layout), " [M1]");
  return success();
}

int64_t sage::getRotationBlock(int64_t headDim) { return headDim & -headDim; }

int64_t sage::getRotationHalvings(int64_t headDim, RotatedOperand operand) {
  int64_t doublings = llvm::Log2_64(uint64_t(getRotationBlock(headDim)));
  return operand == RotatedOperand::Query ? (doublings + 1) / 2 : doublings / 2;
}

LogicalResult RotateOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  if (failed(checkInput(location, input, adaptor.getLayout())))
    return failure();
  OperandShape x = OperandShape::get(input, adaptor.getLayout());
  int64_t halvings = adaptor.getHalvings();
  if (ShapedType::isDynamic(x.channels) || x.channels == 0 || halvings < 0 || halvings > 16)
    return emitOptionalError(location,
                             "rotation must have a static head dim and 0 to 16 halvings, but got ",
                             input, " and ", halvings, " [M9]");
  types.push_back(
      RankedTensorType::get({x.batch, x.heads, x.tokens, x.channels}, Float32Type::get(context)));
  return success();
}

LogicalResult RotateOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  auto extent = [&](unsigned d) { return tensor::getMixedSize(builder, getLoc(), getInput(), d); };
  shapes.push_back({extent(0), extent(getHeadDimension(getLayout())),
                    extent(getTokenDimension(getLayout())), extent(3)});
  return success();
}

/// The storage type of quantized Q and K.
static Type getStorageType(MLIRContext *context, ScoreType type) {
  if (type == ScoreType::E4M3)
    return Float8E4M3FNType::get(context);
  return IntegerType::get(context, 8);
}

/// The storage positions of V (Spec N6, N17).
static int64_t countPositions(int64_t tokens, Value offsets) {
  int64_t blocks = countBlocks(tokens, /*block=*/16, offsets);
  return ShapedType::isDynamic(blocks) ? blocks : blocks * 16;
}

/// The scales of Q or K (Spec Q3).
static int64_t countScales(const TokenGroups &groups, int64_t tokens, Value offsets) {
  return offsets ? groups.countPacked(tokens, countSequences(offsets)) : groups.count(tokens);
}

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location,
                                           Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  if (failed(checkInput(location, input, adaptor.getLayout())))
    return failure();
  ScoreType type = adaptor.getType();
  if (type == ScoreType::F16)
    return emitOptionalError(location,
                             "quantized type must be int8, int4 or e4m3, but got f16 [Q1]");
  double fraction = adaptor.getFraction().convertToDouble();
  if (!(fraction > 0 && fraction <= 1))
    return emitOptionalError(location, "fraction must be above 0 and at most 1, but got ", fraction,
                             " [Q10]");
  OperandShape x = OperandShape::get(input, adaptor.getLayout());
  if (failed(checkTokenLengths(location, adaptor.getLengths(), adaptor.getOffsets(), x.batch)))
    return failure();
  int64_t channels = x.channels;
  if (adaptor.getPacked()) {
    if (type != ScoreType::Int4 || (!ShapedType::isDynamic(channels) && channels % 2 != 0))
      return emitOptionalError(location,
                               "packed values must be int4 with an even head dim, but got ",
                               stringifyScoreType(type), " and ", channels, " [Q2]");
    if (!ShapedType::isDynamic(channels))
      channels /= 2;
  }
  FailureOr<TokenGroups> groups = TokenGroups::analyze(adaptor.getGroups(), [&] {
    return mlir::emitError(location.value_or(UnknownLoc::get(context)));
  });
  if (failed(groups))
    return failure();
  types.push_back(
      RankedTensorType::get({x.batch, x.heads, x.tokens, channels}, getStorageType(context, type)));
  types.push_back(RankedTensorType::get(
      {x.batch, x.heads, countScales(*groups, x.tokens, adaptor.getOffsets())},
      Float32Type::get(context)));
  return success();
}

LogicalResult QuantizeValueOp::inferReturnTypes(MLIRContext *context,
                                                std::optional<Location> location, Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  if (failed(checkInput(location, input, adaptor.getLayout())))
    return failure();
  if (!permutesSixteen(adaptor.getOrder()))
    return emitOptionalError(location,
                             "value order must permute every aligned group of 16 positions, but "
                             "got ",
                             AffineMapAttr::get(adaptor.getOrder()), " [Q4]");
  Type type = adaptor.getType();
  double range = adaptor.getRange().convertToDouble();
  if (!isa<Float8E4M3FNType, Float8E5M2Type>(type))
    return emitOptionalError(location, "value type must be f8E4M3FN or f8E5M2, but got ", type,
                             " [Q5]");
  double largest = isa<Float8E4M3FNType>(type) ? 448.0 : 57344.0;
  if (!(range > 0 && range <= largest))
    return emitOptionalError(location, "value range must be positive and at most ", largest,
                             ", but got ", range, " [Q5]");
  OperandShape x = OperandShape::get(input, adaptor.getLayout());
  Value offsets = adaptor.getOffsets();
  if (failed(checkTokenLengths(location, adaptor.getLengths(), offsets, x.batch)))
    return failure();
  types.push_back(RankedTensorType::get(
      {x.batch, x.heads, x.channels, countPositions(x.tokens, offsets)}, type));
  types.push_back(
      RankedTensorType::get({offsets ? countSequences(offsets) : x.batch, x.heads, x.channels},
                            Float32Type::get(context)));
  return success();
}

LogicalResult QuantizeOp::reifyResultShapes(OpBuilder &builder,
                                            ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  auto extent = [&](unsigned d) { return tensor::getMixedSize(builder, loc, getInput(), d); };
  auto apply = [&](AffineMap map, ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineApply(builder, loc, map, values);
  };
  FailureOr<TokenGroups> groups = TokenGroups::analyze(getGroups());
  if (failed(groups))
    return failure();
  OpFoldResult heads = extent(getHeadDimension(getLayout()));
  OpFoldResult tokens = extent(getTokenDimension(getLayout())), channels = extent(3);
  if (getPacked())
    channels =
        apply(AffineMap::get(1, 0, getAffineDimExpr(0, getContext()).floorDiv(2)), {channels});
  shapes.push_back({extent(0), heads, tokens, channels});
  OpFoldResult scales;
  if (Value offsets = getOffsets())
    scales = apply(groups->getPackedCountMap(getContext()),
                   {tokens, tensor::getMixedSize(builder, loc, offsets, 0)});
  else
    scales = apply(groups->getCountMap(getContext()), {tokens});
  shapes.push_back({extent(0), heads, scales});
  return success();
}

LogicalResult QuantizeValueOp::reifyResultShapes(OpBuilder &builder,
                                                 ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  auto extent = [&](unsigned d) { return tensor::getMixedSize(builder, loc, getInput(), d); };
  OpFoldResult heads = extent(getHeadDimension(getLayout()));
  OpFoldResult tokens = extent(getTokenDimension(getLayout())), entries = extent(0), positions;
  AffineExpr n = getAffineDimExpr(0, getContext()), offsets = getAffineDimExpr(1, getContext());
  if (getOffsets()) {
    OpFoldResult size = tensor::getMixedSize(builder, loc, getOffsets(), 0);
    positions = affine::makeComposedFoldedAffineApply(
        builder, loc, AffineMap::get(2, 0, (n.floorDiv(16) + offsets - 1) * 16), {tokens, size});
    entries =
        affine::makeComposedFoldedAffineApply(builder, loc, AffineMap::get(1, 0, n - 1), {size});
  } else {
    positions = affine::makeComposedFoldedAffineApply(
        builder, loc, AffineMap::get(1, 0, n.ceilDiv(16) * 16), {tokens});
  }
  shapes.push_back({extent(0), heads, extent(3), positions});
  shapes.push_back({entries, heads, extent(3)});
  return success();
}

/// V is [B, H, D, N rounded up] when quantized; the number of its tokens is then known only up to
/// the padding.
static OperandShape getValueShape(QuantizedAttentionOp op) {
  auto type = cast<ShapedType>(op.getValue().getType());
  if (!op.getRecipe().quantizesValue())
    return OperandShape::get(type, op.getLayout());
  return {type.getDimSize(0), type.getDimSize(1), ShapedType::kDynamic, type.getDimSize(2)};
}

static AttentionView getView(QuantizedAttentionOp op) {
  auto shapeOf = [&](Value operand) {
    auto shape = OperandShape::get(cast<ShapedType>(operand.getType()), Layout::HeadMajor);
    if (op.getPacked() && !ShapedType::isDynamic(shape.channels))
      shape.channels *= 2;
    return shape;
  };
  return {op,
          shapeOf(op.getQuery()),
          shapeOf(op.getKey()),
          getValueShape(op),
          op.getOutputs(),
          op.getLayout(),
          op.getRecipe(),
          op.getScaleAttr(),
          op.getGeometryAttr(),
          op.getScheduleAttr(),
          op.getTargetAttr(),
          Masking::get(op)};
}

AttentionShape QuantizedAttentionOp::getShape() { return getView(*this).getShape(); }

std::optional<float> QuantizedAttentionOp::getEffectiveScale() {
  return ::sage::getEffectiveScale(getScaleAttr(), getShape().headDim);
}

/// Q6, Q7: element types are the recipe's.
static LogicalResult verifyElementTypes(QuantizedAttentionOp op) {
  RecipeAttr recipe = op.getRecipe();
  if (!recipe.quantizesScores())
    return op.emitOpError() << "recipe must quantize q and k, but got qk = f16 [Q6]";
  Type expected = getStorageType(op.getContext(), recipe.getQk());
  for (Value operand : {op.getQuery(), op.getKey()}) {
    auto type = cast<ShapedType>(operand.getType());
    if (type.getRank() != 4 || type.getElementType() != expected)
      return op.emitOpError() << "query and key must be " << expected
                              << " of rank 4 under qk = " << stringifyScoreType(recipe.getQk())
                              << ", but got " << type << " [Q6]";
  }
  if (op.getPacked() && recipe.getQk() != ScoreType::Int4)
    return op.emitOpError() << "packed query and key must come with qk = int4, but got "
                            << stringifyScoreType(recipe.getQk()) << " [Q6]";
  auto value = cast<ShapedType>(op.getValue().getType());
  Type element = value.getElementType();
  bool fits = recipe.getPv() == PvType::E4M3   ? isa<Float8E4M3FNType>(element)
              : recipe.getPv() == PvType::E5M2 ? isa<Float8E5M2Type>(element)
                                               : isSixteenBit(element);
  if (!fits || value.getRank() != 4)
    return op.emitOpError() << "value must be of rank 4 and of the recipe's pv = "
                            << stringifyPvType(recipe.getPv()) << ", but got " << value << " [Q7]";
  if (static_cast<bool>(op.getValueScales()) != recipe.quantizesValue())
    return op.emitOpError() << "value scales must be given exactly when pv is 8-bit, but got pv = "
                            << stringifyPvType(recipe.getPv()) << " [Q7]";
  return success();
}

/// Q8: scales have the geometry's number of groups. Q9: V is padded to whole groups of 16 tokens.
static LogicalResult verifyScales(QuantizedAttentionOp op, const AttentionShape &shape) {
  auto check = [&](StringRef name, Value scales, ArrayRef<int64_t> extents) -> LogicalResult {
    auto type = cast<ShapedType>(scales.getType());
    if (type.getElementType().isF32() && hasShape(type, extents))
      return success();
    auto diagnostic = op.emitOpError() << name << " must be f32 [batch, heads, "
                                       << (name == "value scales" ? "channels" : "groups") << "]";
    if (!ShapedType::isDynamic(extents[2]))
      diagnostic << " with " << extents[2] << " of the latter";
    return diagnostic << ", but got " << type << " [Q8]";
  };
  GeometryAttr geometry = op.getGeometry();
  int64_t queryGroups = countScales(*TokenGroups::analyze(geometry.getQueryGroupMap()),
                                    shape.queryTokens, op.getQueryOffsets());
  int64_t keyGroups = countScales(*TokenGroups::analyze(geometry.getKeyGroupMap()), shape.keyTokens,
                                  op.getKeyOffsets());
  if (failed(check("query scales", op.getQueryScales(),
                   {shape.batch, shape.queryHeads, queryGroups})) ||
      failed(check("key scales", op.getKeyScales(), {shape.batch, shape.keyHeads, keyGroups})))
    return failure();
  if (!op.getValueScales())
    return success();
  if (failed(check("value scales", op.getValueScales(),
                   {op.isPacked() ? countSequences(op.getKeyOffsets()) : shape.batch,
                    shape.keyHeads, shape.valueHeadDim})))
    return failure();
  int64_t padded = cast<ShapedType>(op.getValue().getType()).getDimSize(3);
  if (differ(padded, countPositions(shape.keyTokens, op.getKeyOffsets())))
    return op.emitOpError() << "value must hold the key tokens rounded up to 16 (for each "
                               "sequence), but got "
                            << padded << " for " << shape.keyTokens << " [Q9]";
  return success();
}

LogicalResult QuantizedAttentionOp::verify() {
  if (failed(verifyElementTypes(*this)))
    return failure();
  AttentionView view = getView(*this);
  return failure(
      failed(verifyExtents(view)) || failed(verifyOutputs(view)) || failed(verifyMasking(view)) ||
      failed(verifyScales(*this, view.getShape())) || failed(verifyPlan(view)) ||
      failed(verifyCorrections(view, {getScoreCorrection(), getLseCorrection(), getValueMean()})));
}

LogicalResult QuantizedAttentionOp::reifyResultShapes(OpBuilder &builder,
                                                      ReifiedRankedShapedTypeDims &shapes) {
  return reifyOutputs(builder, getLoc(), getOutputs(), shapes);
}
