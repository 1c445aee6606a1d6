//===- Program.cpp - problem, recipe and geometry, checked ----------------===//
#include "Program.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr int64_t headDimLimit = 4096;
constexpr int64_t blockLimit = 1 << 20;

Status checkValueOrder(const Expression &order) {
  // Two groups: the second shows that the group's base is part of the map.
  for (int64_t base : {int64_t(0), valueOrderGroup}) {
    uint32_t seen = 0;
    for (int64_t i = 0; i < valueOrderGroup; ++i) {
      int64_t token;
      SAGE_RETURN_IF_ERROR(order.evaluateAt(base + i, token));
      if (token >= base && token < base + valueOrderGroup)
        seen |= 1u << (token - base);
    }
    if (seen != 0xffffu)
      return invalidArtifact("value_order must be a bijection on positions ", base, " to ",
                             base + valueOrderGroup - 1);
  }
  return {};
}

template <typename Enumeration>
Status checkChoice(const char *name, const Enumeration &value, Enumeration last) {
  int number = numberOf(value);
  if (number >= 0 && number <= int(last))
    return {};
  return invalidArgument(name, " must be 0 to ", int(last), ", but got ", number);
}

/// Tried out on the first tokens; the reference checks all that it uses.
Status checkGroups(const char *name, const Expression &map) {
  for (int64_t n = 0; n < 256; ++n) {
    int64_t group;
    SAGE_RETURN_IF_ERROR(map.evaluateAt(n, group));
    if (group < 0)
      return invalidArtifact(name, " must be at least 0, but token ", n, " gives ", group);
  }
  return {};
}

} // namespace

Status Geometry::create(const sage_geometry &plain, Geometry &result) {
  result.queryBlock = plain.query_block;
  result.keyTile = plain.key_tile;
  struct Map {
    const char *name, *text;
    Expression *parsed;
  };
  for (const Map &map : {Map{"query_groups", plain.query_groups, &result.queryGroups},
                         Map{"key_groups", plain.key_groups, &result.keyGroups},
                         Map{"value_order", plain.value_order, &result.valueOrder}}) {
    if (!map.text)
      return invalidArgument("geometry.", map.name, " must not be NULL");
    SAGE_RETURN_IF_ERROR(Expression::parseText(map.text, mapSymbols, *map.parsed)
                             .within(text("geometry.", map.name)));
  }
  result.hasParts = plain.key_parts != nullptr;
  if (result.hasParts)
    SAGE_RETURN_IF_ERROR(Expression::parseText(plain.key_parts, extentSymbols, result.keyParts)
                             .within("geometry.key_parts"));
  return checkGeometry(result);
}

Status Geometry::countKeyParts(const sage_problem &problem, const SymbolValues &symbols,
                               int64_t &parts) const {
  parts = 1;
  if (!hasParts || problem.packed)
    return {};
  for (Symbol extent : {Symbol::B, Symbol::Hq, Symbol::Hkv, Symbol::Nq, Symbol::Nk})
    if (symbols[size_t(extent)] == 0)
      return {};
  SAGE_RETURN_IF_ERROR(keyParts.evaluate(symbols, parts).within("geometry.key_parts"));
  int64_t tiles = (symbols[size_t(Symbol::Nk)] - 1) / keyTile + 1;
  parts = std::clamp<int64_t>(parts, 1, tiles);
  return {};
}

namespace {

/// Spec C16: sums with a token's index fit 32 bits.
constexpr int64_t windowLimit = int64_t(1) << 30;

/// Spec C16.
Status checkWindow(const sage_problem &problem) {
  bool isWindow =
      problem.mask == SAGE_MASK_WINDOW_TOP_LEFT || problem.mask == SAGE_MASK_WINDOW_BOTTOM_RIGHT;
  struct Bound {
    const char *name;
    int64_t value;
  };
  for (const Bound &bound :
       {Bound{"window_left", problem.has_window_left ? problem.window_left : 0},
        Bound{"window_right", problem.has_window_right ? problem.window_right : 0},
        Bound{"sink_tokens", problem.sink_tokens}})
    if (bound.value < 0 || bound.value > windowLimit)
      return invalidArtifact("problem.", bound.name, " must be 0 to ", windowLimit, ", but got ",
                             bound.value);
  if (isWindow && !problem.has_window_left && !problem.has_window_right)
    return invalidArtifact("problem: a window mask must come with window_left or window_right");
  if (problem.has_window_right && !isWindow)
    return invalidArtifact("problem.window_right must come with a window mask")
        .withRemedy("a causal mask is a window mask whose window_right is 0");
  if (problem.has_window_left && problem.mask == SAGE_MASK_NONE)
    return invalidArtifact("problem.window_left must come with a causal or a window mask");
  if (problem.sink_tokens != 0 && !problem.has_window_left)
    return invalidArtifact("problem.sink_tokens must come with window_left");
  return {};
}

/// Spec C9, C15 to C17.
Status checkMasking(const sage_problem &problem) {
  SAGE_RETURN_IF_ERROR(checkChoice("problem.mask", problem.mask, SAGE_MASK_WINDOW_BOTTOM_RIGHT));
  SAGE_RETURN_IF_ERROR(checkWindow(problem));
  SAGE_RETURN_IF_ERROR(checkChoice("problem.bias_type", problem.bias_type, SAGE_BOOL));
  bool fits = problem.softcap >= 0x1p-64 && problem.softcap <= 0x1p64;
  if (problem.softcap != 0 && !fits)
    return invalidArtifact("problem.softcap must be 2^-64 to 2^64, but got ", problem.softcap);
  if (problem.packed && problem.key_lengths)
    return invalidArtifact("problem: packed sequences come without key_lengths");
  if (problem.packed && problem.shape[0] != -1 && problem.shape[0] != 1)
    return invalidArtifact("problem.shape: B must be 1 with packed sequences, but got ",
                           problem.shape[0]);
  return {};
}

} // namespace

