// The smoothing level: result types, reification and verification.

#include "AttentionConstraints.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

#include <cmath>

using namespace mlir;
using namespace sage;

/// Inferred types agree with declared ones that know fewer or more extents.
static bool areCompatible(TypeRange inferred, TypeRange actual) {
  if (inferred.size() != actual.size())
    return false;
  for (auto [a, b] : llvm::zip_equal(inferred, actual))
    if (getElementTypeOrSelf(a) != getElementTypeOrSelf(b) || failed(verifyCompatibleShape(a, b)))
      return false;
  return true;
}
bool MeanOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) { return areCompatible(l, r); }
bool CenterOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) { return areCompatible(l, r); }
bool ScoreCorrectionOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) {
  return areCompatible(l, r);
}
bool LseCorrectionOp::isCompatibleReturnTypes(TypeRange l, TypeRange r) {
  return areCompatible(l, r);
}

/// M1: rank 4; 16-bit in `layout`, or (where allowed) f32 and head-major.
static LogicalResult checkInput(std::optional<Location> location, StringRef name, Value operand,
                                Layout layout, bool allowF32) {
  auto type = cast<RankedTensorType>(operand.getType());
  bool f32 = type.getElementType().isF32();
  if (type.getRank() != 4 || !(isSixteenBit(type.getElementType()) || (allowF32 && f32)))
    return emitOptionalError(location, name, " must be f16 or bf16", allowF32 ? " or f32" : "",
                             " of rank 4, but got ", type, " [M1]");
  if (f32 && layout != Layout::HeadMajor)
    return emitOptionalError(location, name, " of f32 must be head-major, but got layout ",
                             stringifyLayout(layout), " [M1]");
  return success();
}

static LogicalResult checkMean(std::optional<Location> location, Value operand,
                               StringRef constraint) {
  auto type = cast<RankedTensorType>(operand.getType());
  if (type.getRank() != 4 || !type.getElementType().isF32())
    return emitOptionalError(location, "mean must be f32 of rank 4, but got ", type, " [",
                             constraint, "]");
  return success();
}

static OperandShape shapeOf(Value operand, Layout layout) {
  return OperandShape::get(cast<RankedTensorType>(operand.getType()), layout);
}

LogicalResult MeanOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location,
                                       Adaptor adaptor, SmallVectorImpl<Type> &types) {
  int64_t block = adaptor.getBlock();
  if (failed(checkInput(location, "mean input", adaptor.getInput(), adaptor.getLayout(), false)))
    return failure();
  if (block < 0)
    return emitOptionalError(location, "mean block must be 0 or positive, but got ", block,
                             " [M2]");
  OperandShape x = shapeOf(adaptor.getInput(), adaptor.getLayout());
  if (failed(checkTokenLengths(location, adaptor.getLengths(), adaptor.getOffsets(), x.batch)))
    return failure();
  types.push_back(RankedTensorType::get(
      {x.batch, x.heads, countBlocks(x.tokens, block, adaptor.getOffsets()), x.channels},
      Float32Type::get(context)));
  return success();
}

LogicalResult CenterOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location,
                                         Adaptor adaptor, SmallVectorImpl<Type> &types) {
  int64_t block = adaptor.getBlock();
  if (failed(
          checkInput(location, "center input", adaptor.getInput(), adaptor.getLayout(), false)) ||
      failed(checkMean(location, adaptor.getMean(), "M3")))
    return failure();
  if (block < 0)
    return emitOptionalError(location, "center block must be 0 or positive, but got ", block,
                             " [M2]");
  OperandShape x = shapeOf(adaptor.getInput(), adaptor.getLayout());
  if (failed(checkTokenLengths(location, adaptor.getLengths(), adaptor.getOffsets(), x.batch)))
    return failure();
  auto mean = cast<RankedTensorType>(adaptor.getMean().getType());
  int64_t blocks = countBlocks(x.tokens, block, adaptor.getOffsets());
  if (!hasShape(mean, {x.batch, x.heads, blocks, x.channels}))
    return emitOptionalError(location,
                             "mean must have the batch, heads, blocks and channels of the input, "
                             "but got ",
                             mean, " for ", adaptor.getInput().getType(), " in blocks of ", block,
                             " [M3]");
  types.push_back(
      RankedTensorType::get({x.batch, x.heads, x.tokens, x.channels}, Float32Type::get(context)));
  return success();
}

