// Scores stay integers for masks and maxima; their conversion to float is folded into what uses
// them.

#include "Maps.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/MapVector.h"

#include <limits>

namespace sage::tile {
#define GEN_PASS_DEF_FOLDSCORECONVERSION
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// 1.5 * 2^23: floats around it are the integers, so that adding to the bits adds to the value.
constexpr float magicFloat = 12582912.0f;
constexpr int32_t magicBits = 0x4B400000;
/// What the sum of products may reach on either side before the exponent changes.
constexpr int64_t magicLimit = int64_t(1) << 22;
constexpr int32_t minusInfinityBits = static_cast<int32_t>(0xFF800000u);
/// Elements quantized to 8 bits are in [-127, 127], those of 4 bits in [-7, 7] (Spec N4).
constexpr int64_t largestProduct = 127 * 127, largestProductInt4 = 7 * 7;

bool isZeroSplat(Value value) {
  auto splat = value.getDefiningOp<SplatOp>();
  IntegerAttr constant;
  return splat && matchPattern(splat.getValue(), m_Constant(&constant)) &&
         constant.getValue().isZero();
}

/// The products that add to one another and end in `last`, from last to first.
SmallVector<MmaOp> getChain(MmaOp last) {
  SmallVector<MmaOp> chain{last};
  while (auto previous = chain.back().getAccumulator().getDefiningOp<MmaOp>()) {
    if (!previous.getResult().hasOneUse())
      break;
    chain.push_back(previous);
  }
  return chain;
}

/// What the sum of the products may reach.
int64_t getLargestSum(ArrayRef<MmaOp> chain) {
  int64_t sum = 0;
  for (MmaOp product : chain) {
    int64_t bytes = product.getB().getType().getShape()[1];
    sum += product.getInt4() ? 2 * bytes * largestProductInt4 : bytes * largestProduct;
  }
  return sum;
}

/// Whether `map` replaces elements of its input `number` by -infinity where a condition on other
/// things fails.
bool isMask(MapOp map, unsigned number) {
  auto select = getYieldedValue(map).getDefiningOp<arith::SelectOp>();
  if (!select || !isMinusInfinity(select.getFalseValue()) ||
      getInputNumber(map, select.getTrueValue()) != number)
    return false;
  return select.getTrueValue().hasOneUse() && map.getInputMap(number).isIdentity();
}

/// The floats that hold one product's scores, each with an integer fragment that encodes the same
/// values.
class ScoreFolder {
public:
  ScoreFolder(MapOp conversion, bool magic) : conversion(conversion), magic(magic) {}

  void run() {
    auto product = conversion.getInputs()[0].getDefiningOp<MmaOp>();
    Value scores = conversion.getResult();
    if (magic) {
      startAtMagic(getChain(product).back());
      scores = decodeProduct(product);
    }
    encoded[scores] = product.getResult();
    followMasks(scores);
    followBranches();
    for (auto [value, integers] : llvm::to_vector(encoded)) {
      reduceIntegers(value, integers);
      if (magic)
        foldUses(value, integers);
    }
  }

private:
  void startAtMagic(MmaOp product);
  Value decodeProduct(MmaOp product);
  void followMasks(Value scores);
  void followBranches();
  scf::IfOp rebuildBranch(scf::IfOp branch, ArrayRef<unsigned> numbers);
  void reduceIntegers(Value value, Value integers);
  void foldUses(Value value, Value integers);
  void foldIntoMap(MapOp map, unsigned number, Value integers);

  /// The float that an encoded element stands for.
  Value decode(OpBuilder &builder, Location loc, Value element) {
    Type f32 = builder.getF32Type();
    if (magic)
      return arith::SubFOp::create(builder, loc,
                                   arith::BitcastOp::create(builder, loc, f32, element),
                                   createFloat(builder, loc, magicFloat));
    Value converted = arith::SIToFPOp::create(builder, loc, f32, element);
    if (!hasMask)
      return converted;
    Value masked = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, element,
                                         createInteger(builder, loc, maskedScore()));
    return arith::SelectOp::create(
        builder, loc, masked, createFloat(builder, loc, -std::numeric_limits<float>::infinity()),
        converted);
  }
  int32_t maskedScore() const {
    return magic ? minusInfinityBits : std::numeric_limits<int32_t>::min();
  }

  MapOp conversion;
  bool magic;
  bool hasMask = false;
  llvm::MapVector<Value, Value> encoded;
};

/// Lets the product add to `magicBits`.
void ScoreFolder::startAtMagic(MmaOp product) {
  OpBuilder builder(product);
  Location loc = product.getLoc();
  auto type = cast<FragmentType>(product.getType());
  // A constant: loads of a shared word are fewer instructions, but measured slower
  // (docs/Performance.md).
  Value start = createInteger(builder, loc, magicBits);
  product.getAccumulatorMutable().assign(SplatOp::create(builder, loc, type, start));
}

