// exp2 and packing of the probabilities in column chunks, each ordered behind the one before.

#include "ColumnSlices.h"
#include "Maps.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace sage::tile {
#define GEN_PASS_DEF_INTERLEAVEEXPONENTIALS
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// Columns in which packing permutes accumulator columns (Spec N6).
constexpr int64_t orderPeriod = 16;

/// `map` shifted by `column`: equal to `map` itself where it is periodic.
AffineMap shiftColumns(AffineMap map, int64_t column, int64_t width) {
  MLIRContext *context = map.getContext();
  AffineExpr shifted = getAffineDimExpr(1, context) + column;
  AffineMap result = simplifyAffineMap(map.replace(getAffineDimExpr(1, context), shifted, 2, 0));
  for (int64_t c = 0; c < width; ++c)
    for (auto [a, b] : llvm::zip_equal(map.getResults(), result.getResults()))
      if (evaluate(a, {0, c}) != evaluate(b, {0, c}))
        return result;
  return map;
}

/// Whether `order` maps every chunk of `width` columns to itself in the same way.
bool isPeriodic(AffineMap order, int64_t columns, int64_t width) {
  for (int64_t p = 0; p < columns; ++p) {
    std::optional<int64_t> inChunk = evaluate(order.getResult(0), {p % width});
    if (!inChunk || *inChunk >= width ||
        evaluate(order.getResult(0), {p}) != p - p % width + *inChunk)
      return false;
  }
  return true;
}

/// The input that is only added, and hence can hold a chunk back: c of exp2(fma(x, a, c)).
std::optional<unsigned> findAddend(MapOp map) {
  std::optional<unsigned> addend;
  map.walk([&](math::FmaOp fma) {
    if (std::optional<unsigned> number = getInputNumber(map, fma.getC()))
      addend = number;
  });
  return addend;
}

class Interleaver {
public:
  Interleaver(ConvertOp convert, MapOp exponentials)
      : convert(convert), exponentials(exponentials) {}

  /// The number of chunks, at most `chunks`, that the columns and layouts allow.
  int64_t fitChunks(int64_t chunks) {
    chunks = std::min(chunks, exponentials.getResult().getType().getColumns());
    for (; chunks > 1; --chunks)
      if (allows(chunks))
        break;
    return chunks;
  }
  void run(int64_t chunks);

private:
  bool allows(int64_t chunks);
  Value createChunk(OpBuilder &builder, int64_t column, int64_t width, Value previous);
  Value sliceInput(OpBuilder &builder, Value input, int64_t column, int64_t width);
  void splitSums(ArrayRef<Value> chunks);

  ConvertOp convert;
  MapOp exponentials;
};

bool Interleaver::allows(int64_t chunks) {
  FragmentType type = exponentials.getResult().getType();
  int64_t columns = type.getColumns(), width = columns / chunks;
  if (columns % chunks != 0 || width % orderPeriod != 0 || !getColumnSliceType(type, width) ||
      !getColumnSliceType(convert.getResult().getType(), width))
    return false;
  if (std::optional<AffineMap> order = convert.getOrder();
      order && !isPeriodic(*order, columns, width))
    return false;
  for (Value input : exponentials.getInputs())
    if (auto inputType = cast<FragmentType>(input.getType());
        inputType.getColumns() == columns && !getColumnSliceType(inputType, width))
      return false;
  return true;
}

/// `map` applied to `inputs`.
Value cloneMap(OpBuilder &builder, MapOp map, FragmentType type, ValueRange inputs,
               ArrayRef<AffineMap> maps) {
  auto clone = MapOp::create(builder, map.getLoc(), type, inputs,
                             builder.getAffineMapArrayAttr(maps), /*positions=*/false);
  IRMapping mapping;
  map.getBody().cloneInto(&clone.getBody(), mapping);
  return clone.getResult();
}

/// Columns [column, column + width) of a whole input; what is computed element by element for this
/// use alone is computed per chunk.
Value Interleaver::sliceInput(OpBuilder &builder, Value input, int64_t column, int64_t width) {
  Location loc = exponentials.getLoc();
  auto map = input.getDefiningOp<MapOp>();
  if (!map || !input.hasOneUse() || map.getPositions() || map.getInputs().size() != 1 ||
      !map.getInputMap(0).isIdentity())
    return createColumnSlice(builder, loc, input, column, width);
  Value source = createColumnSlice(builder, loc, map.getInputs()[0], column, width);
  return cloneMap(builder, map, getColumnSliceType(map.getResult().getType(), width), source,
                  map.getInputMap(0));
}

