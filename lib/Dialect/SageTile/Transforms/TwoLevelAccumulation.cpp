// mma(p1, v1, mma(p0, v0, O * alpha)) -> O = fma(O, alpha, mma(p1, v1, mma(p0, v0, 0))), in column
// chunks; a promotion for each interval of tokens.

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

/// Products that add to one another, the first of them to a rescaled value.
struct Chain {
  Rescale rescale;
  SmallVector<MmaOp> products;
};

std::optional<Chain> matchChain(MmaOp product) {
  auto type = dyn_cast<FragmentType>(product.getAccumulator().getType());
  std::optional<Rescale> rescale = matchRescale(product.getAccumulator());
  if (!rescale || !type || !type.getElementType().isF32())
    return std::nullopt;
  Chain chain{*rescale, {product}};
  while (product.getResult().hasOneUse()) {
    auto next = dyn_cast<MmaOp>(*product.getResult().user_begin());
    if (!next || next.getAccumulator() != product.getResult())
      break;
    chain.products.push_back(next);
    product = next;
  }
  return chain;
}

/// Rewrites the products of one chain, chunk by chunk.
class Promoter {
public:
  Promoter(Chain products, int64_t chunks, int64_t inFlight, int64_t interval, bool isHalf)
      : chain(std::move(products)), loc(chain.products.front()->getLoc()),
        type(cast<FragmentType>(chain.rescale.value.getType())),
        starts(getChunkStarts(type.getColumns(), chunks)), inFlight(inFlight), interval(interval),
        isHalf(isHalf) {}

  void run() {
    SmallVector<Value> sums;
    for (ArrayRef<MmaOp> rest = chain.products; !rest.empty();) {
      size_t count = countProducts(rest);
      sums = promote(rest.take_front(count), sums);
      rest = rest.drop_front(count);
    }
    MmaOp last = chain.products.back();
    OpBuilder builder(last);
    last.getResult().replaceAllUsesWith(createColumnConcat(builder, loc, type, sums));
    for (MmaOp product : llvm::reverse(chain.products))
      product.erase();
    if (chain.rescale.map->use_empty())
      chain.rescale.map->erase();
  }

private:
  int64_t getWidth(size_t chunk) const {
    return (chunk + 1 < starts.size() ? starts[chunk + 1] : type.getColumns()) - starts[chunk];
  }

  /// How many of `products` one promotion covers: those of an interval, or all.
  size_t countProducts(ArrayRef<MmaOp> products) const {
    size_t count = 0;
    for (int64_t tokens = 0; count < products.size() && (interval == 0 || tokens < interval);) {
      MmaOp product = products[count++];
      tokens += product.getB().getType().getShape()[1];
    }
    return count;
  }

  /// The chunks of the sum of `group`, added to `previous`, the sums before. Only `inFlight` fresh
  /// fragments exist at a time.
  SmallVector<Value> promote(ArrayRef<MmaOp> group, ArrayRef<Value> previous) {
    OpBuilder builder(group.back());
    SmallVector<Value> products, sums;
    while (sums.size() < starts.size()) {
      if (products.size() < starts.size())
        products.push_back(createProduct(builder, group, products.size()));
      if (products.size() == starts.size() || products.size() - sums.size() >= size_t(inFlight)) {
        size_t chunk = sums.size();
        Value before = previous.empty() ? Value() : previous[chunk];
        sums.push_back(createSum(builder, products[chunk], before, chunk));
      }
    }
    return sums;
  }