/// The scores of a product that started at `magicBits`, for uses that cannot be folded; dead
/// otherwise.
Value ScoreFolder::decodeProduct(MmaOp product) {
  OpBuilder builder(conversion);
  Location loc = conversion.getLoc();
  Value scores = createMap(builder, loc, conversion.getResult().getType(), product.getResult(), {},
                           [&](OpBuilder &b, ValueRange e) { return decode(b, loc, e[0]); });
  conversion.getResult().replaceAllUsesWith(scores);
  conversion.erase();
  return scores;
}

/// select(visible, x, -infinity) -> select(visible, encoded x, encoded -infinity), beside it.
void ScoreFolder::followMasks(Value scores) {
  for (OpOperand &use : llvm::make_early_inc_range(scores.getUses())) {
    auto mask = dyn_cast<MapOp>(use.getOwner());
    if (!mask || !isMask(mask, use.getOperandNumber()))
      continue;
    OpBuilder builder(mask);
    auto integers = cast<MapOp>(builder.clone(*mask));
    integers.getInputsMutable()[use.getOperandNumber()].set(encoded[scores]);
    FragmentType type = mask.getResult().getType();
    integers.getResult().setType(type.withElementType(builder.getI32Type()));
    auto select = getYieldedValue(integers).getDefiningOp<arith::SelectOp>();
    select.getTrueValue().setType(builder.getI32Type());
    builder.setInsertionPoint(select);
    Value lowest = createInteger(builder, mask.getLoc(), maskedScore());
    auto replacement = arith::SelectOp::create(builder, mask.getLoc(), select.getCondition(),
                                               select.getTrueValue(), lowest);
    select.replaceAllUsesWith(replacement.getResult());
    select.erase();
    encoded[mask.getResult()] = integers.getResult();
    hasMask = true;
  }
}

/// A branch whose both sides yield scores yields their encoding too.
void ScoreFolder::followBranches() {
  llvm::MapVector<Operation *, SmallVector<unsigned>> branches;
  for (auto &[value, integers] : encoded)
    for (OpOperand &use : value.getUses())
      if (auto branch = dyn_cast<scf::IfOp>(use.getOwner()->getParentOp());
          branch && isa<scf::YieldOp>(use.getOwner()))
        if (unsigned number = use.getOperandNumber();
            encoded.contains(branch.thenYield().getOperand(number)) &&
            encoded.contains(branch.elseYield().getOperand(number)) &&
            !llvm::is_contained(branches[branch], number))
          branches[branch].push_back(number);
  for (auto &[op, numbers] : branches)
    if (!numbers.empty())
      rebuildBranch(cast<scf::IfOp>(op), numbers);
}

/// `branch` with integer results for `numbers`: in their place under `magic`, else behind the
/// others.
scf::IfOp ScoreFolder::rebuildBranch(scf::IfOp branch, ArrayRef<unsigned> numbers) {
  IRRewriter rewriter(branch);
  SmallVector<Type> types(branch.getResultTypes());
  SmallVector<unsigned> positions;
  for (unsigned number : numbers) {
    Type type = encoded[branch.thenYield().getOperand(number)].getType();
    positions.push_back(magic ? number : types.size());
    if (magic)
      types[number] = type;
    else
      types.push_back(type);
  }
  for (scf::YieldOp yield : {branch.thenYield(), branch.elseYield()}) {
    SmallVector<Value> values(yield.getOperands());
    for (unsigned number : numbers) {
      Value integers = encoded[yield.getOperand(number)];
      if (magic)
        values[number] = integers;
      else
        values.push_back(integers);
    }
    yield.getResultsMutable().assign(values);
  }
  auto rebuilt = scf::IfOp::create(rewriter, branch.getLoc(), types, branch.getCondition(),
                                   /*addThenBlock=*/false,
                                   /*addElseBlock=*/false);
  rebuilt.getThenRegion().takeBody(branch.getThenRegion());
  rebuilt.getElseRegion().takeBody(branch.getElseRegion());

  for (auto [i, result] : llvm::enumerate(branch.getResults())) {
    const auto *found = llvm::find(numbers, i);
    if (found == numbers.end()) {
      result.replaceAllUsesWith(rebuilt.getResult(i));
      continue;
    }
    Value integers = rebuilt.getResult(positions[found - numbers.begin()]);
    Value floats = rebuilt.getResult(i);
    if (magic) {
      auto type = cast<FragmentType>(result.getType());
      floats =
          createMap(rewriter, branch.getLoc(), type, integers, {},
                    [&](OpBuilder &b, ValueRange e) { return decode(b, branch.getLoc(), e[0]); });
    }
    result.replaceAllUsesWith(floats);
    encoded[floats] = integers;
  }
  rewriter.eraseOp(branch);
  return rebuilt;
}

/// max(float scores) -> decoded max(encoded scores): both encodings are monotone.
void ScoreFolder::reduceIntegers(Value value, Value integers) {
  for (Operation *user : llvm::make_early_inc_range(value.getUsers())) {
    auto reduce = dyn_cast<ReduceOp>(user);
    if (!reduce || reduce.getKind() != ReduceKind::MaximumF)
      continue;
    OpBuilder builder(reduce);
    FragmentType type = reduce.getResult().getType();
    Value maximum =
        ReduceOp::create(builder, reduce.getLoc(), type.withElementType(builder.getI32Type()),
                         ReduceKind::MaxSI, integers, reduce.getMapAttr());
    Value decoded =
        createMap(builder, reduce.getLoc(), type, maximum, {},
                  [&](OpBuilder &b, ValueRange e) { return decode(b, reduce.getLoc(), e[0]); });
    reduce.getResult().replaceAllUsesWith(decoded);
    reduce.erase();
  }
}

