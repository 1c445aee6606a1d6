// Sums of products that may be attentions: one factor has to do with a softmax.

#include "AttentionMatcher.h"

using namespace mlir;
using namespace sage::raising;

/// Forms whose operands are looked into for a softmax or a product.
static bool isArithmetic(Form form) {
  switch (form) {
  case Form::Add:
  case Form::Subtract:
  case Form::Multiply:
  case Form::Divide:
  case Form::Negate:
  case Form::Reciprocal:
  case Form::Maximum:
  case Form::Minimum:
  case Form::Tanh:
  case Form::Select:
  case Form::FloatCast:
    return true;
  default:
    return false;
  }
}

bool AttentionMatcher::leadsToSoftmax(const Element &element, int depth) {
  Node node = reader.read(element);
  if (node.is(Form::Softmax))
    return true;
  if (node.isSum() && node.operands.size() == 1) {
    return getExponent(reader.read(reader.skipCasts(node.operands[0]))).has_value();
  }
  if (depth == 0 || !isArithmetic(node.form))
    return false;
  return llvm::any_of(node.operands,
                      [&](const Element &operand) { return leadsToSoftmax(operand, depth - 1); });
}

bool AttentionMatcher::isUnnormalized(Value tensor) {
  Node node = reader.read(reader.getElement(tensor));
  if (!node.isSum() || node.operands.size() != 2)
    return false;
  return llvm::any_of(node.operands, [&](const Element &operand) {
    double factor = 1;
    auto exponent = getExponent(reader.read(skipFactors(operand, factor)));
    return exponent && containsProduct(exponent->element);
  });
}

bool AttentionMatcher::isDivision(Value tensor) {
  auto quotient = getQuotient(reader.read(reader.skipCasts(reader.getElement(tensor))));
  if (!quotient)
    return false;
  Node numerator = reader.read(reader.skipCasts(quotient->first));
  return numerator.isSum() && numerator.operands.size() == 2;
}

bool AttentionMatcher::isCandidate(Value tensor) {
  Node node = reader.read(reader.getElement(tensor));
  if (!node.isSum() || node.operands.size() != 2)
    return false;
  return isUnnormalized(tensor) || leadsToSoftmax(node.operands[0], /*depth=*/8) ||
         leadsToSoftmax(node.operands[1], /*depth=*/8);
}
