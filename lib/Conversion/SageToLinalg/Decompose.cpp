// sage-decompose: every sage op on tensors in linalg, arith and math.

#include "sage/Conversion/SageToLinalg/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Dialect/Sage/Transforms/Passes.h"

namespace sage {
#define GEN_PASS_DEF_SAGEDECOMPOSE
#include "sage/Conversion/SageToLinalg/Passes.h.inc"
} // namespace sage

using namespace mlir;
using namespace sage;

/// Diagnoses what has no decomposition.
template <typename AttentionLike> static LogicalResult checkSupport(AttentionLike op) {
  if (!isa<RankedTensorType>(op.getQuery().getType()))
    return op.emitOpError() << "operands must be tensors to be decomposed, but got "
                            << op.getQuery().getType();
  if (op.hasLengths()) {
    auto diagnostic = op.emitOpError() << "key lengths and offsets must be unpacked before";
    diagnostic.attachNote() << "run sage-unpack-sequences on the sage.attention first";
    return diagnostic;
  }
  return success();
}

/// Fixes the geometry, if nothing has yet.
template <typename AttentionLike> static LogicalResult prepare(AttentionLike op, Family family) {
  if (failed(checkSupport(op)))
    return failure();
  if (!op.getEffectiveScale()) {
    auto diagnostic = op.emitOpError() << "scale must be given when the head dim is dynamic";
    diagnostic.attachNote() << "add `scale`, or cast the operands to a static head dim";
    return diagnostic;
  }
  if (!op.getGeometryAttr())
    op.setGeometryAttr(GeometryAttr::getDefault(op.getRecipe(), family));
  return success();
}

namespace {

struct Decompose : sage::impl::SageDecomposeBase<Decompose> {
  using SageDecomposeBase::SageDecomposeBase;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet rewrites(context);
    populateDecomposeEmptyPatterns(rewrites);
    populateDecomposeSmoothingPatterns(rewrites);
    populateDecomposeQuantizationPatterns(rewrites);
    populateDecomposeAttentionPatterns(rewrites);
    patterns = FrozenRewritePatternSet(std::move(rewrites));
    RewritePatternSet expansions(context);
    populateExpandF8Patterns(expansions);
    expansionPatterns = FrozenRewritePatternSet(std::move(expansions));
    return success();
  }

  void runOnOperation() override {
    OpPassManager lowering(getOperation()->getName());
    lowering.addPass(createSageSmooth());
    lowering.addPass(createSageQuantize());
    if (failed(prepareAll()) || failed(runPipeline(lowering, getOperation())))
      return signalPassFailure();
    walkAndApplyPatterns(getOperation(), patterns);
    if (failed(checkComplete()))
      return signalPassFailure();
    if (expandF8)
      walkAndApplyPatterns(getOperation(), expansionPatterns);
  }

private:
  LogicalResult prepareAll() {
    WalkResult result = getOperation()->walk([&](Operation *op) {
      LogicalResult prepared = success();
      if (auto attention = dyn_cast<AttentionOp>(op))
        prepared = prepare(attention, family);
      else if (auto smoothed = dyn_cast<SmoothedAttentionOp>(op))
        prepared = prepare(smoothed, family);
      else if (auto quantized = dyn_cast<QuantizedAttentionOp>(op))
        prepared = checkSupport(quantized);
      return failed(prepared) ? WalkResult::interrupt() : WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Rows of schedule and target files are no computation and stay.
  LogicalResult checkComplete() {
    WalkResult result = getOperation()->walk([](Operation *op) -> WalkResult {
      if (!isa<SageDialect>(op->getDialect()) || isa<ScheduleOp, TargetOp>(op))
        return WalkResult::advance();
      op->emitOpError() << "could not be decomposed";
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }

  FrozenRewritePatternSet patterns, expansionPatterns;
};

} // namespace
