// The bias operand: masks that stay operands, and floats that are added to the scores.

#include "Masks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

/// Times log2 e it is finite, as float32's lowest number is not: rows that finite numbers hide
/// completely must keep weights.
static constexpr double lowestFiniteBias = -2.3e38;
/// It absorbs any score, so that weights of rows that it hides completely are all the same; and
/// sums of such are finite.
static constexpr double finiteFill = -1e30;

namespace {

/// Makes a tensor of a scalar that is computed in a body.
class ScalarOutliner {
public:
  ScalarOutliner(OpBuilder &builder, const Element &scalar)
      : builder(builder), scalar(scalar),
        op(dyn_cast<linalg::LinalgOp>(Value(scalar.value).getParentBlock()->getParentOp())) {}

  std::optional<Element> run();

private:
  void collect(Value value);
  void useLoops(AffineMap map);
  std::optional<OpFoldResult> getExtent(unsigned loop);

  OpBuilder &builder;
  const Element &scalar;
  linalg::LinalgOp op;
  llvm::SetVector<Operation *> body;
  llvm::SetVector<OpOperand *> inputs;
  llvm::SmallBitVector usedLoops;
};

} // namespace

void ScalarOutliner::useLoops(AffineMap map) {
  for (unsigned loop = 0; loop < map.getNumDims(); ++loop)
    if (map.isFunctionOfDim(loop))
      usedLoops.set(loop);
}

void ScalarOutliner::collect(Value value) {
  if (value.getParentBlock() != op.getBlock())
    return;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    OpOperand *operand = op.getMatchingOpOperand(argument);
    if (inputs.insert(operand))
      useLoops(op.getMatchingIndexingMap(operand));
    return;
  }
  Operation *definition = value.getDefiningOp();
  if (body.contains(definition))
    return;
  for (Value operand : definition->getOperands())
    collect(operand);
  if (auto index = dyn_cast<linalg::IndexOp>(definition))
    usedLoops.set(index.getDim());
  body.insert(definition);
}

std::optional<OpFoldResult> ScalarOutliner::getExtent(unsigned loop) {
  int64_t extent = op.getStaticLoopRanges()[loop];
  if (!ShapedType::isDynamic(extent))
    return OpFoldResult(builder.getIndexAttr(extent));
  for (OpOperand &operand : op->getOpOperands())
    for (auto [number, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
      if (expr == getAffineDimExpr(loop, op.getContext()))
        return OpFoldResult(
            tensor::DimOp::create(builder, op.getLoc(), operand.get(), number).getResult());
  return std::nullopt;
}

std::optional<Element> ScalarOutliner::run() {
  if (!op || op.getNumReductionLoops() != 0)
    return std::nullopt;
  usedLoops.resize(op.getNumLoops());
  collect(scalar.value);
  for (Operation *definition : body)
    if (!isMemoryEffectFree(definition) || definition->getNumRegions() != 0)
      return std::nullopt;
  Element result;
  SmallVector<OpFoldResult> extents;
  SmallVector<AffineExpr> newLoops(op.getNumLoops(), builder.getAffineConstantExpr(0));
  SmallVector<unsigned> newNumbers(op.getNumLoops());
  for (unsigned loop : usedLoops.set_bits()) {
    std::optional<OpFoldResult> extent = getExtent(loop);
    if (!extent)
      return std::nullopt;
    newNumbers[loop] = extents.size();
    newLoops[loop] = builder.getAffineDimExpr(extents.size());
    extents.push_back(*extent);
    result.at.push_back(scalar.at[loop]);
  }
  unsigned rank = extents.size();
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : inputs) {
    operands.push_back(input->get());
    maps.push_back(op.getMatchingIndexingMap(input).replaceDimsAndSymbols(newLoops, {}, rank, 0));
  }
  maps.push_back(builder.getMultiDimIdentityMap(rank));
  Value empty = tensor::EmptyOp::create(builder, op.getLoc(), extents, scalar.value.getType());
  SmallVector<utils::IteratorType> parallel(rank, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, op.getLoc(), empty.getType(), operands, empty, maps, parallel,
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        IRMapping mapping;
        for (auto [input, argument] : llvm::zip(inputs, arguments))
          mapping.map(op.getMatchingBlockArgument(input), argument);
        for (Operation *definition : body) {
          Operation *copy = b.clone(*definition, mapping);
          if (auto index = dyn_cast<linalg::IndexOp>(copy))
            index.setDim(newNumbers[index.getDim()]);
        }
        linalg::YieldOp::create(b, loc, mapping.lookupOrDefault(scalar.value));
      });
  result.value = generic.getResult(0);
  return result;
}

