// Masks that are provably causal or windows.

#include "Masks.h"

#include "MaskFunction.h"

#include <cmath>

using namespace mlir;
using namespace sage;
using namespace sage::raising;

namespace {

/// Distances that are visible; bounds that are left out hide nothing.
struct Band {
  std::optional<int64_t> low, high;
};

class MaskPlanner {
public:
  MaskPlanner(ElementReader &reader, const AttentionMatch &match, const Roles &roles, bool strict,
              Obstacle &obstacle)
      : reader(reader), match(match), strict(strict), obstacle(obstacle),
        loops(getLoops(reader, match, roles)), evaluator(reader, loops) {}

  std::optional<MaskPlan> run();

private:
  static ScoreLoops getLoops(ElementReader &reader, const AttentionMatch &match,
                             const Roles &roles) {
    ScoreLoops loops;
    loops.key = reader.loops.get(match.keyLoop);
    loops.keys = reader.loops.getExtent(match.keyLoop);
    loops.queries = roles.query.empty() ? 1 : reader.loops.getExtent(roles.query[0]);
    if (!roles.query.empty())
      loops.query = reader.loops.get(roles.query[0]);
    return loops;
  }
  std::nullopt_t stop(Operation *op, const Twine &reason) {
    obstacle = {op, reason.str()};
    return std::nullopt;
  }
  void addTerm(const ScoreTerm &term);
  bool addSum(const ScoreTerm &term);
  bool addVisibility(const ScoreTerm &term);
  void hide(const ScoreTerm &term, const MaskFunction &isVisible, bool isFinite);
  /// Nothing where there are several bands, or none.
  std::optional<Band> findBand();
  bool checkRows(const Band &band);
  bool hidesRow();
  bool express(const Band &band);

  ElementReader &reader;
  const AttentionMatch &match;
  bool strict;
  Obstacle &obstacle;
  ScoreLoops loops;
  MaskEvaluator evaluator;
  MaskFunction visible{1.0};
  /// The last op that hides keys as `visible` says, and whether it leaves finite scores.
  Operation *maskOp = nullptr;
  bool hasFiniteFill = false;
  MaskPlan plan;
};

} // namespace

void MaskPlanner::hide(const ScoreTerm &term, const MaskFunction &isVisible, bool isFinite) {
  visible = MaskFunction::apply({visible, isVisible},
                                [](ArrayRef<double> x) { return double(x[0] != 0 && x[1] != 0); });
  maskOp = term.op;
  hasFiniteFill |= isFinite;
}

bool MaskPlanner::addVisibility(const ScoreTerm &term) {
  if (std::optional<MaskFunction> shown = evaluator.evaluate(term.element)) {
    hide(term,
         MaskFunction::apply(
             *shown, [&](ArrayRef<double> x) { return double((x[0] != 0) != term.isNegated); }),
         std::isfinite(term.fill));
    return true;
  }
  Node node = reader.read(term.element);
  ScoreTerm part = term;
  if (node.is(Form::Not)) {
    part.element = node.operands[0];
    part.isNegated = !term.isNegated;
    addTerm(part);
    return true;
  }
  // Keys that two conditions hide are hidden by each; but a row that is hidden completely by
  // finite numbers would look different.
  bool splits = node.is(term.isNegated ? Form::Or : Form::And) && !std::isfinite(term.fill);
  if (!splits)
    return false;
  for (const Element &operand : node.operands) {
    part.element = operand;
    addTerm(part);
  }
  return true;
}

bool MaskPlanner::addSum(const ScoreTerm &term) {
  if (std::optional<MaskFunction> added = evaluator.evaluate(term.element)) {
    bool isMask = true, isFinite = false;
    for (const MaskFunction::Step &step : added->getSteps()) {
      double value = step.value == 0 ? 0 : step.value * term.factor;
      isMask &= value == 0 || value <= highestFill;
      isFinite |= value != 0 && std::isfinite(value);
    }
    if (isMask) {
      auto isZero = [](ArrayRef<double> x) { return double(x[0] == 0); };
      hide(term, MaskFunction::apply(*added, isZero), isFinite);
    }
    return isMask;
  }
  // condition ? 0 : -inf, and the reverse
  Node node = reader.read(reader.skipCasts(term.element));
  if (!node.is(Form::Select))
    return false;
  for (unsigned side : {1, 2}) {
    std::optional<double> fill = reader.getConstant(node.operands[3 - side]);
    if (reader.getConstant(node.operands[side]) != 0.0 || !fill ||
        !(*fill * term.factor <= highestFill))
      continue;
    ScoreTerm mask = term;
    mask.element = node.operands[0];
    mask.isVisibility = true;
    mask.isNegated = side == 2;
    mask.fill = *fill * term.factor;
    addTerm(mask);
    return true;
  }
  return false;
}

