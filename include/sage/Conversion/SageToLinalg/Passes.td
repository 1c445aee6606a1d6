// Passes that take the `sage` dialect to linalg.

#ifndef SAGE_CONVERSION_SAGETOLINALG_PASSES_TD
#define SAGE_CONVERSION_SAGETOLINALG_PASSES_TD

include "mlir/Pass/PassBase.td"

def SageUnpackSequences : Pass<"sage-unpack-sequences"> {
  let summary = "Rewrite attentions with key lengths or packed sequences into dense ones";
  let description = [{
    Gives key lengths and sequences their meaning (Spec N16, N17): a `sage.attention` on tensors that has them becomes an
    `scf.for` over batch entries or sequences, whose body slices the tensors, attends on the slices, and inserts the
    results into the outputs. Runs before `sage-smooth`, and before `sage-decompose`, which refuses lengths.

    Example: `--sage-unpack-sequences`
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect", "::sage::SageDialect"];
}

def SageDecompose : Pass<"sage-decompose"> {
  let summary = "Rewrite sage ops on tensors into linalg, arith and math";
  let description = [{
    Gives every `sage` op on tensors its meaning (Spec section 1) in ops that any MLIR compiler runs. An op becomes an
    `scf.forall` over batch and heads; its body works on the rank-2 tensors of one head. Attention becomes an `scf.for`
    over the key tiles, from the last to the first, that carries row maxima, row sums and O. Key lengths and packed
    sequences are taken apart before, by `sage-unpack-sequences`.

    `sage.attention` and `sage.smoothed_attention` go through `sage-smooth` and `sage-quantize`; where they have no
    geometry they get the recipe's default one for `family`. Means, scales and integers are exact. P·V is added in float32,
    one key at a time: neither the tensor cores' 22-bit accumulator nor the f16 one of `inner = f16` is modelled.

    8-bit floats stay element types of tensors. MLIR lowers their storage to bytes, but not conversions to and from f32;
    `expand-f8` replaces these by integer arithmetic.

    Example: `--sage-decompose=family=wgmma`
  }];
  let options = [
    Option<"family", "family", "::sage::Family", "::sage::Family::MmaSync",
           "Family whose default geometry attentions without one get",
           [{::llvm::cl::values(
             clEnumValN(::sage::Family::MmaSync, "mma_sync", "mma.sync: key tile 64"),
             clEnumValN(::sage::Family::Wgmma, "wgmma", "wgmma: key tile 128"))}]>,
    Option<"expandF8", "expand-f8", "bool", "true",
           "Replace conversions of 8-bit floats by integer arithmetic">];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
    "::sage::SageDialect"];
}

#endif // SAGE_CONVERSION_SAGETOLINALG_PASSES_TD
