// The outer part of an attention: the product with the values, and the softmax in it.

#include "AttentionMatcher.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

std::nullopt_t AttentionMatcher::stop(Operation *op, const Twine &reason) {
  // The first obstacle on the way is the one that decides.
  if (!obstacle.op) {
    obstacle.op = op;
    obstacle.reason = reason.str();
  }
  return std::nullopt;
}

std::optional<std::pair<Element, Element>> AttentionMatcher::getQuotient(const Node &node) {
  if (node.is(Form::Divide))
    return std::pair(node.operands[0], node.operands[1]);
  if (!node.is(Form::Multiply))
    return std::nullopt;
  for (unsigned side : {1, 0}) {
    Node inverse = reader.read(reader.skipCasts(node.operands[side]));
    if (inverse.is(Form::Reciprocal))
      return std::pair(node.operands[1 - side], inverse.operands[0]);
    // 1 / x
    if (inverse.is(Form::Divide) && reader.getConstant(inverse.operands[0]) == 1.0)
      return std::pair(node.operands[1 - side], inverse.operands[1]);
  }
  return std::nullopt;
}

std::optional<AttentionMatcher::Exponent> AttentionMatcher::getExponent(const Node &node) {
  if (node.is(Form::Exp))
    return Exponent{node.operands[0], 1};
  if (node.is(Form::Exp2))
    return Exponent{node.operands[0], std::log(2.0)};
  if (!node.is(Form::Power))
    return std::nullopt;
  std::optional<double> base = reader.getConstant(node.operands[0]);
  if (!base || !(*base > 1))
    return std::nullopt;
  return Exponent{node.operands[1], std::log(*base)};
}

/// A guard against -inf - -inf: max(m, low), or m == -inf ? number : m. What is subtracted from a
/// whole row does not change its weights.
std::optional<Element> AttentionMatcher::skipMaximumGuard(const Node &node) {
  for (unsigned side : {0, 1})
    if (node.is(Form::Maximum) &&
        reader.getConstant(node.operands[side]).value_or(0) <= highestFill)
      return node.operands[1 - side];
  if (!node.is(Form::Select))
    return std::nullopt;
  Node test = reader.read(node.operands[0]);
  if (!test.is(Form::Compare) || reader.getConstant(test.operands[1]).value_or(0) > highestFill)
    return std::nullopt;
  for (unsigned side : {1, 2})
    if (std::abs(reader.getConstant(node.operands[side]).value_or(HUGE_VAL)) < 1 &&
        reader.areEqual(test.operands[0], node.operands[3 - side]))
      return node.operands[3 - side];
  return std::nullopt;
}

bool AttentionMatcher::isMaximumOf(const Element &maximum, const Element &scores, unsigned key) {
  Element element = reader.skipCasts(maximum);
  Node node = reader.read(element);
  if (std::optional<Element> guarded = skipMaximumGuard(node))
    node = reader.read(reader.skipCasts(*guarded));
  if (!node.is(Form::Reduce) || node.combiner != Combiner::Maximum) {
    stop(node.op, "what is subtracted from the scores must be their maximum over the keys");
    return false;
  }
  Element reduced = reader.substitute(node.operands[0], node.loop, reader.loops.get(key));
  if (reader.loops.getExtent(node.loop) == reader.loops.getExtent(key) &&
      reader.areEqual(reduced, scores))
    return true;
  stop(node.op, "the maximum must be that of the same scores over all keys");
  return false;
}

std::optional<AttentionMatcher::Softmax>
AttentionMatcher::matchExponential(const Element &exponential, unsigned key) {
  Node node = reader.read(exponential);
  std::optional<Exponent> exponent = getExponent(node);
  if (!exponent)
    return stop(node.op, "what the weights' sum divides must be an exponential");
  Softmax result{exponent->element, exponent->toNatural, false};
  Node difference = reader.read(reader.skipCasts(exponent->element));
  if (!difference.is(Form::Subtract))
    return result;
  Element shift = reader.skipMoves(difference.operands[1]);
  // What differs from key to key is a part of the scores.
  if (shift.uses(reader.loops.get(key)))
    return result;
  if (!isMaximumOf(shift, difference.operands[0], key))
    return std::nullopt;
  result.scores = difference.operands[0];
  return result;
}

bool AttentionMatcher::isSumOf(const Element &sum, const Element &exponential, unsigned key) {
  Node node = reader.read(reader.skipCasts(sum));
  if (!node.isSum() || node.operands.size() != 1) {
    stop(node.op, "the weights must be divided by their sum over the keys");
    return false;
  }
  Element summand = reader.substitute(node.operands[0], node.loop, reader.loops.get(key));
  if (reader.loops.getExtent(node.loop) == reader.loops.getExtent(key) &&
      reader.areEqual(summand, exponential))
    return true;
  stop(node.op, "the weights must be divided by the sum of the same exponentials over all keys");
  return false;
}

std::optional<AttentionMatcher::Softmax>
AttentionMatcher::matchQuotient(const Element &exponential, Element sum, unsigned key) {
  Element numerator = reader.skipCasts(exponential);
  std::optional<Softmax> result = matchExponential(numerator, key);
  if (!result)
    return std::nullopt;
  Node denominator = reader.read(reader.skipCasts(sum));
  if (denominator.is(Form::Select)) {
    // sum == 0 ? 1 : sum, or the reverse
    Node test = reader.read(denominator.operands[0]);
    bool isZero = test.is(Form::Compare) && test.relation == Relation::Equal;
    bool isOther = test.is(Form::Compare) &&
                   (test.relation == Relation::NotEqual || test.relation == Relation::Greater);
    unsigned side = isZero ? 2 : 1;
    if ((!isZero && !isOther) || reader.getConstant(test.operands[1]) != 0.0 ||
        !reader.areEqual(test.operands[0], denominator.operands[side]) ||
        reader.getConstant(denominator.operands[3 - side]).value_or(0) <= 0)
      return stop(denominator.op,
                  "the weights must be divided by their sum, or by 1 where it is 0");
    sum = denominator.operands[side];
  }
  if (!isSumOf(sum, numerator, key))
    return std::nullopt;
  return result;
}

