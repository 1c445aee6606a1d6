// Scores and probabilities of one key tile.

#include "TileScores.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sage;

static constexpr float negativeInfinity = -std::numeric_limits<float>::infinity();

static AffineMap ofRow(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(0)); }
static AffineMap ofColumn(TensorBuilder &b) { return AffineMap::get(2, 0, b.getAffineDimExpr(1)); }

static Value constantIndex(TensorBuilder &b, int64_t value) {
  return b.index(b.getIndexAttr(value));
}

/// a = (qs · scale_log2e) · ks of N8.
static Value multiplyScales(TensorBuilder &b, Value queryScale, Value keyScale, float scaleLog2e) {
  Value row = arith::MulFOp::create(b, queryScale, b.constant(scaleLog2e));
  return arith::MulFOp::create(b, row, keyScale);
}

TileScores::TileScores(const AttentionNumerics &numerics, const AttentionHead &head)
    : numerics(numerics), head(head),
      scaleLog2e(static_cast<float>(static_cast<double>(numerics.scale) * M_LOG2E)),
      log2Range(static_cast<float>(std::log2(numerics.recipe.getProbabilityRange()))) {}

bool TileScores::addsBias() const {
  return head.bias && !getElementTypeOrSelf(head.bias).isInteger(1);
}

bool TileScores::isFused() const {
  return !head.scoreCorrection && !numerics.softcap && !addsBias();
}

Value TileScores::computeScores(TensorBuilder &b, KeyTile tile) const {
  Type element = cast<RankedTensorType>(head.query.getType()).getElementType();
  TypedAttr zero = isa<IntegerType>(element) ? TypedAttr(b.getI32IntegerAttr(0))
                                             : TypedAttr(b.getF32FloatAttr(0.0f));
  Value init = b.filled({b.extent(head.query, 0), tile.count}, zero);
  return b.toF32(b.multiplyTransposed(head.query, b.rows(head.key, tile.first, tile.count), init));
}

static Value getKey(TensorBuilder &b, KeyTile tile) {
  return arith::AddIOp::create(b, b.index(tile.first), b.coordinate(1));
}

/// Inside a body over [queries, keys]: whether the mask lets the query see the key (N13).
Value TileScores::isVisible(TensorBuilder &b, KeyTile tile) const {
  Mask mask = numerics.mask;
  Value key = getKey(b, tile), query = b.coordinate(0), shifted = key;
  // i + Nk - Nq against j, without a difference that would be negative.
  if (mask == Mask::CausalBottomRight || mask == Mask::WindowBottomRight) {
    query = arith::AddIOp::create(b, query, b.index(b.extent(head.key, 0)));
    shifted = arith::AddIOp::create(b, key, b.index(b.extent(head.query, 0)));
  }
  auto addTo = [&](Value value, int64_t amount) -> Value {
    return amount == 0 ? value : arith::AddIOp::create(b, value, constantIndex(b, amount));
  };
  bool isCausal = mask == Mask::CausalTopLeft || mask == Mask::CausalBottomRight;
  Value visible;
  if (isCausal || numerics.windowRight)
    visible = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, shifted,
                                    addTo(query, isCausal ? 0 : *numerics.windowRight));
  if (!numerics.windowLeft)
    return visible;
  Value left = arith::CmpIOp::create(b, arith::CmpIPredicate::sge,
                                     addTo(shifted, *numerics.windowLeft), query);
  if (numerics.sinkTokens != 0) {
    Value isSink = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, key,
                                         constantIndex(b, numerics.sinkTokens));
    left = arith::OrIOp::create(b, left, isSink);
  }
  return visible ? arith::AndIOp::create(b, visible, left) : left;
}

