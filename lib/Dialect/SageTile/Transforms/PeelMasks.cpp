// for [lower, T) { if (i < M || i >= L) } -> for [lower, M) { masked }, for [M, L) { unmasked },
// for [L, T) { masked }, with M and L clamped to the loop's bounds.

#include "Maps.h"

#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

namespace sage::tile {
#define GEN_PASS_DEF_PEELMASKS
#include "sage/Dialect/SageTile/Transforms/Passes.h.inc"
} // namespace sage::tile

using namespace mlir;

namespace sage::tile {
namespace {

/// `i < M`, `i >= L`, or either, with the induction variable of a loop and bounds from above it.
struct EndsCondition {
  arith::CmpIOp prefix, suffix;

  explicit operator bool() { return prefix || suffix; }
  /// Whether the other condition is the same question.
  bool isSame(EndsCondition other) {
    auto equal = [](arith::CmpIOp a, arith::CmpIOp b) {
      return bool(a) == bool(b) &&
             (!a || (a.getPredicate() == b.getPredicate() && a.getRhs() == b.getRhs()));
    };
    return equal(prefix, other.prefix) && equal(suffix, other.suffix);
  }
};

EndsCondition matchCondition(scf::ForOp loop, Value condition) {
  if (auto either = condition.getDefiningOp<arith::OrIOp>()) {
    EndsCondition a = matchCondition(loop, either.getLhs());
    EndsCondition b = matchCondition(loop, either.getRhs());
    if (a.suffix && !a.prefix)
      std::swap(a, b);
    bool isBoth = a.prefix && !a.suffix && b.suffix && !b.prefix;
    return isBoth ? EndsCondition{a.prefix, b.suffix} : EndsCondition();
  }
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  if (!compare || compare.getLhs() != loop.getInductionVar() ||
      !loop.isDefinedOutsideOfLoop(compare.getRhs()))
    return {};
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::ult:
  case arith::CmpIPredicate::slt:
    return {compare, {}};
  case arith::CmpIPredicate::uge:
  case arith::CmpIPredicate::sge:
    return {{}, compare};
  default:
    return {};
  }
}

/// The branches of `loop`'s body that ask the same question as `condition`.
SmallVector<scf::IfOp> findBranches(scf::ForOp loop, EndsCondition condition) {
  SmallVector<scf::IfOp> branches;
  for (auto branch : loop.getBody()->getOps<scf::IfOp>())
    if (condition.isSame(matchCondition(loop, branch.getCondition())))
      branches.push_back(branch);
  return branches;
}

void inlineBranch(RewriterBase &rewriter, scf::IfOp branch, bool condition) {
  Region &region = condition ? branch.getThenRegion() : branch.getElseRegion();
  if (region.empty())
    return rewriter.eraseOp(branch);
  Operation *yield = region.front().getTerminator();
  rewriter.inlineBlockBefore(&region.front(), branch);
  rewriter.replaceOp(branch, yield->getOperands());
  rewriter.eraseOp(yield);
}

/// The first iteration for which `compare` changes, inside the loop's bounds.
Value createSplit(OpBuilder &builder, scf::ForOp loop, arith::CmpIOp compare) {
  Location loc = loop.getLoc();
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound(), limit = compare.getRhs();
  arith::CmpIPredicate predicate = compare.getPredicate();
  bool isUnsigned =
      predicate == arith::CmpIPredicate::ult || predicate == arith::CmpIPredicate::uge;
  Value split = isUnsigned ? arith::MinUIOp::create(builder, loc, limit, upper).getResult()
                           : arith::MinSIOp::create(builder, loc, limit, upper).getResult();
  if (isConstantIntValue(lower, 0) && isUnsigned)
    return split;
  return arith::MaxSIOp::create(builder, loc, split, lower);
}

/// A copy of `loop`, in front of it or behind it, in which `branches` are taken.
scf::ForOp createMasked(IRRewriter &rewriter, scf::ForOp loop, ArrayRef<scf::IfOp> branches,
                        bool isBehind) {
  IRMapping mapping;
  if (isBehind)
    rewriter.setInsertionPointAfter(loop);
  else
    rewriter.setInsertionPoint(loop);
  auto masked = cast<scf::ForOp>(rewriter.clone(*loop, mapping));
  for (scf::IfOp branch : branches) {
    auto clone = cast<scf::IfOp>(mapping.lookup(branch.getOperation()));
    rewriter.setInsertionPoint(clone);
    inlineBranch(rewriter, clone, true);
  }
  return masked;
}

/// Splits `loop`; returns the unmasked part, or null if there is no mask.
scf::ForOp peel(scf::ForOp loop) {
  if (!isConstantIntValue(loop.getStep(), 1))
    return {};
  EndsCondition condition;
  for (auto branch : loop.getBody()->getOps<scf::IfOp>())
    if ((condition = matchCondition(loop, branch.getCondition())))
      break;
  if (!condition)
    return {};

  IRRewriter rewriter(loop);
  SmallVector<scf::IfOp> branches = findBranches(loop, condition);
  if (condition.prefix) {
    Value split = createSplit(rewriter, loop, condition.prefix);
    scf::ForOp masked = createMasked(rewriter, loop, branches, /*isBehind=*/false);
    masked.getUpperBoundMutable().assign(split);
    loop.getLowerBoundMutable().assign(split);
    loop.getInitArgsMutable().assign(masked.getResults());
  }
  if (condition.suffix) {
    rewriter.setInsertionPoint(loop);
    Value split = createSplit(rewriter, loop, condition.suffix);
    scf::ForOp masked = createMasked(rewriter, loop, branches, /*isBehind=*/true);
    loop.replaceAllUsesWith(masked.getResults());
    masked.getLowerBoundMutable().assign(split);
    masked.getInitArgsMutable().assign(loop.getResults());
    loop.getUpperBoundMutable().assign(split);
  }
  for (scf::IfOp branch : branches) {
    rewriter.setInsertionPoint(branch);
    inlineBranch(rewriter, branch, false);
  }
  return loop;
}

/// Whether `condition` compares with the score of a masked key: -infinity, or the smallest integer
/// that stands for it.
bool comparesWithMasked(Value condition) {
  if (auto compare = condition.getDefiningOp<arith::CmpFOp>())
    return compare.getPredicate() == arith::CmpFPredicate::OEQ && isMinusInfinity(compare.getRhs());
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  APInt value;
  return compare && compare.getPredicate() == arith::CmpIPredicate::eq &&
         matchPattern(compare.getRhs(), m_ConstantInt(&value)) && value.isMinSignedValue();
}

/// select(x == masked, guard, other) -> other; maps that then do nothing go.
void dropGuards(scf::ForOp loop) {
  loop.walk([](arith::SelectOp select) {
    if (comparesWithMasked(select.getCondition()))
      select.replaceAllUsesWith(select.getFalseValue());
  });
  loop.walk([](MapOp map) {
    std::optional<unsigned> input = getInputNumber(map, getYieldedValue(map));
    if (input && map.getInputMap(*input).isIdentity() &&
        map.getInputs()[*input].getType() == map.getType())
      map.getResult().replaceAllUsesWith(map.getInputs()[*input]);
  });
}

struct PeelMasks : impl::PeelMasksBase<PeelMasks> {
  using PeelMasksBase::PeelMasksBase;

  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops) {
      scf::ForOp unmasked;
      // Masks of both ends that are branches of their own.
      while (peel(loop))
        unmasked = loop;
      if (unmasked && dropsGuards)
        dropGuards(unmasked);
    }
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace sage::tile