/// Columns [column, column + width) of the probabilities.
Value Interleaver::createChunk(OpBuilder &builder, int64_t column, int64_t width, Value previous) {
  Location loc = exponentials.getLoc();
  FragmentType type = exponentials.getResult().getType();
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  std::optional<unsigned> addend = findAddend(exponentials);
  for (auto [i, input] : llvm::enumerate(exponentials.getInputs())) {
    AffineMap map = exponentials.getInputMap(i);
    bool isWhole = cast<FragmentType>(input.getType()).getColumns() == type.getColumns();
    if (isWhole && map.isIdentity())
      input = sliceInput(builder, input, column, width);
    else
      map = shiftColumns(map, column, width);
    if (previous && i == addend)
      input = OrderAfterOp::create(builder, loc, input, previous);
    inputs.push_back(input);
    maps.push_back(map);
  }
  return cloneMap(builder, exponentials, getColumnSliceType(type, width), inputs, maps);
}

/// sum(p) -> sum(p0) + sum(p1) + ...: the order of row sums is free (Spec N11).
void Interleaver::splitSums(ArrayRef<Value> chunks) {
  for (Operation *user : llvm::make_early_inc_range(exponentials->getUsers())) {
    auto reduce = dyn_cast<ReduceOp>(user);
    if (!reduce || reduce.getKind() != ReduceKind::AddF)
      continue;
    OpBuilder builder(reduce);
    AffineMap map = reduce.getReductionMap();
    int64_t width = cast<FragmentType>(chunks[0].getType()).getColumns();
    bool isPeriodic = true;
    for (size_t i = 0; i < chunks.size(); ++i)
      isPeriodic &= shiftColumns(map, i * width, width) == map;
    if (!isPeriodic)
      continue;
    Value sum;
    for (Value chunk : chunks) {
      Value partial = ReduceOp::create(builder, reduce.getLoc(), reduce.getType(), ReduceKind::AddF,
                                       chunk, AffineMapAttr::get(map));
      sum = !sum ? partial
                 : createMap(builder, reduce.getLoc(), reduce.getResult().getType(), {sum, partial},
                             {}, [&](OpBuilder &b, ValueRange e) -> Value {
                               return arith::AddFOp::create(b, reduce.getLoc(), e[0], e[1]);
                             });
    }
    reduce.getResult().replaceAllUsesWith(sum);
    reduce.erase();
  }
}

void Interleaver::run(int64_t chunks) {
  OpBuilder builder(exponentials);
  FragmentType type = exponentials.getResult().getType();
  int64_t width = type.getColumns() / chunks;
  FragmentType packedType = getColumnSliceType(convert.getResult().getType(), width);
  SmallVector<Value> probabilities, packed;
  for (int64_t i = 0; i < chunks; ++i) {
    Value previous = probabilities.empty() ? Value() : probabilities.back();
    probabilities.push_back(createChunk(builder, i * width, width, previous));
    packed.push_back(ConvertOp::create(builder, convert.getLoc(), packedType, probabilities.back(),
                                       convert.getOrderAttr()));
  }
  convert.getResult().replaceAllUsesWith(
      createColumnConcat(builder, convert.getLoc(), convert.getResult().getType(), packed));
  convert.erase();
  splitSums(probabilities);
  if (!exponentials->use_empty())
    exponentials.getResult().replaceAllUsesWith(
        createColumnConcat(builder, exponentials.getLoc(), type, probabilities));
  exponentials.erase();
}

struct InterleaveExponentials : impl::InterleaveExponentialsBase<InterleaveExponentials> {
  using InterleaveExponentialsBase::InterleaveExponentialsBase;

  void runOnOperation() override {
    if (chunks < 1) {
      getOperation().emitError("chunks must be positive, but got ") << chunks.getValue();
      return signalPassFailure();
    }
    SmallVector<ConvertOp> converts;
    getOperation().walk([&](ConvertOp convert) { converts.push_back(convert); });
    for (ConvertOp convert : converts) {
      auto exponentials = convert.getSource().getDefiningOp<MapOp>();
      if (!exponentials || exponentials.getPositions() ||
          !getYieldedValue(exponentials).getDefiningOp<math::Exp2Op>())
        continue;
      Interleaver interleaver(convert, exponentials);
      int64_t fitting = interleaver.fitChunks(chunks);
      if (fitting > 1)
        interleaver.run(fitting);
    }
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace sage::tile