std::optional<AttentionMatcher::Guard> AttentionMatcher::matchGuard(const Node &select) {
  for (unsigned side : {1, 2}) {
    if (reader.getConstant(select.operands[side]) != 0.0)
      continue;
    bool wanted = side == 1;
    Node test = reader.read(select.operands[0]);
    while (test.is(Form::Not)) {
      wanted = !wanted;
      test = reader.read(test.operands[0]);
    }
    // All scores are -inf, or their maximum is; or the negation of either.
    bool isReduced =
        test.is(Form::Reduce) && test.combiner == (wanted ? Combiner::All : Combiner::Any);
    Node compared = isReduced ? reader.read(test.operands[0]) : test;
    if (!compared.is(Form::Compare) ||
        compared.relation != (wanted ? Relation::Equal : Relation::NotEqual) ||
        reader.getConstant(compared.operands[1]) != -HUGE_VAL)
      continue;
    if (isReduced)
      return Guard{select.operands[3 - side], compared.operands[0], test.loop};
    Node maximum = reader.read(reader.skipCasts(compared.operands[0]));
    if (maximum.is(Form::Reduce) && maximum.combiner == Combiner::Maximum)
      return Guard{select.operands[3 - side], maximum.operands[0], maximum.loop};
  }
  return std::nullopt;
}

std::optional<AttentionMatcher::Softmax>
AttentionMatcher::matchWeights(Element weights, std::optional<Element> sum, unsigned key) {
  weights = reader.skipCasts(weights);
  Node node = reader.read(weights);
  if (node.is(Form::Select)) {
    std::optional<Guard> guard = matchGuard(node);
    if (!guard)
      return stop(node.op,
                  "weights may be selected only to be 0 where all scores of a row are -inf");
    std::optional<Softmax> result = matchWeights(guard->weights, sum, key);
    if (!result)
      return std::nullopt;
    Element score = reader.substitute(guard->score, guard->loop, reader.loops.get(key));
    if (reader.loops.getExtent(guard->loop) != reader.loops.getExtent(key) ||
        !reader.areEqual(score, result->scores))
      return stop(node.op, "rows must be tested for -inf by all of their scores");
    result->isGuarded = true;
    return result;
  }
  if (node.is(Form::Softmax)) {
    auto softmax = cast<linalg::SoftmaxOp>(node.op);
    int64_t extent = softmax.getInputOperandType().getDimSize(softmax.getDimension());
    if (node.index != reader.loops.get(key) || extent != reader.loops.getExtent(key))
      return stop(node.op,
                  "the softmax must be over all keys, which the product with the values sums");
    return Softmax{node.operands[0], 1, false};
  }
  auto quotient = getQuotient(node);
  if (quotient && !reader.getConstant(quotient->second))
    return matchQuotient(quotient->first, quotient->second, key);
  if (getExponent(node)) {
    if (!sum)
      return stop(node.op, "exponentials must be divided by their sum over the keys");
    return matchQuotient(weights, *sum, key);
  }
  if (quotient || node.is(Form::Multiply))
    return stop(node.op,
                "the softmax's weights must not be multiplied by anything, such as dropout");
  return stop(node.op, "the values must be multiplied by the weights of a softmax");
}

std::optional<AttentionMatch> AttentionMatcher::match(Value root) {
  obstacle = {};
  AttentionMatch match;
  match.root = root;
  Element element{root, {}};
  for (int64_t extent : cast<RankedTensorType>(root.getType()).getShape()) {
    match.rootLoops.push_back(reader.loops.add(extent));
    element.at.push_back(reader.loops.get(match.rootLoops.back()));
  }
  element = reader.skipCasts(element);
  Node node = reader.read(element);
  std::optional<Element> sum;
  if (auto quotient = getQuotient(node)) {
    sum = quotient->second;
    node = reader.read(reader.skipCasts(quotient->first));
  }
  if (!node.isSum() || node.operands.size() != 2)
    return stop(node.op, "the values must be summed with the softmax's weights");
  match.keyLoop = node.loop;
  unsigned side = 0;
  auto leads = [&](unsigned k) {
    double factor = 1;
    Node weights = reader.read(skipFactors(node.operands[k], factor));
    return sum ? getExponent(weights).has_value() : leadsToSoftmax(node.operands[k], /*depth=*/8);
  };
  while (side < 2 && !leads(side))
    ++side;
  if (side == 2 && isUnnormalized(root))
    return stop(node.op, "exponentials must be divided by their sum over the keys");
  if (side == 2 || leads(1 - side))
    return stop(node.op, "one factor must be the weights of a softmax, the other the values");
  match.value = node.operands[1 - side];
  std::optional<Softmax> softmax = matchWeights(node.operands[side], sum, node.loop);
  if (!softmax)
    return std::nullopt;
  match.isGuarded = softmax->isGuarded;
  if (!matchScores(softmax->scores, softmax->toNatural, match))
    return std::nullopt;
  return match;
}