void ScoreFolder::foldUses(Value value, Value integers) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : value.getUses())
    if (auto map = dyn_cast<MapOp>(use.getOwner()); map && !isMask(map, use.getOperandNumber()))
      uses.push_back(&use);
  for (OpOperand *use : uses)
    foldIntoMap(cast<MapOp>(use->getOwner()), use->getOperandNumber(), integers);
}

/// The multiply-add that `score` is a factor of, if that is all it is used for, and the numbers of
/// the inputs that are the other factor and the addend.
struct LinearUse {
  math::FmaOp fma;
  unsigned factor, addend;
};

std::optional<LinearUse> matchLinearUse(MapOp map, Value score) {
  if (!score.hasOneUse())
    return std::nullopt;
  auto fma = dyn_cast<math::FmaOp>(*score.user_begin());
  if (!fma || fma.getC() == score)
    return std::nullopt;
  std::optional<unsigned> factor =
      getInputNumber(map, fma.getA() == score ? fma.getB() : fma.getA());
  std::optional<unsigned> addend = getInputNumber(map, fma.getC());
  if (!factor || !addend || *factor == *addend || !fma.getC().hasOneUse())
    return std::nullopt;
  // The folded addend has the factor's shape: the addend must be a broadcast of the same access.
  auto factorType = cast<FragmentType>(map.getInputs()[*factor].getType());
  auto addendType = cast<FragmentType>(map.getInputs()[*addend].getType());
  AffineMap factorMap = map.getInputMap(*factor), addendMap = map.getInputMap(*addend);
  for (unsigned i : {0u, 1u}) {
    bool isBroadcast = addendType.getShape()[i] == 1;
    bool isSame = addendType.getShape()[i] == factorType.getShape()[i] &&
                  addendMap.getResult(i) == factorMap.getResult(i);
    if (!isBroadcast && !isSame)
      return std::nullopt;
  }
  return LinearUse{fma, *factor, *addend};
}

/// fma(x, a, c) -> fma(bits, a, fma(-magic, a, c)); any other use subtracts the magic number.
void ScoreFolder::foldIntoMap(MapOp map, unsigned number, Value integers) {
  OpBuilder builder(map);
  Location loc = map.getLoc();
  BlockArgument score = map.getBody().front().getArgument(number + (map.getPositions() ? 2 : 0));
  std::optional<LinearUse> linear = matchLinearUse(map, score);
  if (linear) {
    Value factor = map.getInputs()[linear->factor], addend = map.getInputs()[linear->addend];
    SmallVector<AffineMap> maps = getInputMaps(map);
    maps[linear->addend] = maps[linear->factor];
    Value folded = createMap(builder, loc, cast<FragmentType>(factor.getType()), {factor, addend},
                             {}, [&](OpBuilder &b, ValueRange e) -> Value {
                               Value magic = createFloat(b, loc, -magicFloat);
                               return math::FmaOp::create(b, loc, magic, e[0], e[1]);
                             });
    map.getInputsMutable()[linear->addend].set(folded);
    map.setMapsAttr(builder.getAffineMapArrayAttr(maps));
  }
  map.getInputsMutable()[number].set(integers);
  score.setType(builder.getI32Type());
  builder.setInsertionPointToStart(&map.getBody().front());
  Value bits = arith::BitcastOp::create(builder, loc, builder.getF32Type(), score);
  Value value = bits;
  if (!linear)
    value = arith::SubFOp::create(builder, loc, bits, createFloat(builder, loc, magicFloat));
  score.replaceAllUsesExcept(value, bits.getDefiningOp());
}

struct FoldScoreConversion : impl::FoldScoreConversionBase<FoldScoreConversion> {
  using FoldScoreConversionBase::FoldScoreConversionBase;

  void runOnOperation() override {
    KernelOp kernel = getOperation();
    if (conversion != "magic" && conversion != "convert") {
      kernel.emitError("conversion must be magic or convert, but got ") << conversion.getValue();
      return signalPassFailure();
    }
    SmallVector<MapOp> conversions;
    kernel.walk([&](MapOp map) {
      if (!isElementwise<arith::SIToFPOp>(map) || !map.getInputMap(0).isIdentity())
        return;
      auto product = map.getInputs()[0].getDefiningOp<MmaOp>();
      if (!product || !product.getResult().hasOneUse())
        return;
      SmallVector<MmaOp> chain = getChain(product);
      bool starts = isZeroSplat(chain.back().getAccumulator());
      if (!starts || (conversion == "magic" && getLargestSum(chain) >= magicLimit))
        return;
      conversions.push_back(map);
    });
    for (MapOp map : conversions)
      ScoreFolder(map, conversion == "magic").run();
    eraseDeadOps(kernel);
  }
};

} // namespace
} // namespace sage::tile
