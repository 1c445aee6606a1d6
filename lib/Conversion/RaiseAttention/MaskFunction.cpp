// Masks as functions of the distance: what is built of indices, comparisons, selections and
// constants.

#include "MaskFunction.h"

#include <cmath>

using namespace mlir;
using namespace sage::raising;

void MaskFunction::normalize() {
  SmallVector<Step> kept;
  for (const Step &step : steps)
    if (kept.empty() || !(kept.back().value == step.value))
      kept.push_back(step);
  steps = std::move(kept);
}

double MaskFunction::at(int64_t distance) const {
  double value = steps.front().value;
  for (const Step &step : steps)
    if (step.start <= distance)
      value = step.value;
  return value;
}

MaskFunction MaskFunction::apply(ArrayRef<MaskFunction> functions,
                                 function_ref<double(ArrayRef<double>)> operation) {
  SmallVector<int64_t> starts;
  for (const MaskFunction &function : functions)
    for (const Step &step : function.steps)
      starts.push_back(step.start);
  llvm::sort(starts);
  starts.erase(llvm::unique(starts), starts.end());
  SmallVector<Step> steps;
  for (int64_t start : starts) {
    SmallVector<double> values;
    for (const MaskFunction &function : functions)
      values.push_back(function.at(start));
    steps.push_back({start, operation(values)});
  }
  return MaskFunction(std::move(steps));
}

static double applyForm(Form form, ArrayRef<double> x) {
  switch (form) {
  case Form::Add:
    return x[0] + x[1];
  case Form::Subtract:
    return x[0] - x[1];
  case Form::Multiply:
    return x[0] * x[1];
  case Form::Divide:
    return x[0] / x[1];
  case Form::Negate:
    return -x[0];
  case Form::Absolute:
    return std::abs(x[0]);
  case Form::Maximum:
    return std::max(x[0], x[1]);
  case Form::Minimum:
    return std::min(x[0], x[1]);
  case Form::Select:
    return x[0] != 0 ? x[1] : x[2];
  case Form::And:
    return x[0] != 0 && x[1] != 0;
  case Form::Or:
    return x[0] != 0 || x[1] != 0;
  case Form::Xor:
    return (x[0] != 0) != (x[1] != 0);
  case Form::Not:
    return x[0] == 0;
  default:
    return x[0];
  }
}

static bool holds(Relation relation, double left, double right) {
  switch (relation) {
  case Relation::Equal:
    return left == right;
  case Relation::NotEqual:
    return left != right;
  case Relation::Less:
    return left < right;
  case Relation::LessEqual:
    return left <= right;
  case Relation::Greater:
    return left > right;
  case Relation::GreaterEqual:
    return left >= right;
  }
  return false;
}

static bool canApply(Form form) {
  switch (form) {
  case Form::Add:
  case Form::Subtract:
  case Form::Multiply:
  case Form::Divide:
  case Form::Negate:
  case Form::Absolute:
  case Form::Maximum:
  case Form::Minimum:
  case Form::Select:
  case Form::And:
  case Form::Or:
  case Form::Xor:
  case Form::Not:
  case Form::FloatCast:
  case Form::NumberCast:
    return true;
  default:
    return false;
  }
}

std::optional<MaskEvaluator::Value> MaskEvaluator::getLinear(AffineExpr index) {
  IndexSum sum = IndexSum::get(reader.loops.simplify(index));
  Value value;
  value.constant = sum.constant;
  for (const IndexTerm &term : sum.terms) {
    if (term.atom == loops.query)
      value.query = term.coefficient;
    else if (term.atom == loops.key)
      value.key = term.coefficient;
    else
      return std::nullopt;
  }
  return value;
}

/// The relation of the negated numbers, which is also that of the exchanged ones.
static Relation mirror(Relation relation) {
  switch (relation) {
  case Relation::Less:
    return Relation::Greater;
  case Relation::LessEqual:
    return Relation::GreaterEqual;
  case Relation::Greater:
    return Relation::Less;
  case Relation::GreaterEqual:
    return Relation::LessEqual;
  default:
    return relation;
  }
}

/// |x| < c is x < c and x > -c, |x| > c is x > c or x < -c.
std::optional<MaskFunction> MaskEvaluator::compareMagnitude(Relation relation, Value left,
                                                            const Value &right) {
  bool isLess = relation == Relation::Less || relation == Relation::LessEqual;
  bool isGreater = relation == Relation::Greater || relation == Relation::GreaterEqual;
  if ((!isLess && !isGreater) || right.isMagnitude || right.query != 0 || right.key != 0)
    return std::nullopt;
  left.isMagnitude = false;
  Value negative = right;
  negative.constant = -right.constant;
  if (right.function)
    negative.function =
        MaskFunction::apply(*right.function, [](ArrayRef<double> x) { return -x[0]; });
  auto above = compare(relation, left, right), below = compare(mirror(relation), left, negative);
  if (!above || !below)
    return std::nullopt;
  return MaskFunction::apply({*above, *below}, [&](ArrayRef<double> x) {
    return double(isLess ? x[0] != 0 && x[1] != 0 : x[0] != 0 || x[1] != 0);
  });
}