/// M4: a query-side and a key-side operand agree in batch and channels, and heads are grouped.
static LogicalResult checkPair(std::optional<Location> location, const OperandShape &query,
                               const OperandShape &key) {
  bool grouped = ShapedType::isDynamic(query.heads) || ShapedType::isDynamic(key.heads) ||
                 (key.heads == 0 ? query.heads == 0 : query.heads % key.heads == 0);
  if (differ(query.batch, key.batch) || differ(query.channels, key.channels) || !grouped)
    return emitOptionalError(location,
                             "correction operands must have equal batch and channels and query "
                             "heads a multiple of key heads, but got ",
                             query.batch, ", ", query.channels, ", ", query.heads, " and ",
                             key.batch, ", ", key.channels, ", ", key.heads, " [M4]");
  return success();
}

LogicalResult ScoreCorrectionOp::inferReturnTypes(MLIRContext *context,
                                                  std::optional<Location> location, Adaptor adaptor,
                                                  SmallVectorImpl<Type> &types) {
  if (failed(checkMean(location, adaptor.getMean(), "M4")) ||
      failed(checkInput(location, "key", adaptor.getKey(), adaptor.getLayout(), true)))
    return failure();
  OperandShape mean = shapeOf(adaptor.getMean(), Layout::HeadMajor);
  OperandShape key = shapeOf(adaptor.getKey(), adaptor.getLayout());
  if (failed(checkPair(location, mean, key)))
    return failure();
  types.push_back(RankedTensorType::get({mean.batch, mean.heads, mean.tokens, key.tokens},
                                        Float32Type::get(context)));
  return success();
}

LogicalResult LseCorrectionOp::inferReturnTypes(MLIRContext *context,
                                                std::optional<Location> location, Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  if (failed(checkInput(location, "query", adaptor.getQuery(), adaptor.getLayout(), false)) ||
      failed(checkMean(location, adaptor.getMean(), "M4")))
    return failure();
  OperandShape query = shapeOf(adaptor.getQuery(), adaptor.getLayout());
  OperandShape mean = shapeOf(adaptor.getMean(), Layout::HeadMajor);
  if (failed(checkPair(location, query, mean)) ||
      failed(checkTokenLengths(location, Value(), adaptor.getOffsets(), query.batch)))
    return failure();
  double scale = adaptor.getScale().convertToDouble();
  int64_t means = countBlocks(query.tokens, /*block=*/0, adaptor.getOffsets());
  if (differ(mean.tokens, means) || !std::isfinite(scale) || scale <= 0)
    return emitOptionalError(location,
                             "log-sum-exp correction must have one mean for each head (and "
                             "sequence) and a finite positive scale, but got ",
                             mean.tokens, " and ", scale, " [M5]");
  types.push_back(
      RankedTensorType::get({query.batch, query.heads, query.tokens}, Float32Type::get(context)));
  return success();
}

/// The extent of `value` along `dimension`.
static OpFoldResult extent(OpBuilder &builder, Location loc, Value value, unsigned dimension) {
  return tensor::getMixedSize(builder, loc, value, dimension);
}

/// `countBlocks` of the op's input.
static OpFoldResult reifyBlocks(OpBuilder &builder, MeanOp op) {
  Location loc = op.getLoc();
  int64_t block = op.getBlock();
  if (block == 0 && !op.getOffsets())
    return builder.getIndexAttr(1);
  AffineExpr n = getAffineDimExpr(0, op.getContext()),
             offsets = getAffineDimExpr(1, op.getContext());
  OpFoldResult tokens = extent(builder, loc, op.getInput(), getTokenDimension(op.getLayout()));
  if (!op.getOffsets())
    return affine::makeComposedFoldedAffineApply(builder, loc,
                                                 AffineMap::get(1, 0, n.ceilDiv(block)), {tokens});
  AffineExpr whole = block ? n.floorDiv(block) : getAffineConstantExpr(0, op.getContext());
  return affine::makeComposedFoldedAffineApply(builder, loc,
                                               AffineMap::get(2, 0, whole + offsets - 1),
                                               {tokens, extent(builder, loc, op.getOffsets(), 0)});
}

