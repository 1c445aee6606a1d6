// Scores of one key tile (Spec N8, N14): their factors, the product of Q and K, their terms.

#include "AttentionKernel.h"

using namespace mlir;
using namespace sage;

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

int64_t AttentionKernel::getTileScales() const {
  ScaleGroups groups = problem.getKeyGroups();
  return problem.recipe.quantizesScores() && !groups.coversHead() ? groups.groups : 0;
}

/// The scale of the whole tile, if there is one, long before it is needed.
Value AttentionKernel::readTileScale(const KeyTile &tile) {
  if (getTileScales() != 1)
    return {};
  Value index = b.divide(tile.firstRow, b.index(keyTile)).first;
  return b.load(getColumns(1), keyScales, {index});
}

/// One multiplier for each row and group of columns (Spec N8). The smallest normal number keeps
/// -infinity times it infinite.
Value AttentionKernel::combineScales(Value keyScale) {
  int64_t groups = cast<tile::FragmentType>(keyScale.getType()).getColumns();
  auto type = groups == 1 ? getRow(b.getF32Type()) : getQuad();
  return b.map(
      type, {queryMultiplier, keyScale}, {toRow(), toColumn()}, [&](ValueRange e) -> Value {
        return arith::MaximumFOp::create(b, arith::MulFOp::create(b, e[0], e[1]), b.f32(0x1p-126f));
      });
}

//===----------------------------------------------------------------------===//
// Product
//===----------------------------------------------------------------------===//

/// S as floats.
Value AttentionKernel::multiplyKeys() {
  Type f32 = b.getF32Type();
  bool isInteger = problem.getScoreType().isInteger(8);
  Value products;
  if (isInteger) {
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    products = tile::SplatOp::create(b, getAccumulator(keyTile, b.getI32Type()), zero);
  } else {
    products = b.splat(getAccumulator(keyTile, f32), 0.0f);
  }
  for (auto [operand, panel] : llvm::zip_equal(queryOperands, key))
    products = tile::MmaOp::create(b, products.getType(), operand, panel.tile, products,
                                   problem.packsNibbles());
  if (!isInteger)
    return products;
  return b.map(getAccumulator(keyTile, f32), {products},
               [&](ValueRange e) -> Value { return arith::SIToFPOp::create(b, f32, e[0]); });
}

/// x of Spec N8 where it is not only a product of S and a factor for many elements.
Value AttentionKernel::addScoreTerms(Value products, Value multiplier) {
  SmallVector<Value> inputs{products, multiplier};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  bool isQuad = cast<tile::FragmentType>(multiplier.getType()).getColumns() > 1;
  maps.push_back(isQuad ? toQuad() : toRow());
  auto addColumns = [&](Value shared) {
    inputs.push_back(b.load(getColumns(keyTile), shared, {b.index(0)}));
    maps.push_back(toColumn());
  };
  if (hasTokenScales())
    addColumns(keyScalesShared);
  if (correctionShared)
    addColumns(correctionShared);
  return b.map(getAccumulator(keyTile, b.getF32Type()), inputs, maps, [&](ValueRange e) -> Value {
    Value factor = hasTokenScales() ? arith::MulFOp::create(b, e[1], e[2]).getResult() : e[1];
    if (!correctionShared)
      return arith::MulFOp::create(b, e[0], factor);
    return math::FmaOp::create(b, e[0], factor, e.back());
  });
}

/// c · tanh(x / c) as c - 2c / (exp2(2 · log2 e · x / c) + 1), of scores that lack nothing (Spec
/// N14).
Value AttentionKernel::capScores(Value scores) {
  SmallVector<Value> inputs{scores};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  if (lseCorrection) {
    inputs.push_back(rowCorrection);
    maps.push_back(toRow());
  }
  double softcap = problem.softcap.getValueAsDouble();
  float bound = static_cast<float>(softcap * log2OfE);
  return b.map(getAccumulator(keyTile, b.getF32Type()), inputs, maps, [&](ValueRange e) -> Value {
    Value x = e[0];
    if (lseCorrection)
      x = arith::AddFOp::create(b, x, e[1]);
    Value exponential = math::Exp2Op::create(
        b, arith::MulFOp::create(b, x, b.f32(static_cast<float>(2 / softcap))));
    Value denominator = arith::AddFOp::create(b, exponential, b.f32(1.0f));
    // The error of an approximate reciprocal is far below that of the scores.
    Value quotient =
        arith::DivFOp::create(b, b.f32(2 * bound), denominator, arith::FastMathFlags::afn);
    return arith::SubFOp::create(b, b.f32(bound), quotient);
  });
}

Value AttentionKernel::addBias(Value scores, const KeyTile &tile) {
  return b.map(getAccumulator(keyTile, b.getF32Type()), {scores, loadBias(tile)},
               [&](ValueRange e) -> Value {
                 Value value = e[1];
                 if (!value.getType().isF32())
                   value = arith::ExtFOp::create(b, b.getF32Type(), value);
                 return math::FmaOp::create(b, value, b.f32(static_cast<float>(log2OfE)), e[0]);
               });
}

AttentionKernel::Scores AttentionKernel::computeScores(Value iteration, const KeyTile &tile,
                                                       Value tileScale) {
  Value multiplier = headMultiplier;
  if (hasTokenScales())
    multiplier = queryMultiplier;
  else if (tileScale)
    multiplier = combineScales(tileScale);
  else if (!multiplier)
    multiplier = combineScales(b.load(getColumns(getTileScales()), keyScalesShared, {b.index(0)}));
  Value scores = multiplyKeys();
  if (hasScoreTerms()) {
    scores = addScoreTerms(scores, multiplier);
    multiplier = {};
  }
  if (problem.softcap)
    scores = capScores(scores);
  if (hasFloatBias())
    scores = addBias(scores, tile);
  else if (problem.bias)
    scores = maskByBias(scores, tile);
  return {maskTile(scores, iteration, tile), multiplier};
}
