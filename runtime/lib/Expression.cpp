//===- Expression.cpp - integer expressions of the manifest ---------------===//
#include "Expression.h"

#include "JsonText.h"

#include <algorithm>

namespace sage::runtime {

const std::array<std::string_view, symbolCount> symbolNames = {
    "B",         "Hq",          "Hkv",          "Nq",      "Nk",
    "query_b",   "query_h",     "query_n",      "key_b",   "key_h",
    "key_n",     "value_b",     "value_h",      "value_n", "output_b",
    "output_h",  "output_n",    "step",         "S",       "query_align",
    "key_align", "value_align", "output_align", "bias_b",  "bias_h",
    "bias_q",    "bias_k",      "parts",        "n"};

namespace {

constexpr std::array<std::string_view, 8> operatorNames = {"add",      "sub",     "mul", "mod",
                                                           "floordiv", "ceildiv", "min", "max"};

std::string acceptedSymbols(SymbolSet allowed) {
  std::string names;
  for (size_t i = 0; i < symbolCount; ++i)
    if (allowed & (1u << i))
      names += (names.empty() ? "" : ", ") + std::string(symbolNames[i]);
  return names;
}

int64_t floorDivide(int64_t left, int64_t right) {
  int64_t quotient = left / right;
  return quotient - (left % right < 0 ? 1 : 0);
}

} // namespace

Status Expression::append(const nlohmann::json &json, SymbolSet allowed, size_t depth) {
  // A right operand waits for its left one: depth bounds the stack as well.
  if (depth > stackLimit)
    return invalidArtifact("expression must be nested at most ", stackLimit, " deep");
  if (json.is_number_integer()) {
    if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t(INT64_MAX))
      return invalidArtifact("expression has an integer above 2^63-1");
    steps.push_back({Kind::Constant, json.get<int64_t>()});
    return {};
  }
  if (json.is_string()) {
    const auto &name = json.get_ref<const std::string &>();
    auto found = std::find(symbolNames.begin(), symbolNames.end(), name);
    size_t index = size_t(found - symbolNames.begin());
    if (found == symbolNames.end() || !(allowed & (1u << index)))
      return invalidArtifact("expression has the unknown symbol '", name,
                             "'; accepted here: ", acceptedSymbols(allowed));
    used |= 1u << index;
    steps.push_back({Kind::Symbol, int64_t(index)});
    return {};
  }
  if (!json.is_array() || json.size() != 3 || !json[0].is_string())
    return invalidArtifact("expression must be an integer, a symbol or "
                           "[operator, left, right], but got ",
                           shortText(json));
  const auto &name = json[0].get_ref<const std::string &>();
  auto found = std::find(operatorNames.begin(), operatorNames.end(), name);
  if (found == operatorNames.end())
    return invalidArtifact("expression has the unknown operator '", name,
                           "'; accepted: add, sub, mul, mod, floordiv, "
                           "ceildiv, min, max");
  SAGE_RETURN_IF_ERROR(append(json[1], allowed, depth + 1));
  SAGE_RETURN_IF_ERROR(append(json[2], allowed, depth + 1));
  steps.push_back({Kind(size_t(Kind::Add) + size_t(found - operatorNames.begin())), 0});
  return {};
}

Status Expression::parse(const nlohmann::json &json, SymbolSet allowed, Expression &result) {
  Expression parsed;
  SAGE_RETURN_IF_ERROR(parsed.append(json, allowed, 1));
  result = std::move(parsed);
  return {};
}

Status Expression::parseText(std::string_view text, SymbolSet allowed, Expression &result) {
  nlohmann::json json;
  SAGE_RETURN_IF_ERROR(parseJson(text, json));
  return parse(json, allowed, result);
}

Status Expression::apply(Kind kind, int64_t left, int64_t right, int64_t &result) {
  bool divides = kind == Kind::Mod || kind == Kind::FloorDiv || kind == Kind::CeilDiv;
  if (divides && right <= 0)
    return invalidArtifact("expression divides by ", right, "; divisors must be positive");
  bool overflow = false;
  switch (kind) {
  case Kind::Add:
    overflow = __builtin_add_overflow(left, right, &result);
    break;
  case Kind::Sub:
    overflow = __builtin_sub_overflow(left, right, &result);
    break;
  case Kind::Mul:
    overflow = __builtin_mul_overflow(left, right, &result);
    break;
  case Kind::Mod:
    result = left % right;
    result += result < 0 ? right : 0;
    break;
  case Kind::FloorDiv:
    result = floorDivide(left, right);
    break;
  case Kind::CeilDiv:
    result = floorDivide(left, right) + (left % right != 0 ? 1 : 0);
    break;
  case Kind::Min:
    result = std::min(left, right);
    break;
  case Kind::Max:
    result = std::max(left, right);
    break;
  case Kind::Constant:
  case Kind::Symbol:
    break;
  }
  if (overflow)
    return invalidArgument("an expression of the artifact overflows 64 bits "
                           "for this shape");
  return {};
}

Status Expression::evaluate(const SymbolValues &symbols, int64_t &result) const {
  std::array<int64_t, stackLimit + 1> stack;
  size_t height = 0;
  for (const Step &step : steps) {
    if (step.kind == Kind::Constant) {
      stack[height++] = step.value;
    } else if (step.kind == Kind::Symbol) {
      stack[height++] = symbols[size_t(step.value)];
    } else {
      int64_t right = stack[--height], left = stack[height - 1];
      SAGE_RETURN_IF_ERROR(apply(step.kind, left, right, stack[height - 1]));
    }
  }
  result = height ? stack[0] : 0;
  return {};
}

Status Expression::evaluateAt(int64_t n, int64_t &result) const {
  SymbolValues symbols{};
  symbols[size_t(Symbol::N)] = n;
  return evaluate(symbols, result);
}

std::string Expression::json() const {
  std::vector<std::string> stack;
  for (const Step &step : steps) {
    if (step.kind == Kind::Constant) {
      stack.push_back(std::to_string(step.value));
    } else if (step.kind == Kind::Symbol) {
      stack.push_back('"' + std::string(symbolNames[size_t(step.value)]) + '"');
    } else {
      std::string right = std::move(stack.back());
      stack.pop_back();
      auto name = operatorNames[size_t(step.kind) - size_t(Kind::Add)];
      stack.back() = "[\"" + std::string(name) + "\"," + stack.back() + "," + right + "]";
    }
  }
  return stack.empty() ? "0" : stack.back();
}

} // namespace sage::runtime
