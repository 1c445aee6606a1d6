// sage-raise-attention: finds what may be attention, and replaces what is.

#include "sage/Conversion/RaiseAttention/Passes.h"

#include "AttentionBuilder.h"
#include "TmTensor.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "sage/Dialect/Sage/IR/SageOps.h"

namespace sage {
#define GEN_PASS_DEF_SAGERAISEATTENTION
#include "sage/Conversion/RaiseAttention/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;
using namespace sage::raising;

/// A user of what lies between the product of queries and keys and the root, other than that
/// itself; null if there is none. Sizes are no use.
static Operation *findOtherUser(const AttentionMatch &match) {
  Operation *root = match.root.getDefiningOp();
  if (match.product == root)
    return nullptr;
  llvm::SetVector<Operation *> computed;
  BackwardSliceOptions options;
  options.omitUsesFromAbove = false;
  options.inclusive = true;
  (void)getBackwardSlice(root, &computed, options);
  SmallVector<Operation *> pending = {match.product};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val();
    if (!seen.insert(op).second || op == root)
      continue;
    for (Operation *user : op->getUsers()) {
      // A use in a body is one by the op around it.
      while (user->getParentOp() && isa<linalg::LinalgOp>(user->getParentOp()))
        user = user->getParentOp();
      if (isa<tensor::DimOp>(user) || isOpTriviallyDead(user))
        continue;
      if (!computed.contains(user))
        return user;
      pending.push_back(user);
    }
  }
  return nullptr;
}

/// Whether every element of the op's operand is one of its result, and nothing else is.
static bool keepsElements(Operation *op) {
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, linalg::TransposeOp,
          tosa::TransposeOp, tosa::ReshapeOp>(op))
    return isa<RankedTensorType>(op->getResult(0).getType());
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0 && generic.getNumDpsInputs() == 1 &&
         generic.getNumDpsInits() == 1 &&
         llvm::all_of(generic.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isPermutation(); });
}

namespace {

class RaiseAttentionPass : public sage::impl::SageRaiseAttentionBase<RaiseAttentionPass> {
public:
  using SageRaiseAttentionBase::SageRaiseAttentionBase;

  void runOnOperation() override {
    RaisingOptions raising;
    if (failed(readOptions(raising)))
      return signalPassFailure();
    remarked.clear();
    SmallVector<Operation *> candidates;
    getOperation()->walk([&](Operation *op) {
      bool isProduct = isa<tosa::MatMulOp>(op);
      if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
        isProduct = linalgOp.getNumReductionLoops() == 1 && linalgOp->getNumResults() == 1;
      if ((isProduct && isa<RankedTensorType>(op->getResult(0).getType())) ||
          isTmTensorAttention(op))
        candidates.push_back(op);
    });
    bool changed = false;
    for (Operation *op : candidates)
      changed |= raise(op, raising);
    if (changed) {
      IRRewriter rewriter(&getContext());
      (void)runRegionDCE(rewriter, getOperation()->getRegions());
    }
  }

private:
  LogicalResult readOptions(RaisingOptions &raising) {
    raising.recipe = RecipeAttr::getNamed(&getContext(), recipe);
    raising.strict = strict;
    if (!raising.recipe) {
      auto diagnostic = getOperation()->emitError()
                        << "recipe must be a named one, but got '" << recipe << "'";
      diagnostic.attachNote() << "the recipes are " << RecipeAttr::listNames();
      return failure();
    }
    if (elementType != "f16" && elementType != "bf16")
      return getOperation()->emitError()
             << "element-type must be f16 or bf16, but got '" << elementType << "'";
    raising.narrowType = elementType == "f16" ? Type(Float16Type::get(&getContext()))
                                              : Type(BFloat16Type::get(&getContext()));
    return success();
  }

  /// Replaces the attention that the op ends, or says why it is none.
  bool raise(Operation *op, const RaisingOptions &raising) {
    ElementReader reader(&getContext());
    AttentionMatcher matcher(reader);
    Obstacle obstacle;
    std::optional<AttentionMatch> match;
    if (isTmTensorAttention(op)) {
      match = matchTmTensorAttention(reader, op, obstacle);
    } else {
      if (!matcher.isCandidate(op->getResult(0)))
        return false;
      match = matcher.match(op->getResult(0));
      obstacle = matcher.getObstacle();
      if (!match && matcher.isUnnormalized(op->getResult(0)))
        match = matchDivision(matcher, op->getResult(0), obstacle);
    }
    Value replacement;
    if (match)
      extendRoot(matcher, *match);
    if (match) {
      if (Operation *user = findOtherUser(*match))
        obstacle = {user, "scores and weights must not be used elsewhere"};
      else
        replacement = buildAttention(reader, *match, raising, obstacle);
    }
    if (!replacement) {
      Operation *where = obstacle.op ? obstacle.op : op;
      if (!remarked.insert(where).second)
        return false;
      auto remark = where->emitRemark() << "attention was not raised: " << obstacle.reason;
      if (where != op)
        remark.attachNote(op->getLoc()) << "this product with the values stays as it is";
      return false;
    }
    match->root.replaceAllUsesWith(replacement);
    // Nothing is known of the effects of an op that is not registered.
    if (isTmTensorAttention(op))
      op->erase();
    return true;
  }

  /// Goes on to the last of the tensors that hold the same output, so that the attention can be in
  /// the layout that is wanted there.
  static void extendRoot(AttentionMatcher &matcher, AttentionMatch &match) {
    while (match.root.hasOneUse()) {
      Operation *user = *match.root.getUsers().begin();
      if (!keepsElements(user))
        return;
      std::optional<AttentionMatch> next = matcher.match(user->getResult(0));
      if (!next)
        return;
      match = *next;
    }
  }

  /// Obstacles of several candidates are one.
  llvm::SmallPtrSet<Operation *, 4> remarked;

  /// The attention that ends where `product` is divided by the sum of its weights.
  static std::optional<AttentionMatch> matchDivision(AttentionMatcher &matcher, Value product,
                                                     Obstacle &obstacle) {
    SmallVector<Value> pending = {product};
    for (unsigned next = 0; next < pending.size() && next < 8; ++next)
      for (Operation *user : pending[next].getUsers())
        for (Value result : user->getResults()) {
          if (!isa<RankedTensorType>(result.getType()))
            continue;
          if (std::optional<AttentionMatch> match = matcher.match(result))
            return match;
          // Obstacles behind a division say more than its absence.
          if (matcher.isDivision(result))
            obstacle = matcher.getObstacle();
          pending.push_back(result);
        }
    return std::nullopt;
  }
};

} // namespace
