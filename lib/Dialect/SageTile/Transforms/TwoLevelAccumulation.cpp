// mma(p, v, O * alpha) -> O = fma(O, alpha, mma(p, v, 0)), in column chunks.

#include "ColumnSlices.h"
#include "Maps.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

namespace sage::tile {
#define GEN_PASS_DEF_TWOLEVELACCUMULATION
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// `value * factor`, where `factor` is the same for all columns of a row.
struct Rescale {
  MapOp map;
  Value value;
  Value factor;
  AffineMap factorMap;
};

std::optional<Rescale> matchRescale(Value accumulator) {
  auto map = accumulator.getDefiningOp<MapOp>();
  if (!map || map.getPositions() || map.getInputs().size() != 2)
    return std::nullopt;
  auto product = getYieldedValue(map).getDefiningOp<arith::MulFOp>();
  if (!product)
    return std::nullopt;
  std::optional<unsigned> lhs = getInputNumber(map, product.getLhs());
  std::optional<unsigned> rhs = getInputNumber(map, product.getRhs());
  if (!lhs || !rhs || *lhs == *rhs)
    return std::nullopt;
  for (unsigned value : {0u, 1u}) {
    AffineMap factorMap = map.getInputMap(1 - value);
    if (map.getInputs()[value].getType() == accumulator.getType() &&
        map.getInputMap(value).isIdentity() && !factorMap.isFunctionOfDim(1))
      return Rescale{map, map.getInputs()[value], map.getInputs()[1 - value], factorMap};
  }
  return std::nullopt;
}

/// First columns of `chunks` chunks of about equal width: multiples of 8, the rest joins the last.
SmallVector<int64_t> getChunkStarts(int64_t columns, int64_t chunks) {
  int64_t width = std::max<int64_t>(8, columns / chunks / 8 * 8);
  SmallVector<int64_t> starts;
  for (int64_t start = 0; start + width <= columns && int64_t(starts.size()) < chunks;
       start += width)
    starts.push_back(start);
  return starts;
}

void rewriteProduct(MmaOp product, const Rescale &rescale, int64_t chunks) {
  Location loc = product.getLoc();
  OpBuilder builder(product);
  auto type = cast<FragmentType>(product.getAccumulator().getType());
  SharedType bType = product.getB().getType();
  Value zero = createFloat(builder, loc, 0.0);

  // All products come before all sums, so that they can be in flight together.
  SmallVector<int64_t> starts = getChunkStarts(type.getColumns(), chunks);
  SmallVector<Value> products;
  for (auto [i, start] : llvm::enumerate(starts)) {
    int64_t end = i + 1 < starts.size() ? starts[i + 1] : type.getColumns();
    Value b = product.getB();
    if (starts.size() > 1) {
      auto chunkType = SharedType::get(builder.getContext(), {end - start, bType.getShape()[1]},
                                       bType.getElementType(), bType.getSwizzle());
      Value row = arith::ConstantIndexOp::create(builder, loc, start);
      b = SubtileOp::create(builder, loc, chunkType, b, row);
    }
    Value fresh = SplatOp::create(builder, loc, getColumnSliceType(type, end - start), zero);
    products.push_back(MmaOp::create(builder, loc, fresh.getType(), product.getA(), b, fresh));
  }

  SmallVector<Value> sums;
  for (auto [start, fresh] : llvm::zip_equal(starts, products)) {
    auto chunkType = cast<FragmentType>(fresh.getType());
    Value old = createColumnSlice(builder, loc, rescale.value, start, chunkType.getColumns());
    AffineMap identity = builder.getMultiDimIdentityMap(2);
    sums.push_back(createMap(builder, loc, chunkType, {old, rescale.factor, fresh},
                             {identity, rescale.factorMap, identity},
                             [&](OpBuilder &b, ValueRange args) -> Value {
                               return math::FmaOp::create(b, loc, args[0], args[1], args[2]);
                             }));
  }
  product.getResult().replaceAllUsesWith(createColumnConcat(builder, loc, type, sums));
  product.erase();
  if (rescale.map->use_empty())
    rescale.map->erase();
}

struct TwoLevelAccumulation : impl::TwoLevelAccumulationBase<TwoLevelAccumulation> {
  using TwoLevelAccumulationBase::TwoLevelAccumulationBase;

  void runOnOperation() override {
    if (valueChunks < 1) {
      getOperation().emitError("value-chunks must be positive, but got ") << valueChunks.getValue();
      return signalPassFailure();
    }
    SmallVector<MmaOp> products;
    getOperation().walk([&](MmaOp product) { products.push_back(product); });
    for (MmaOp product : products) {
      std::optional<Rescale> rescale = matchRescale(product.getAccumulator());
      auto type = dyn_cast<FragmentType>(product.getAccumulator().getType());
      if (!rescale || !type.getElementType().isF32())
        continue;
      // A last chunk that does not end at a register boundary cannot be sliced off.
      int64_t chunks = valueChunks;
      while (chunks > 1 &&
             !llvm::all_of(getChunkStarts(type.getColumns(), chunks), [&](int64_t start) {
               return getColumnSliceType(type, type.getColumns() - start);
             }))
        --chunks;
      rewriteProduct(product, *rescale, chunks);
    }
  }
};

} // namespace
} // namespace sage::tile
