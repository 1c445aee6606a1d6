// Lowering of the `sage` dialect to linalg, and from there to the CPU.

#ifndef SAGE_CONVERSION_SAGETOLINALG_PASSES_H
#define SAGE_CONVERSION_SAGETOLINALG_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace sage {

#define GEN_PASS_DECL
#include "sage/Conversion/SageToLinalg/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sage/Conversion/SageToLinalg/Passes.h.inc"

/// Rewrites of ops on tensors that are known to hold no token; they are preferred to the others.
void populateDecomposeEmptyPatterns(mlir::RewritePatternSet &patterns);
/// Rewrites of the smoothing ops: sage.mean, center, score_correction and lse_correction.
void populateDecomposeSmoothingPatterns(mlir::RewritePatternSet &patterns);
/// Rewrites of sage.quantize and sage.quantize_value.
void populateDecomposeQuantizationPatterns(mlir::RewritePatternSet &patterns);
/// Rewrites of sage.quantized_attention, and of sage.attention with 16-bit scores.
void populateDecomposeAttentionPatterns(mlir::RewritePatternSet &patterns);
/// Rewrites of arith.truncf and arith.extf between f32 and 8-bit floats into integer arithmetic.
void populateExpandF8Patterns(mlir::RewritePatternSet &patterns);

struct SageToCpuOptions : mlir::PassPipelineOptions<SageToCpuOptions> {
  Option<Family> family{
      *this, "family", llvm::cl::desc("Family whose default geometry attentions without one get"),
      llvm::cl::init(Family::MmaSync),
      llvm::cl::values(clEnumValN(Family::MmaSync, "mma_sync", "mma.sync: key tile 64"),
                       clEnumValN(Family::Wgmma, "wgmma", "wgmma: key tile 128"))};
};

/// Builds sage-to-cpu: sage-unpack-sequences, sage-decompose, bufferization, and lowering to the
/// llvm dialect.
void buildSageToCpuPipeline(mlir::OpPassManager &manager, const SageToCpuOptions &options);
void registerSageToCpuPipeline();

} // namespace sage

#endif // SAGE_CONVERSION_SAGETOLINALG_PASSES_H
