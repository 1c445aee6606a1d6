// for [lower, T) { if (i < M) } -> for [lower, min(M, T)) { masked }, for [min(M, T), T) { unmasked
// }.

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

/// `i < M` with the induction variable of `loop` and an M from above it.
arith::CmpIOp matchPrefixCondition(scf::ForOp loop, scf::IfOp branch) {
  auto compare = branch.getCondition().getDefiningOp<arith::CmpIOp>();
  if (!compare || compare.getLhs() != loop.getInductionVar() ||
      !loop.isDefinedOutsideOfLoop(compare.getRhs()))
    return {};
  arith::CmpIPredicate predicate = compare.getPredicate();
  bool isLess = predicate == arith::CmpIPredicate::ult || predicate == arith::CmpIPredicate::slt;
  return isLess ? compare : arith::CmpIOp();
}

/// The branches of `loop`'s body that ask the same question as `compare`.
SmallVector<scf::IfOp> findBranches(scf::ForOp loop, arith::CmpIOp compare) {
  SmallVector<scf::IfOp> branches;
  for (auto branch : loop.getBody()->getOps<scf::IfOp>()) {
    arith::CmpIOp other = matchPrefixCondition(loop, branch);
    if (other && other.getPredicate() == compare.getPredicate() &&
        other.getRhs() == compare.getRhs())
      branches.push_back(branch);
  }
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

/// The first iteration for which `compare` is false, inside the loop's bounds.
Value createSplit(OpBuilder &builder, scf::ForOp loop, arith::CmpIOp compare) {
  Location loc = loop.getLoc();
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound(), limit = compare.getRhs();
  Value split = compare.getPredicate() == arith::CmpIPredicate::ult
                    ? arith::MinUIOp::create(builder, loc, limit, upper).getResult()
                    : arith::MinSIOp::create(builder, loc, limit, upper).getResult();
  if (isConstantIntValue(lower, 0) && compare.getPredicate() == arith::CmpIPredicate::ult)
    return split;
  return arith::MaxSIOp::create(builder, loc, split, lower);
}

/// Splits `loop`; returns the unmasked part, or null if there is no mask.
scf::ForOp peel(scf::ForOp loop) {
  if (!isConstantIntValue(loop.getStep(), 1))
    return {};
  arith::CmpIOp compare;
  for (auto branch : loop.getBody()->getOps<scf::IfOp>())
    if ((compare = matchPrefixCondition(loop, branch)))
      break;
  if (!compare)
    return {};

  IRRewriter rewriter(loop);
  Value split = createSplit(rewriter, loop, compare);
  IRMapping mapping;
  auto masked = cast<scf::ForOp>(rewriter.clone(*loop, mapping));
  masked.getUpperBoundMutable().assign(split);
  loop.getLowerBoundMutable().assign(split);
  loop.getInitArgsMutable().assign(masked.getResults());
  for (scf::IfOp branch : findBranches(loop, compare)) {
    auto clone = cast<scf::IfOp>(mapping.lookup(branch.getOperation()));
    rewriter.setInsertionPoint(clone);
    inlineBranch(rewriter, clone, true);
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
      scf::ForOp unmasked = peel(loop);
      if (unmasked && dropsGuards)
        dropGuards(unmasked);
    }
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace sage::tile
