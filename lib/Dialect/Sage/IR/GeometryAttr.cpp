// `#sage.geometry`: the default maps of each granularity, rules G1 to G5.

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/Sage/IR/TokenGroups.h"

using namespace mlir;
using namespace sage;

/// Rows of a warp of both instruction families: an m16 fragment, or a quarter of an m64 one.
static constexpr int64_t warpRows = 16;

static AffineExpr getQueryGroups(AffineExpr n, Granularity granularity, int64_t queryBlock) {
  switch (granularity) {
  case Granularity::PerTensor:
    return getAffineConstantExpr(0, n.getContext());
  case Granularity::PerBlock:
    return n.floorDiv(queryBlock);
  case Granularity::PerWarp:
    return n.floorDiv(warpRows);
  case Granularity::PerThread:
    // Lane 4t + c owns rows t and t + 8 of an accumulator fragment.
    return n.floorDiv(warpRows) * 8 + n % 8;
  case Granularity::PerToken:
    return n;
  }
  llvm_unreachable("unknown granularity");
}

static AffineExpr getKeyGroups(AffineExpr n, Granularity granularity, int64_t keyTile) {
  switch (granularity) {
  case Granularity::PerTensor:
    return getAffineConstantExpr(0, n.getContext());
  case Granularity::PerBlock:
  case Granularity::PerWarp:
    return n.floorDiv(keyTile);
  case Granularity::PerThread:
    // Lane 4t + c owns columns 8i + 2c and 8i + 2c + 1 of a score fragment.
    return n.floorDiv(keyTile) * 4 + (n % 8).floorDiv(2);
  case Granularity::PerToken:
    return n;
  }
  llvm_unreachable("unknown granularity");
}

/// Spec N6: makes the accumulator registers of S the A operand of an 8-bit PV product. A 16-bit one
/// needs no order.
static AffineExpr getValueOrder(AffineExpr p, PvType pv) {
  if (pv == PvType::F16)
    return p;
  return p.floorDiv(16) * 16 + (p % 4).floorDiv(2) * 8 + (p % 16).floorDiv(4) * 2 + p % 2;
}

GeometryAttr GeometryAttr::getDefault(RecipeAttr recipe, Family family, int64_t queryBlock,
                                      int64_t keyTile, int64_t headDim) {
  // Three warpgroups of 64 rows; above head dim 128 the registers are for two.
  if (queryBlock == 0)
    queryBlock = family == Family::Wgmma && headDim <= 128 ? 192 : 128;
  if (keyTile == 0)
    keyTile = family == Family::Wgmma ? 128 : 64;
  AffineExpr n = getAffineDimExpr(0, recipe.getContext());
  auto map = [](AffineExpr expr) { return AffineMapAttr::get(AffineMap::get(1, 0, expr)); };
  return get(recipe.getContext(), queryBlock, keyTile,
             map(::getQueryGroups(n, recipe.getGranularity(), queryBlock)),
             map(::getKeyGroups(n, recipe.getGranularity(), keyTile)),
             map(::getValueOrder(n, recipe.getPv())), /*key_parts=*/{});
}

GeometryAttr GeometryAttr::withKeyParts(AffineMapAttr keyParts) const {
  return get(getContext(), getQueryBlock(), getKeyTile(), getQueryGroups(), getKeyGroups(),
             getValueOrder(), keyParts);
}

/// As many parts as leave no multiprocessor of an H100 without a block. A constant: numbers depend
/// on the parts, and are the same on every chip.
static constexpr int64_t blocksToFill = 132;
/// Key tiles of a part, at least: half of twice as many take longer than joining two parts.
static constexpr int64_t leastTilesOfPart = 8;

GeometryAttr GeometryAttr::withDefaultKeyParts() const {
  auto symbol = [&](unsigned i) { return getAffineSymbolExpr(i, getContext()); };
  AffineExpr batch = symbol(0), heads = symbol(1), queries = symbol(3), keys = symbol(4);
  AffineExpr parts[] = {getAffineConstantExpr(blocksToFill, getContext())
                            .floorDiv(batch * heads * queries.ceilDiv(getQueryBlock())),
                        keys.floorDiv(leastTilesOfPart * getKeyTile())};
  return withKeyParts(AffineMapAttr::get(AffineMap::get(0, 5, parts, getContext())));
}

std::optional<int64_t> GeometryAttr::countKeyParts(ArrayRef<int64_t> extents) const {
  if (!getKeyParts() || llvm::is_contained(extents, 0))
    return 1;
  AffineMap map = getKeyParts().getValue();
  Builder builder(getContext());
  SmallVector<Attribute> symbols, results;
  for (int64_t extent : extents.take_front(map.getNumSymbols()))
    symbols.push_back(builder.getIndexAttr(extent));
  if (failed(map.constantFold(symbols, results)))
    return std::nullopt;
  int64_t parts = llvm::divideCeil(extents[4], getKeyTile());
  for (Attribute result : results)
    parts = std::min(parts, cast<IntegerAttr>(result).getInt());
  return std::max(parts, int64_t(1));
}

/// Whether an expression of positive extents can be seen to be positive.
static bool isPositive(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() > 0;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return true;
  bool isKept = expr.getKind() == AffineExprKind::Add || expr.getKind() == AffineExprKind::Mul ||
                expr.getKind() == AffineExprKind::CeilDiv;
  return isKept && isPositive(binary.getLHS()) && isPositive(binary.getRHS());
}

/// What else divides has no meaning, and no code is made for it.
static bool dividesByPositive(AffineMap map) {
  bool result = true;
  map.walkExprs([&](AffineExpr expr) {
    auto kind = expr.getKind();
    if (kind == AffineExprKind::Mod || kind == AffineExprKind::FloorDiv ||
        kind == AffineExprKind::CeilDiv)
      result &= isPositive(cast<AffineBinaryOpExpr>(expr).getRHS());
  });
  return result;
}

LogicalResult GeometryAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t queryBlock,
                                   int64_t keyTile, AffineMapAttr queryGroups,
                                   AffineMapAttr keyGroups, AffineMapAttr valueOrder,
                                   AffineMapAttr keyParts) {
  if (queryBlock < 16 || queryBlock % 16 != 0)
    return emitError() << "geometry query_block must be a positive multiple of 16, but got "
                       << queryBlock << " [G1]";
  if (keyTile < 32 || keyTile % 32 != 0)
    return emitError() << "geometry key_tile must be a positive multiple of 32, but got " << keyTile
                       << " [G1]";
  if (failed(TokenGroups::analyze(queryGroups.getValue(), emitError)) ||
      failed(TokenGroups::analyze(keyGroups.getValue(), emitError)))
    return failure();
  if (!permutesSixteen(valueOrder.getValue()))
    return emitError() << "geometry value_order must permute every aligned group of 16 positions, "
                          "but got "
                       << valueOrder << " [G4]";
  if (!keyParts)
    return success();
  AffineMap parts = keyParts.getValue();
  if (parts.getNumDims() != 0 || parts.getNumSymbols() > 5 || parts.getNumResults() == 0)
    return emitError() << "geometry key_parts must have no dimensions, at most the five symbols "
                          "[B, Hq, Hkv, Nq, Nk] and a result, but got "
                       << keyParts << " [G5]";
  if (!dividesByPositive(parts))
    return emitError()
           << "geometry key_parts must divide by positive constants, extents, and sums, "
              "products and ceildiv of these, but is "
           << keyParts << " [G5]";
  return success();
}