/// Inside a body over [queries, keys]: the element of the bias, whose extents of 1 repeat.
Value TileScores::readBias(TensorBuilder &b, KeyTile tile) const {
  const Value full[] = {head.position.batch, head.position.head, b.coordinate(0), getKey(b, tile)};
  SmallVector<Value> indices;
  for (auto [dimension, index] : llvm::enumerate(full)) {
    OpFoldResult extent = b.extent(head.bias, dimension);
    std::optional<int64_t> known = getConstantIntValue(extent);
    if (known)
      indices.push_back(*known == 1 ? constantIndex(b, 0) : index);
    else
      // 0 where the extent is 1; the index itself where it is that of the scores.
      indices.push_back(arith::MinSIOp::create(
          b, index, arith::SubIOp::create(b, b.index(extent), constantIndex(b, 1))));
  }
  return b.read(head.bias, indices);
}

/// x of N8, completed, capped and biased (N14).
Value TileScores::computeLogit(TensorBuilder &b, KeyTile tile, Value score, Value factor) const {
  Value log2e = b.constant(static_cast<float>(M_LOG2E));
  Value logit;
  if (head.scoreCorrection) {
    AffineMap block =
        AffineMap::get(1, 0, b.getAffineDimExpr(0).floorDiv(numerics.geometry.getQueryBlock()));
    Value key = getKey(b, tile);
    Value correction =
        b.read(head.scoreCorrection, {b.index(b.apply(block, {b.coordinate(0)})), key});
    correction = arith::MulFOp::create(b, correction, b.constant(scaleLog2e));
    logit = math::FmaOp::create(b, score, factor, correction);
  } else {
    logit = arith::MulFOp::create(b, score, factor);
  }
  if (numerics.softcap) {
    if (head.lseCorrection) {
      Value removed = b.read(head.lseCorrection, b.coordinate(0));
      logit = arith::AddFOp::create(b, logit, arith::MulFOp::create(b, removed, log2e));
    }
    Value cap = b.constant(static_cast<float>(static_cast<double>(*numerics.softcap) * M_LOG2E));
    logit = math::TanhOp::create(b, arith::DivFOp::create(b, logit, cap));
    logit = arith::MulFOp::create(b, cap, logit);
  }
  if (!addsBias())
    return logit;
  Value bias = readBias(b, tile);
  if (!bias.getType().isF32())
    bias = arith::ExtFOp::create(b, b.getF32Type(), bias);
  return math::FmaOp::create(b, bias, log2e, logit);
}

Value TileScores::computeLogits(TensorBuilder &b, KeyTile tile, Value scores) const {
  Value keyScales = b.rows(head.keyScales, tile.first, tile.count);
  return b.generate(
      b.extents(scores), b.getF32Type(), {scores, head.queryScales, keyScales},
      {b.getMultiDimIdentityMap(2), ofRow(b), ofColumn(b)},
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value logit = computeLogit(b, tile, x[0], multiplyScales(b, x[1], x[2], scaleLog2e));
        auto hideUnless = [&](Value visible) {
          logit = arith::SelectOp::create(b, visible, logit, b.constant(negativeInfinity));
        };
        if (numerics.mask != Mask::None)
          hideUnless(isVisible(b, tile));
        if (head.bias && !addsBias())
          hideUnless(readBias(b, tile));
        return logit;
      });
}

Value TileScores::computeProbabilities(TensorBuilder &b, KeyTile tile, Value scores, Value logits,
                                       Value maximum) const {
  Value keyScales = b.rows(head.keyScales, tile.first, tile.count);
  AffineMap identity = b.getMultiDimIdentityMap(2);
  return b.generate(
      b.extents(scores), b.getF32Type(), {scores, logits, head.queryScales, keyScales, maximum},
      {identity, identity, ofRow(b), ofColumn(b), ofRow(b)},
      [&](TensorBuilder &b, ValueRange x) -> Value {
        Value offset = arith::SubFOp::create(b, b.constant(log2Range), x[4]);
        Value exponent;
        if (isFused())
          exponent =
              math::FmaOp::create(b, x[0], multiplyScales(b, x[2], x[3], scaleLog2e), offset);
        else
          exponent = arith::AddFOp::create(b, x[1], offset);
        Value isHidden =
            arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x[1], b.constant(negativeInfinity));
        return arith::SelectOp::create(b, isHidden, b.constant(0.0f),
                                       math::Exp2Op::create(b, exponent));
      });
}
