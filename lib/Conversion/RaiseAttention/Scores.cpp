// The inner part of an attention: from the softmax's argument down to the product of queries and
// keys.

#include "AttentionMatcher.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

Element AttentionMatcher::skipFactors(Element element, double &factor) {
  while (true) {
    element = reader.skipCasts(element);
    Node node = reader.read(element);
    std::optional<double> constant;
    unsigned other = 0;
    if (node.is(Form::Multiply)) {
      for (unsigned side : {1, 0})
        if (!constant && (constant = reader.getConstant(node.operands[side])))
          other = 1 - side;
    } else if (node.is(Form::Divide)) {
      if ((constant = reader.getConstant(node.operands[1])))
        constant = 1 / *constant;
    } else if (node.is(Form::Negate)) {
      constant = -1;
    }
    if (!constant)
      return element;
    factor *= *constant;
    element = node.operands[other];
  }
}

bool AttentionMatcher::containsProduct(const Element &element, int depth) {
  Node node = reader.read(element);
  if (node.isSum() && node.operands.size() == 2)
    return true;
  if (depth == 0)
    return false;
  switch (node.form) {
  case Form::Add:
  case Form::Subtract:
  case Form::Multiply:
  case Form::Divide:
  case Form::Negate:
  case Form::Maximum:
  case Form::Minimum:
  case Form::Tanh:
  case Form::Select:
  case Form::FloatCast:
    return llvm::any_of(
        node.operands, [&](const Element &operand) { return containsProduct(operand, depth - 1); });
  default:
    return false;
  }
}

bool AttentionMatcher::matchSum(const Node &node, double factor, AttentionMatch &match) {
  bool isLeft = containsProduct(node.operands[0]), isRight = containsProduct(node.operands[1]);
  if (isLeft == isRight) {
    stop(node.op,
         isLeft ? "two products are added: only one may be that of queries and keys"
                : "the scores must be a product of queries and keys, and what is added to it");
    return false;
  }
  if (node.is(Form::Subtract) && isRight) {
    stop(node.op, "the scores must not be subtracted from anything");
    return false;
  }
  ScoreTerm term;
  term.element = node.operands[isLeft ? 1 : 0];
  term.factor = node.is(Form::Subtract) ? -factor : factor;
  term.op = node.op;
  match.terms.push_back(term);
  return matchScores(node.operands[isLeft ? 0 : 1], factor, match);
}

bool AttentionMatcher::matchSelection(const Node &node, double factor, AttentionMatch &match) {
  std::optional<double> fill;
  unsigned scores = 0;
  for (unsigned side : {1, 2})
    if (!fill && (fill = reader.getConstant(node.operands[side])))
      scores = 3 - side;
  if (!fill || !(*fill * factor <= highestFill)) {
    stop(node.op, "scores may be selected only to be replaced by -inf or a low constant");
    return false;
  }
  ScoreTerm term;
  term.element = node.operands[0];
  term.isVisibility = true;
  term.isNegated = scores == 2;
  term.fill = *fill * factor;
  term.op = node.op;
  match.terms.push_back(term);
  return matchScores(node.operands[scores], factor, match);
}

/// c · tanh(x / c) limits x to ±c.
bool AttentionMatcher::matchSoftcap(const Node &node, double factor, AttentionMatch &match) {
  size_t outside = match.terms.size();
  if (match.softcap || !(factor > 0)) {
    stop(node.op, "a soft cap must be positive and the only one");
    return false;
  }
  match.softcap = factor;
  if (!matchScores(node.operands[0], factor, match))
    return false;
  if (match.terms.size() == outside)
    return true;
  stop(match.terms.back().op, "masks and biases must follow the soft cap");
  return false;
}

bool AttentionMatcher::matchProduct(const Node &node, double factor, AttentionMatch &match) {
  const Element &left = node.operands[0], &right = node.operands[1];
  AffineExpr key = reader.loops.get(match.keyLoop);
  auto dependsOnKey = [&](const Element &element) {
    double unused = 1;
    return skipFactors(element, unused).uses(key);
  };
  bool isLeft = dependsOnKey(left), isRight = dependsOnKey(right);
  if (isLeft == isRight) {
    stop(node.op, isLeft ? "only one factor of the scores may depend on the key"
                         : "one factor of the scores must depend on the key");
    return false;
  }
  // The operands' builder skips the same factors, to choose where to begin.
  match.query = isLeft ? right : left;
  match.key = isLeft ? left : right;
  skipFactors(match.query, factor);
  skipFactors(match.key, factor);
  match.channelLoop = node.loop;
  match.scale = factor;
  match.product = node.op;
  if (std::isfinite(factor) && factor > 0)
    return true;
  stop(node.op, "the scale must be finite and positive");
  return false;
}

bool AttentionMatcher::matchScores(const Element &scores, double factor, AttentionMatch &match) {
  Element element = skipFactors(scores, factor);
  Node node = reader.read(element);
  switch (node.form) {
  case Form::Add:
  case Form::Subtract:
    return matchSum(node, factor, match);
  case Form::Select:
    return matchSelection(node, factor, match);
  case Form::Tanh:
    return matchSoftcap(node, factor, match);
  case Form::Reduce:
    if (node.isSum() && node.operands.size() == 2)
      return matchProduct(node, factor, match);
    break;
  case Form::Multiply:
  case Form::Divide:
    stop(node.op, "the scale of the scores must be a constant");
    return false;
  default:
    break;
  }
  stop(node.op ? node.op : Value(element.value).getParentBlock()->getParentOp(),
       "the scores must be a product of queries and keys");
  return false;
}
