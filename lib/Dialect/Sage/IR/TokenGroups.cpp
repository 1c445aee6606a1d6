// Arithmetic on the affine maps of a geometry.

#include "sage/Dialect/Sage/IR/TokenGroups.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/Support/MathExtras.h"

#include <cstdlib>
#include <numeric>
#include <optional>

using namespace mlir;
using namespace sage;

namespace {
/// expr(n + period) = expr(n) + increment for every n; |expr(n)| <= magnitude for n up to 2 *
/// maxPeriod.
struct Repetition {
  int64_t period;
  int64_t increment;
  int64_t magnitude;
};
} // namespace

/// Longest period and largest constant that are looked into, and largest value on the way: they
/// keep the verification of a hostile map cheap and its arithmetic inside 64 bits.
static constexpr int64_t maxPeriod = 1 << 16;
static constexpr int64_t maxMagnitude = int64_t(1) << 40;

/// Every token of a period is looked at with every node of the map.
static constexpr int64_t maxNodes = 64;

/// Whether `expr` has at most `budget` nodes, which it takes off.
static bool takeNodes(AffineExpr expr, int64_t &budget) {
  if (--budget < 0)
    return false;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  return !binary || (takeNodes(binary.getLHS(), budget) && takeNodes(binary.getRHS(), budget));
}

static bool isSmall(AffineMap map) {
  int64_t budget = maxNodes;
  return takeNodes(map.getResult(0), budget);
}

static std::optional<Repetition> findRepetition(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    if (constant.getValue() > maxMagnitude || constant.getValue() < -maxMagnitude)
      return std::nullopt;
    return Repetition{1, 0, std::abs(constant.getValue())};
  }
  if (isa<AffineDimExpr>(expr))
    return Repetition{1, 1, 2 * maxPeriod};
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  std::optional<Repetition> lhs = findRepetition(binary.getLHS());
  if (!lhs)
    return std::nullopt;

  if (expr.getKind() == AffineExprKind::Add) {
    std::optional<Repetition> rhs = findRepetition(binary.getRHS());
    if (!rhs)
      return std::nullopt;
    int64_t period = std::lcm(lhs->period, rhs->period);
    int64_t magnitude = lhs->magnitude + rhs->magnitude;
    if (period > maxPeriod || magnitude > maxMagnitude)
      return std::nullopt;
    return Repetition{
        period, lhs->increment * (period / lhs->period) + rhs->increment * (period / rhs->period),
        magnitude};
  }

  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (!constant || constant.getValue() > maxPeriod || constant.getValue() < -maxPeriod)
    return std::nullopt;
  int64_t c = constant.getValue();
  if (expr.getKind() == AffineExprKind::Mul) {
    int64_t magnitude = lhs->magnitude * std::abs(c);
    if (magnitude > maxMagnitude)
      return std::nullopt;
    return Repetition{lhs->period, lhs->increment * c, magnitude};
  }
  // mod, floordiv and ceildiv repeat once the operand has advanced by a multiple of c.
  if (c <= 0)
    return std::nullopt;
  int64_t factor = c / std::gcd(c, lhs->increment);
  int64_t period = lhs->period * factor;
  if (period > maxPeriod)
    return std::nullopt;
  if (expr.getKind() == AffineExprKind::Mod)
    return Repetition{period, 0, c};
  return Repetition{period, lhs->increment * factor / c, lhs->magnitude};
}

static int64_t evaluate(AffineExpr expr, int64_t n) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return n;
  int64_t lhs = evaluate(binary.getLHS(), n), rhs = evaluate(binary.getRHS(), n);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return lhs + rhs;
  case AffineExprKind::Mul:
    return lhs * rhs;
  case AffineExprKind::Mod:
    return llvm::mod(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return llvm::divideFloorSigned(lhs, rhs);
  default:
    return llvm::divideCeilSigned(lhs, rhs);
  }
}

int64_t sage::evaluateTokenMap(AffineMap map, int64_t n) { return evaluate(map.getResult(0), n); }

static bool hasTokenForm(AffineMap map) {
  return map.getNumDims() == 1 && map.getNumSymbols() == 0 && map.getNumResults() == 1;
}

FailureOr<TokenGroups> TokenGroups::analyze(AffineMap map,
                                            function_ref<InFlightDiagnostic()> emitError) {
  auto fail = [&](const Twine &reason, StringRef constraint) -> FailureOr<TokenGroups> {
    if (emitError)
      emitError() << "group map must " << reason << ", but got " << AffineMapAttr::get(map) << " ["
                  << constraint << "]";
    return failure();
  };
  if (!hasTokenForm(map))
    return fail("have one dimension, no symbols and one result", "G2");
  if (!isSmall(map))
    return fail("have at most " + Twine(maxNodes) + " operations and operands", "G3");
  std::optional<Repetition> repetition = findRepetition(map.getResult(0));
  if (!repetition)
    return fail("combine constants and the token by +, *, mod, floordiv and ceildiv with "
                "constants, and repeat within 65536 tokens",
                "G3");

  // The first period covers 0 to span - 1 without a gap; later ones repeat it or follow on.
  llvm::BitVector seen(repetition->period);
  int64_t span = 0;
  for (int64_t n = 0; n < repetition->period; ++n) {
    int64_t group = evaluate(map.getResult(0), n);
    if (group < 0 || group >= repetition->period)
      return fail("number the groups from 0 without gaps", "G3");
    seen.set(group);
    span = std::max(span, group + 1);
  }
  if (static_cast<int64_t>(seen.count()) != span ||
      (repetition->increment != 0 && repetition->increment != span))
    return fail("number the groups from 0 without gaps", "G3");
  return TokenGroups{repetition->period, repetition->increment, span};
}

int64_t TokenGroups::count(int64_t tokens) const {
  if (ShapedType::isDynamic(tokens))
    return ShapedType::kDynamic;
  return (llvm::divideCeilSigned(tokens, period) - 1) * increment + span;
}

AffineMap TokenGroups::getCountMap(MLIRContext *context) const {
  AffineExpr tokens = getAffineDimExpr(0, context);
  return AffineMap::get(1, 0, (tokens.ceilDiv(period) - 1) * increment + span);
}

int64_t TokenGroups::countPacked(int64_t tokens, int64_t sequences) const {
  if (ShapedType::isDynamic(sequences))
    return ShapedType::kDynamic;
  if (increment == 0)
    return sequences * span;
  if (ShapedType::isDynamic(tokens))
    return ShapedType::kDynamic;
  return (tokens / period + sequences) * increment;
}

AffineMap TokenGroups::getPackedCountMap(MLIRContext *context) const {
  AffineExpr tokens = getAffineDimExpr(0, context), offsets = getAffineDimExpr(1, context);
  AffineExpr count =
      increment == 0 ? (offsets - 1) * span : (tokens.floorDiv(period) + offsets - 1) * increment;
  return AffineMap::get(2, 0, count);
}

bool sage::permutesSixteen(AffineMap map) {
  if (!hasTokenForm(map) || !isSmall(map))
    return false;
  std::optional<Repetition> repetition = findRepetition(map.getResult(0));
  if (!repetition)
    return false;
  int64_t length = std::lcm(repetition->period, int64_t(16));
  if (repetition->increment != repetition->period)
    return false;
  for (int64_t base = 0; base < length; base += 16) {
    llvm::BitVector seen(16);
    for (int64_t p = base; p < base + 16; ++p) {
      int64_t token = evaluate(map.getResult(0), p) - base;
      if (token < 0 || token >= 16 || seen.test(token))
        return false;
      seen.set(token);
    }
  }
  return true;
}