std::optional<MaskFunction> MaskEvaluator::compare(Relation relation, const Value &left,
                                                   const Value &right) {
  if (left.isMagnitude)
    return compareMagnitude(relation, left, right);
  if (right.isMagnitude)
    return compareMagnitude(mirror(relation), right, left);
  auto isNumber = [](const Value &v) { return v.query == 0 && v.key == 0; };
  auto functionOf = [&](const Value &v) {
    return v.function ? *v.function : MaskFunction(static_cast<double>(v.constant));
  };
  if (isNumber(left) && isNumber(right))
    return MaskFunction::apply({functionOf(left), functionOf(right)}, [&](ArrayRef<double> x) {
      return double(holds(relation, x[0], x[1]));
    });
  auto constantOf = [](const Value &v) -> std::optional<double> {
    if (!v.function)
      return double(v.constant);
    return v.function->isConstant() ? std::optional(v.function->at(0)) : std::nullopt;
  };
  std::optional<double> a = constantOf(left), b = constantOf(right);
  int64_t key = left.key - right.key, query = left.query - right.query;
  if (!a || !b || key != -query || (key != 1 && key != -1) || !std::isfinite(*a - *b))
    return std::nullopt;
  // key · distance + (a - b) against 0, at the distances where that changes.
  double zero = key * (*b - *a);
  if (std::abs(zero) > 1e15)
    return std::nullopt;
  auto floor = static_cast<int64_t>(std::floor(zero)), ceil = static_cast<int64_t>(std::ceil(zero));
  SmallVector<MaskFunction::Step> steps;
  for (int64_t start : {floor - 1, floor, ceil, ceil + 1}) {
    bool isFirst = steps.empty();
    steps.push_back({isFirst ? MaskFunction::unbounded : start,
                     double(holds(relation, key * double(start) + *a - *b, 0.0))});
  }
  return MaskFunction(std::move(steps));
}

/// Whether a type holds all values exactly: 16-bit floats round large indices.
bool MaskEvaluator::holdsIndices(Type type, const Value &linear) {
  if (!type.isF16() && !type.isBF16())
    return true;
  if (ShapedType::isDynamic(loops.queries) || ShapedType::isDynamic(loops.keys))
    return false;
  int64_t most = std::abs(linear.query) * loops.queries + std::abs(linear.key) * loops.keys +
                 std::abs(linear.constant);
  return most <= int64_t(1) << cast<FloatType>(type).getFPMantissaWidth();
}

std::optional<MaskEvaluator::Value> MaskEvaluator::evaluateNode(const Node &node,
                                                                ArrayRef<Value> operands) {
  Value result;
  if (node.is(Form::Compare)) {
    result.function = compare(node.relation, operands[0], operands[1]);
    return result.function ? std::optional(result) : std::nullopt;
  }
  bool areFunctions =
      llvm::all_of(operands, [](const Value &v) { return v.query == 0 && v.key == 0; });
  if (areFunctions) {
    SmallVector<MaskFunction> functions;
    for (const Value &operand : operands)
      functions.push_back(operand.function ? *operand.function
                                           : MaskFunction(static_cast<double>(operand.constant)));
    result.function =
        MaskFunction::apply(functions, [&](ArrayRef<double> x) { return applyForm(node.form, x); });
    return result;
  }
  // Linear in the indices: sums and differences with whole constants.
  SmallVector<Value, 2> linear(operands.begin(), operands.end());
  for (Value &operand : linear) {
    if (!operand.function)
      continue;
    double constant = operand.function->at(0);
    if (!operand.function->isConstant() || constant != std::floor(constant) ||
        std::abs(constant) > 1e15)
      return std::nullopt;
    operand.constant = static_cast<int64_t>(constant);
    operand.function.reset();
  }
  bool isMagnitude = llvm::any_of(linear, [](const Value &v) { return v.isMagnitude; });
  if (isMagnitude && !node.is(Form::FloatCast) && !node.is(Form::NumberCast))
    return std::nullopt;
  switch (node.form) {
  case Form::Absolute:
    linear[0].isMagnitude = true;
    return linear[0];
  case Form::FloatCast:
  case Form::NumberCast:
    return holdsIndices(getElementTypeOrSelf(node.op->getResult(0)), linear[0])
               ? std::optional(linear[0])
               : std::nullopt;
  case Form::Negate:
    return Value{-linear[0].query, -linear[0].key, -linear[0].constant, std::nullopt};
  case Form::Add:
  case Form::Subtract: {
    int64_t sign = node.is(Form::Add) ? 1 : -1;
    return Value{linear[0].query + sign * linear[1].query, linear[0].key + sign * linear[1].key,
                 linear[0].constant + sign * linear[1].constant, std::nullopt};
  }
  default:
    return std::nullopt;
  }
}

std::optional<MaskEvaluator::Value> MaskEvaluator::evaluate(const Element &start, int depth) {
  if (depth == 0)
    return std::nullopt;
  Element element = reader.skipMoves(start);
  Node node = reader.read(element);
  if (node.is(Form::Constant))
    return Value{0, 0, 0, MaskFunction(node.constant)};
  if (node.is(Form::Loop))
    return getLinear(node.index);
  if (node.is(Form::Opaque))
    return evaluateTable(element);
  if (!canApply(node.form) && !node.is(Form::Compare))
    return std::nullopt;
  SmallVector<Value, 3> operands;
  for (const Element &operand : node.operands) {
    std::optional<Value> value = evaluate(operand, depth - 1);
    if (!value)
      return std::nullopt;
    operands.push_back(*value);
  }
  return evaluateNode(node, operands);
}

std::optional<MaskFunction> MaskEvaluator::evaluate(const Element &element) {
  std::optional<Value> value = evaluate(element, /*depth=*/24);
  if (!value || value->query != 0 || value->key != 0)
    return std::nullopt;
  return value->function ? *value->function : MaskFunction(static_cast<double>(value->constant));
}