LogicalResult MeanOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  OpFoldResult blocks = reifyBlocks(builder, *this);
  shapes.push_back({extent(builder, loc, getInput(), 0),
                    extent(builder, loc, getInput(), getHeadDimension(getLayout())), blocks,
                    extent(builder, loc, getInput(), 3)});
  return success();
}

LogicalResult CenterOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  shapes.push_back({extent(builder, loc, getInput(), 0),
                    extent(builder, loc, getInput(), getHeadDimension(getLayout())),
                    extent(builder, loc, getInput(), getTokenDimension(getLayout())),
                    extent(builder, loc, getInput(), 3)});
  return success();
}

LogicalResult ScoreCorrectionOp::reifyResultShapes(OpBuilder &builder,
                                                   ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  shapes.push_back({extent(builder, loc, getMean(), 0), extent(builder, loc, getMean(), 1),
                    extent(builder, loc, getMean(), 2),
                    extent(builder, loc, getKey(), getTokenDimension(getLayout()))});
  return success();
}

LogicalResult LseCorrectionOp::reifyResultShapes(OpBuilder &builder,
                                                 ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  shapes.push_back({extent(builder, loc, getQuery(), 0),
                    extent(builder, loc, getQuery(), getHeadDimension(getLayout())),
                    extent(builder, loc, getQuery(), getTokenDimension(getLayout()))});
  return success();
}

static AttentionView getView(SmoothedAttentionOp op) {
  auto shapeOf = [&](Value operand) {
    auto type = cast<ShapedType>(operand.getType());
    return OperandShape::get(type, getOperandLayout(type, op.getLayout()));
  };
  return {op,
          shapeOf(op.getQuery()),
          shapeOf(op.getKey()),
          shapeOf(op.getValue()),
          op.getOutputs(),
          op.getLayout(),
          op.getRecipe(),
          op.getScaleAttr(),
          op.getGeometryAttr(),
          op.getScheduleAttr(),
          op.getTargetAttr(),
          Masking::get(op)};
}

AttentionShape SmoothedAttentionOp::getShape() { return getView(*this).getShape(); }

std::optional<float> SmoothedAttentionOp::getEffectiveScale() {
  return ::sage::getEffectiveScale(getScaleAttr(), getShape().headDim);
}

LogicalResult SmoothedAttentionOp::verify() {
  struct Operand {
    StringRef name;
    Value value;
    bool smoothed;
  };
  RecipeAttr recipe = getRecipe();
  const Operand operands[] = {{"query", getQuery(), recipe.smoothsQuery()},
                              {"key", getKey(), recipe.smoothsKey()},
                              {"value", getValue(), recipe.smoothsValue()}};
  for (const Operand &operand : operands) {
    auto type = cast<ShapedType>(operand.value.getType());
    if (failed(verifyOperand(*this, operand.name, type, /*allowF32=*/true)))
      return failure();
    if (type.getElementType().isF32() != operand.smoothed)
      return emitOpError() << operand.name << " must be "
                           << (operand.smoothed ? "centred (f32) when" : "16-bit unless")
                           << " the recipe smooths it, but got " << type << " [M6]";
  }
  AttentionView view = getView(*this);
  return failure(
      failed(verifyExtents(view)) || failed(verifyOutputs(view)) || failed(verifyMasking(view)) ||
      failed(verifyPlan(view)) ||
      failed(verifyCorrections(view, {getScoreCorrection(), getLseCorrection(), getValueMean()})));
}

LogicalResult SmoothedAttentionOp::reifyResultShapes(OpBuilder &builder,
                                                     ReifiedRankedShapedTypeDims &shapes) {
  return reifyOutputs(builder, getLoc(), getOutputs(), shapes);
}
