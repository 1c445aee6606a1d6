// Whether elements are equal, and whether they are constant.

#include "ElementReader.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

Element ElementReader::skipCasts(Element element) {
  while (true) {
    element = skipMoves(element);
    Node node = read(element);
    if (!node.is(Form::FloatCast))
      return element;
    element = node.operands[0];
  }
}

bool ElementReader::areEqual(Element a, Element b, int depth) {
  a = skipCasts(a);
  b = skipCasts(b);
  if (a == b)
    return true;
  if (depth == 0)
    return false;
  Node x = read(a), y = read(b);
  if (x.form != y.form || x.operands.size() != y.operands.size() || x.is(Form::Opaque))
    return false;
  if (x.is(Form::Constant))
    return x.constant == y.constant;
  if (x.is(Form::Loop) || x.is(Form::Softmax))
    if (x.index != y.index)
      return false;
  if (x.is(Form::Compare) && x.relation != y.relation)
    return false;
  if (x.is(Form::Reduce)) {
    if (x.combiner != y.combiner || loops.getExtent(x.loop) != loops.getExtent(y.loop))
      return false;
    for (Element &operand : y.operands)
      operand = substitute(operand, y.loop, loops.get(x.loop));
  }
  // Integers of different widths wrap differently.
  if (x.is(Form::NumberCast) &&
      getElementTypeOrSelf(x.op->getResult(0)) != getElementTypeOrSelf(y.op->getResult(0)))
    return false;
  return llvm::all_of(llvm::zip_equal(x.operands, y.operands), [&](const auto &pair) {
    return areEqual(std::get<0>(pair), std::get<1>(pair), depth - 1);
  });
}

std::optional<double> ElementReader::getConstant(const Element &element) {
  return getConstant(element, /*depth=*/8);
}

std::optional<double> ElementReader::getConstant(const Element &element, int depth) {
  Node node = read(element);
  if (node.is(Form::Constant))
    return node.constant;
  if (depth == 0)
    return std::nullopt;
  SmallVector<double, 3> values;
  auto evaluate = [&]() {
    for (const Element &operand : node.operands) {
      std::optional<double> value = getConstant(operand, depth - 1);
      if (!value)
        return false;
      values.push_back(*value);
    }
    return true;
  };
  switch (node.form) {
  case Form::FloatCast:
  case Form::NumberCast:
    return evaluate() ? std::optional(values[0]) : std::nullopt;
  case Form::Add:
    return evaluate() ? std::optional(values[0] + values[1]) : std::nullopt;
  case Form::Subtract:
    return evaluate() ? std::optional(values[0] - values[1]) : std::nullopt;
  case Form::Multiply:
    return evaluate() ? std::optional(values[0] * values[1]) : std::nullopt;
  case Form::Divide:
    return evaluate() ? std::optional(values[0] / values[1]) : std::nullopt;
  case Form::Negate:
    return evaluate() ? std::optional(-values[0]) : std::nullopt;
  case Form::Reciprocal:
    return evaluate() ? std::optional(1 / values[0]) : std::nullopt;
  case Form::SquareRoot:
    return evaluate() ? std::optional(std::sqrt(values[0])) : std::nullopt;
  case Form::ReciprocalRoot:
    return evaluate() ? std::optional(1 / std::sqrt(values[0])) : std::nullopt;
  default:
    return std::nullopt;
  }
}
