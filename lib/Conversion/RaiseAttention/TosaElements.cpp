// Elements of what tosa ops compute.

#include "ElementReader.h"

#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sage::raising;

std::optional<Element> ElementReader::moveThroughTosaOp(Operation *op, const Element &element) {
  auto shapeOf = [](Value value) { return dyn_cast<RankedTensorType>(value.getType()); };
  if (auto identity = dyn_cast<tosa::IdentityOp>(op))
    return Element{identity.getInput1(), element.at};
  if (auto transpose = dyn_cast<tosa::TransposeOp>(op)) {
    Element result{transpose.getInput1(), element.at};
    for (auto [to, from] : llvm::enumerate(transpose.getPerms()))
      result.at[from] = element.at[to];
    return result;
  }
  if (auto reshape = dyn_cast<tosa::ReshapeOp>(op)) {
    RankedTensorType from = shapeOf(reshape.getInput1()), to = shapeOf(element.value);
    if (!from || !to)
      return std::nullopt;
    auto at = loops.reshape(element.at, to.getShape(), from.getShape());
    if (!at)
      return std::nullopt;
    return Element{reshape.getInput1(), *at};
  }
  if (auto tile = dyn_cast<tosa::TileOp>(op)) {
    RankedTensorType from = shapeOf(tile.getInput1()), to = shapeOf(element.value);
    Element result{tile.getInput1(), {}};
    for (auto [index, before, after] : llvm::zip(element.at, from.getShape(), to.getShape())) {
      bool repeats = before != after || ShapedType::isDynamic(before);
      if (repeats && (ShapedType::isDynamic(before) || before == 0))
        return std::nullopt;
      result.at.push_back(repeats ? loops.simplify(index % before) : index);
    }
    return result;
  }
  return std::nullopt;
}

static Form getForm(Operation *op) {
  return llvm::TypeSwitch<Operation *, Form>(op)
      .Case<tosa::AddOp>([](auto) { return Form::Add; })
      .Case<tosa::SubOp>([](auto) { return Form::Subtract; })
      .Case<tosa::NegateOp>([](auto) { return Form::Negate; })
      .Case<tosa::AbsOp>([](auto) { return Form::Absolute; })
      .Case<tosa::ReciprocalOp>([](auto) { return Form::Reciprocal; })
      .Case<tosa::MaximumOp>([](auto) { return Form::Maximum; })
      .Case<tosa::MinimumOp>([](auto) { return Form::Minimum; })
      .Case<tosa::ExpOp>([](auto) { return Form::Exp; })
      .Case<tosa::PowOp>([](auto) { return Form::Power; })
      .Case<tosa::TanhOp>([](auto) { return Form::Tanh; })
      .Case<tosa::RsqrtOp>([](auto) { return Form::ReciprocalRoot; })
      .Case<tosa::SelectOp>([](auto) { return Form::Select; })
      .Case<tosa::LogicalAndOp>([](auto) { return Form::And; })
      .Case<tosa::LogicalOrOp>([](auto) { return Form::Or; })
      .Case<tosa::LogicalXorOp>([](auto) { return Form::Xor; })
      .Case<tosa::LogicalNotOp>([](auto) { return Form::Not; })
      .Case<tosa::EqualOp, tosa::GreaterOp, tosa::GreaterEqualOp>(
          [](auto) { return Form::Compare; })
      .Case<tosa::MulOp>([](tosa::MulOp mul) {
        // Integer products may be shifted.
        bool isFloat = isa<FloatType>(getElementTypeOrSelf(mul.getType()));
        return isFloat ? Form::Multiply : Form::Opaque;
      })
      .Case<tosa::CastOp>([](tosa::CastOp cast) {
        Type from = getElementTypeOrSelf(cast.getInput().getType());
        Type to = getElementTypeOrSelf(cast.getType());
        auto isPlain = [](Type type) {
          return type.isF16() || type.isBF16() || type.isF32() || type.isF64();
        };
        if (isPlain(from) && isPlain(to))
          return Form::FloatCast;
        // Indices fit 32 bits; floats are rounded on the way to integers.
        bool fits = !to.isInteger() || to.getIntOrFloatBitWidth() >= 32;
        return from.isInteger() && fits && (isPlain(to) || to.isInteger()) ? Form::NumberCast
                                                                           : Form::Opaque;
      })
      .Default([](auto) { return Form::Opaque; });
}

static std::optional<Combiner> getCombiner(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Combiner>>(op)
      .Case<tosa::ReduceSumOp>([](auto reduce) -> std::optional<Combiner> {
        if (!isa<FloatType>(getElementTypeOrSelf(reduce.getType())))
          return std::nullopt;
        return Combiner::Sum;
      })
      .Case<tosa::ReduceMaxOp>([](auto) { return Combiner::Maximum; })
      .Case<tosa::ReduceAllOp>([](auto) { return Combiner::All; })
      .Case<tosa::ReduceAnyOp>([](auto) { return Combiner::Any; })
      .Default([](auto) { return std::nullopt; });
}

void ElementReader::readTosa(const Element &element, Node &node) {
  if (auto matmul = dyn_cast<tosa::MatMulOp>(node.op)) {
    auto type = dyn_cast<RankedTensorType>(matmul.getA().getType());
    if (!type || !isa<FloatType>(type.getElementType()) ||
        getConstant({matmul.getAZp(), {loops.getConstant(0)}}) != 0.0 ||
        getConstant({matmul.getBZp(), {loops.getConstant(0)}}) != 0.0)
      return;
    node.form = Form::Reduce;
    node.loop = loops.add(type.getDimSize(2));
    AffineExpr inner = loops.get(node.loop);
    node.operands = {Element{matmul.getA(), {element.at[0], element.at[1], inner}},
                     Element{matmul.getB(), {element.at[0], inner, element.at[2]}}};
    return;
  }
  if (std::optional<Combiner> combiner = getCombiner(node.op)) {
    Value input = node.op->getOperand(0);
    auto type = dyn_cast<RankedTensorType>(input.getType());
    if (!type)
      return;
    int64_t axis = node.op->getAttrOfType<IntegerAttr>("axis").getInt();
    node.form = Form::Reduce;
    node.combiner = *combiner;
    node.loop = loops.add(type.getDimSize(axis));
    Element reduced{input, element.at};
    reduced.at[axis] = loops.get(node.loop);
    node.operands = {reduced};
    return;
  }
  node.form = getForm(node.op);
  if (node.is(Form::Opaque))
    return;
  if (isa<tosa::GreaterOp>(node.op))
    node.relation = Relation::Greater;
  else if (isa<tosa::GreaterEqualOp>(node.op))
    node.relation = Relation::GreaterEqual;
  // Zero points and shifts come last.
  unsigned count = node.is(Form::Select)                                     ? 3
                   : node.op->getNumOperands() == 1 || node.is(Form::Negate) ? 1
                                                                             : 2;
  for (Value operand : node.op->getOperands().take_front(count))
    node.operands.push_back(getOperand(element, operand));
}