Status checkProblem(const sage_problem &problem) {
  SAGE_RETURN_IF_ERROR(checkChoice("problem.element_type", problem.element_type, SAGE_BF16));
  SAGE_RETURN_IF_ERROR(checkChoice("problem.layout", problem.layout, SAGE_TOKEN_MAJOR));
  SAGE_RETURN_IF_ERROR(checkMasking(problem));
  for (int64_t dim : {problem.head_dim, problem.value_head_dim})
    if (dim < 1 || dim > headDimLimit)
      return invalidArtifact("problem: head dims must be 1 to ", headDimLimit, ", but got ", dim);
  if (!(problem.scale >= 0) || !std::isfinite(problem.scale))
    return invalidArtifact("problem.scale must be finite and positive, but got ", problem.scale);
  for (int64_t extent : problem.shape)
    if (extent < -1)
      return invalidArtifact("problem.shape must be -1 or at least 0, but got ", extent);
  int64_t queryHeads = problem.shape[1], keyHeads = problem.shape[2];
  if (queryHeads > 0 && keyHeads >= 0 && (keyHeads == 0 || queryHeads % keyHeads != 0))
    return invalidArtifact("problem.shape: Hq must be a multiple of Hkv, but "
                           "got ",
                           queryHeads, " and ", keyHeads);
  return {};
}

Status checkRecipe(const sage_recipe &recipe) {
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.qk", recipe.qk, SAGE_SCORE_F16));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.granularity", recipe.granularity, SAGE_PER_TOKEN));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.pv", recipe.pv, SAGE_VALUE_F16));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.accumulation", recipe.accumulation, SAGE_TWO_LEVEL));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.inner", recipe.inner, SAGE_INNER_F16));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.row_sum", recipe.row_sum, SAGE_ROW_SUM_QUANTIZED));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.rotate", recipe.rotate, SAGE_ROTATE_HADAMARD));
  SAGE_RETURN_IF_ERROR(checkChoice("recipe.range", recipe.range, SAGE_RANGE_CLIPPED));
  bool twoLevel = recipe.accumulation == SAGE_TWO_LEVEL;
  if (recipe.interval < 0 || recipe.interval % 32 != 0 || (recipe.interval != 0 && !twoLevel))
    return invalidArtifact("recipe.interval must be 0 or, with two_level accumulation, a positive "
                           "multiple of 32, but got ",
                           recipe.interval);
  if (recipe.rotate != SAGE_ROTATE_NONE &&
      (recipe.qk == SAGE_SCORE_F16 || recipe.granularity == SAGE_PER_TENSOR))
    return invalidArtifact("recipe: rotate hadamard needs a quantized qk and scales of less than "
                           "a head");
  if (recipe.range == SAGE_RANGE_CLIPPED && recipe.qk != SAGE_SCORE_INT4)
    return invalidArtifact("recipe: range clipped needs qk int4");
  if (recipe.inner == SAGE_INNER_F16 &&
      (recipe.pv != SAGE_VALUE_E4M3 || !twoLevel || recipe.interval == 0 || recipe.interval > 64))
    return invalidArtifact("recipe: inner f16 needs pv e4m3, two_level accumulation and an "
                           "interval of 32 or 64");
  return {};
}

Status checkGeometry(const Geometry &geometry) {
  for (int64_t tokens : {geometry.queryBlock, geometry.keyTile})
    if (tokens < 1 || tokens > blockLimit)
      return invalidArtifact("geometry: query_block and key_tile must be 1 to ", blockLimit,
                             ", but got ", tokens);
  SAGE_RETURN_IF_ERROR(checkGroups("geometry.query_groups", geometry.queryGroups));
  SAGE_RETURN_IF_ERROR(checkGroups("geometry.key_groups", geometry.keyGroups));
  return checkValueOrder(geometry.valueOrder).within("geometry");
}

double resolvedScale(const sage_problem &problem, const sage_call &call) {
  if (call.scale != 0)
    return call.scale;
  return problem.scale != 0 ? problem.scale : 1.0 / std::sqrt(double(problem.head_dim));
}

} // namespace sage::runtime