/// The term as a tensor of rank 4, not yet scaled; its constant factors are moved to `factor`.
static Value buildTerm(ElementReader &reader, OperandBuilder &operands, OpBuilder &builder,
                       const ScoreTerm &term, const Dimensions &dimensions) {
  Element element = reader.skipMoves(term.element);
  Sources sources = collectSources(reader, term.element, /*skipsFactors=*/false);
  if (!element.isTensor() && !element.at.empty()) {
    if (std::optional<Element> outlined = ScalarOutliner(builder, element).run())
      sources.push_back(*outlined);
  }
  return operands.build(sources, dimensions, /*mayLack=*/true);
}

/// The sum of what float terms add, at most what boolean terms leave.
static Value combine(OpBuilder &b, Location loc, ArrayRef<ScoreTerm> terms, ValueRange values,
                     bool isBoolean) {
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(static_cast<float>(value)));
  };
  Value result;
  for (auto [term, given] : llvm::zip(terms, values)) {
    Value value = given;
    if (term.isVisibility) {
      if (term.isNegated)
        value = arith::XOrIOp::create(b, loc, value,
                                      arith::ConstantOp::create(b, loc, b.getBoolAttr(true)));
      if (!isBoolean)
        value =
            arith::SelectOp::create(b, loc, value, constant(0),
                                    constant(std::isfinite(term.fill) ? finiteFill : -HUGE_VAL));
      result = !result     ? value
               : isBoolean ? arith::AndIOp::create(b, loc, result, value).getResult()
                           : arith::AddFOp::create(b, loc, result, value).getResult();
      continue;
    }
    if (value.getType().getIntOrFloatBitWidth() < 32)
      value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
    else if (value.getType().isF64())
      value = arith::TruncFOp::create(b, loc, b.getF32Type(), value);
    if (term.factor != 1)
      value = arith::MulFOp::create(b, loc, value, constant(term.factor));
    Value isInfinite =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, value, constant(-HUGE_VAL));
    Value limited = arith::MaximumFOp::create(b, loc, value, constant(lowestFiniteBias));
    value = arith::SelectOp::create(b, loc, isInfinite, value, limited);
    result = result ? arith::AddFOp::create(b, loc, result, value).getResult() : value;
  }
  return result;
}

Value sage::raising::buildBias(ElementReader &reader, OperandBuilder &operands, OpBuilder &builder,
                               ArrayRef<ScoreTerm> terms, const Dimensions &dimensions,
                               Obstacle &obstacle) {
  SmallVector<Value> values;
  for (const ScoreTerm &term : terms) {
    values.push_back(buildTerm(reader, operands, builder, term, dimensions));
    bool isFloat = values.back() &&
                   isa<FloatType>(cast<RankedTensorType>(values.back().getType()).getElementType());
    if (!values.back() || isFloat == term.isVisibility) {
      obstacle = {term.op, "a mask or bias must be indexed by batch, heads, queries and keys"};
      return nullptr;
    }
  }
  bool isBoolean = llvm::all_of(
      terms, [](const ScoreTerm &term) { return term.isVisibility && !std::isfinite(term.fill); });
  Type element = cast<RankedTensorType>(values[0].getType()).getElementType();
  // A float16 bias times log2 e is always finite where it is itself.
  if (terms.size() == 1 &&
      (isBoolean ? !terms[0].isNegated : element.isF16() && terms[0].factor == 1))
    return values[0];
  Location loc = terms[0].op->getLoc();
  SmallVector<OpFoldResult> extents(4, builder.getIndexAttr(1));
  SmallVector<AffineMap> maps;
  for (Value value : values) {
    SmallVector<AffineExpr> exprs;
    for (auto [number, extent] : llvm::enumerate(tensor::getMixedSizes(builder, loc, value))) {
      bool isUnit = getConstantIntValue(extent) == 1;
      exprs.push_back(isUnit ? builder.getAffineConstantExpr(0) : builder.getAffineDimExpr(number));
      if (!isUnit)
        extents[number] = extent;
    }
    maps.push_back(AffineMap::get(4, 0, exprs, builder.getContext()));
  }
  maps.push_back(builder.getMultiDimIdentityMap(4));
  Type result = isBoolean ? Type(builder.getI1Type()) : Type(builder.getF32Type());
  Value empty = tensor::EmptyOp::create(builder, loc, extents, result);
  SmallVector<utils::IteratorType> parallel(4, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, loc, empty.getType(), values, empty, maps, parallel,
      [&](OpBuilder &b, Location at, ValueRange arguments) {
        linalg::YieldOp::create(b, at, combine(b, at, terms, arguments.drop_back(), isBoolean));
      });
  return generic.getResult(0);
}