void MaskPlanner::addTerm(const ScoreTerm &term) {
  bool isProven = term.isVisibility ? addVisibility(term) : addSum(term);
  if (!isProven)
    plan.biases.push_back(term);
}

std::optional<Band> MaskPlanner::findBand() {
  constexpr int64_t unbounded = MaskFunction::unbounded;
  int64_t last =
      ShapedType::isDynamic(loops.keys) ? std::numeric_limits<int64_t>::max() : loops.keys - 1;
  int64_t first = ShapedType::isDynamic(loops.queries) ? unbounded : 1 - loops.queries;
  std::optional<Band> band;
  ArrayRef<MaskFunction::Step> steps = visible.getSteps();
  for (auto [number, step] : llvm::enumerate(steps)) {
    bool isLast = number + 1 == steps.size();
    int64_t low = step.start, high = isLast ? last : steps[number + 1].start - 1;
    if (step.value == 0 || high < first || low > last)
      continue;
    if (band)
      return std::nullopt;
    band.emplace();
    if (low > first)
      band->low = low;
    if (high < last)
      band->high = high;
  }
  return band;
}

/// In a row without a visible key, weights are NaN or, with finite fills, those of hidden keys; in
/// sage they are 0, and so they are behind a guard.
bool MaskPlanner::checkRows(const Band &band) {
  bool isEmpty = band.high && *band.high < 0;
  bool mayBeEmpty = isEmpty;
  if (band.low) {
    if (ShapedType::isDynamic(loops.queries) || ShapedType::isDynamic(loops.keys))
      mayBeEmpty = true;
    else
      isEmpty |= loops.queries - 1 + *band.low > loops.keys - 1;
  }
  if (hasFiniteFill ? isEmpty || mayBeEmpty : isEmpty && !match.isGuarded) {
    stop(maskOp, "every query must see a key, but the mask hides all keys of one");
    return false;
  }
  if (strict && mayBeEmpty && !match.isGuarded) {
    stop(maskOp, "every query must see a key, which cannot be shown for dynamic lengths");
    return false;
  }
  return true;
}

/// Whether one of the queries, if their number is known, sees no key and no guard makes it 0.
bool MaskPlanner::hidesRow() {
  constexpr int64_t largest = 1 << 20;
  if (match.isGuarded || ShapedType::isDynamic(loops.queries) ||
      ShapedType::isDynamic(loops.keys) || loops.queries * loops.keys > largest)
    return false;
  for (int64_t i = 0; i < loops.queries; ++i) {
    bool isEmpty = true;
    for (int64_t j = 0; j < loops.keys && isEmpty; ++j)
      isEmpty = visible.at(j - i) == 0;
    if (isEmpty)
      return true;
  }
  return false;
}

bool MaskPlanner::express(const Band &band) {
  if (!band.low && !band.high)
    return true;
  bool isStatic = !ShapedType::isDynamic(loops.queries) && !ShapedType::isDynamic(loops.keys);
  int64_t difference = isStatic ? loops.keys - loops.queries : 0;
  for (int64_t offset : {int64_t(0), difference}) {
    bool isTopLeft = offset == 0;
    if ((band.high && *band.high < offset) || (band.low && *band.low > offset))
      continue;
    bool isCausal = band.high && *band.high == offset;
    // Top-left windows and bottom-right causal masks are preferred to each other's reverse.
    if (isTopLeft && !isCausal && band.high && difference != 0 && *band.high == difference)
      continue;
    plan.mask = isCausal ? (isTopLeft ? Mask::CausalTopLeft : Mask::CausalBottomRight)
                         : (isTopLeft ? Mask::WindowTopLeft : Mask::WindowBottomRight);
    if (band.low)
      plan.windowLeft = offset - *band.low;
    if (band.high && !isCausal)
      plan.windowRight = *band.high - offset;
    constexpr int64_t widest = int64_t(1) << 30;
    if (plan.windowLeft.value_or(0) <= widest && plan.windowRight.value_or(0) <= widest)
      return true;
  }
  return false;
}

std::optional<MaskPlan> MaskPlanner::run() {
  for (const ScoreTerm &term : match.terms)
    addTerm(term);
  std::optional<Band> band = findBand();
  if (band && !checkRows(*band))
    return std::nullopt;
  // What is no mask of the op is a bias of it.
  if (!band || !express(*band)) {
    if (hidesRow())
      return stop(maskOp, "every query must see a key, but the mask hides all keys of one");
    plan = MaskPlan();
    plan.biases = match.terms;
  }
  if (strict && !plan.biases.empty() && !match.isGuarded)
    return stop(plan.biases.front().op,
                "every query must see a key, which cannot be shown for an operand");
  return plan;
}

std::optional<MaskPlan> sage::raising::planMask(ElementReader &reader, const AttentionMatch &match,
                                                const Roles &roles, bool strict,
                                                Obstacle &obstacle) {
  return MaskPlanner(reader, match, roles, strict, obstacle).run();
}