  Value createProduct(OpBuilder &builder, ArrayRef<MmaOp> group, size_t chunk) {
    Type element = isHalf ? Type(builder.getF16Type()) : Type(builder.getF32Type());
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(element));
    FragmentType sliceType = getColumnSliceType(type, getWidth(chunk)).withElementType(element);
    Value sum = SplatOp::create(builder, loc, sliceType, zero);
    for (MmaOp product : group)
      sum = MmaOp::create(builder, loc, sliceType, product.getA(),
                          getChunk(builder, product.getB(), chunk), sum);
    return sum;
  }

  Value getChunk(OpBuilder &builder, Value b, size_t chunk) {
    if (starts.size() == 1)
      return b;
    auto bType = cast<SharedType>(b.getType());
    auto chunkType = SharedType::get(builder.getContext(), {getWidth(chunk), bType.getShape()[1]},
                                     bType.getElementType(), bType.getSwizzle());
    Value row = arith::ConstantIndexOp::create(builder, loc, starts[chunk]);
    return SubtileOp::create(builder, loc, chunkType, b, row);
  }

  /// The first sum rescales what was accumulated before.
  Value createSum(OpBuilder &builder, Value fresh, Value previous, size_t chunk) {
    AffineMap identity = builder.getMultiDimIdentityMap(2);
    FragmentType sliceType = getColumnSliceType(type, getWidth(chunk));
    if (previous)
      return createMap(builder, loc, sliceType, {previous, fresh}, {},
                       [&](OpBuilder &b, ValueRange args) -> Value {
                         return arith::AddFOp::create(b, loc, args[0], extend(b, args[1]));
                       });
    Value old =
        createColumnSlice(builder, loc, chain.rescale.value, starts[chunk], getWidth(chunk));
    return createMap(builder, loc, sliceType, {old, chain.rescale.factor, fresh},
                     {identity, chain.rescale.factorMap, identity},
                     [&](OpBuilder &b, ValueRange args) -> Value {
                       return math::FmaOp::create(b, loc, args[0], args[1], extend(b, args[2]));
                     });
  }

  Value extend(OpBuilder &builder, Value element) {
    if (!isHalf)
      return element;
    return arith::ExtFOp::create(builder, loc, builder.getF32Type(), element);
  }

  Chain chain;
  Location loc;
  FragmentType type;
  SmallVector<int64_t> starts;
  int64_t inFlight, interval;
  bool isHalf;
};

/// Elements that tensor cores add into f16.
LogicalResult verifyHalf(const Chain &chain) {
  for (MmaOp product : chain.products) {
    Type element = product.getB().getType().getElementType();
    if (element.isF16() || isa<Float8E4M3FNType, Float8E5M2Type>(element))
      continue;
    InFlightDiagnostic diagnostic =
        product.emitOpError("elements must be f16, f8E4M3FN or f8E5M2 to add into f16, but got ")
        << element;
    diagnostic.attachNote() << "use inner=f32";
    return diagnostic;
  }
  return success();
}

struct TwoLevelAccumulation : impl::TwoLevelAccumulationBase<TwoLevelAccumulation> {
  using TwoLevelAccumulationBase::TwoLevelAccumulationBase;

  void runOnOperation() override {
    if (valueChunks < 1) {
      getOperation().emitError("value-chunks must be positive, but got ") << valueChunks.getValue();
      return signalPassFailure();
    }
    if (inFlight < 1) {
      getOperation().emitError("in-flight must be positive, but got ") << inFlight.getValue();
      return signalPassFailure();
    }
    if (interval < 0) {
      getOperation().emitError("interval must not be negative, but got ") << interval.getValue();
      return signalPassFailure();
    }
    if (inner != "f32" && inner != "f16") {
      getOperation().emitError("inner must be f32 or f16, but got ") << inner.getValue();
      return signalPassFailure();
    }
    SmallVector<Chain> chains;
    getOperation().walk([&](MmaOp product) {
      if (std::optional<Chain> chain = matchChain(product))
        chains.push_back(*chain);
    });
    bool isHalf = inner == "f16";
    for (const Chain &chain : chains) {
      if (isHalf && failed(verifyHalf(chain)))
        return signalPassFailure();
      auto type = cast<FragmentType>(chain.rescale.value.getType());
      // A last chunk that does not end at a register boundary cannot be sliced off.
      int64_t chunks = std::min<int64_t>(valueChunks, type.getColumns());
      while (chunks > 1 &&
             !llvm::all_of(getChunkStarts(type.getColumns(), chunks), [&](int64_t start) {
               return getColumnSliceType(type, type.getColumns() - start);
             }))
        --chunks;
      Promoter(chain, chunks, inFlight, interval, isHalf).run();
    }
  }
};

} // namespace
} // namespace sage::tile
