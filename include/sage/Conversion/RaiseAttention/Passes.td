// The pass that recognizes attention.

#ifndef SAGE_CONVERSION_RAISEATTENTION_PASSES_TD
#define SAGE_CONVERSION_RAISEATTENTION_PASSES_TD

include "mlir/Pass/PassBase.td"

def SageRaiseAttention : Pass<"sage-raise-attention"> {
  let summary = "Recognize attention in linalg, tosa and tm_tensor, and replace it by sage.attention";
  let description = [{
    Replaces what provably computes softmax(scale · Q · Kᵀ + mask) · V by a `sage.attention`. Elements of tensors are
    followed through transposes, reshapes, slices, broadcasts, conversions and bodies of any linalg op, so that it does not
    matter how they were written (docs/Raising.md). Masks that are functions of the distance between key and query become
    the op's `mask`, other masks and biases its `bias`, repeated key heads grouped queries.

    A product with softmax weights, or with exponentials of scores, that is no such attention is left alone, with a remark at
    the op that stopped the proof.

    Operands that are f16 or bf16, or were before a conversion, are taken as they are; others are converted to
    `element-type`. Rows in which every key has the score -inf are 0 afterwards, where they may have been NaN; `strict`
    refuses what could have such rows.

    Example: `--sage-raise-attention=recipe=f16`
  }];
  let options = [
    Option<"recipe", "recipe", "std::string", "\"sage2-8b\"",
           "Name of the recipe of the attentions; f16 keeps the numbers nearest to the original's">,
    Option<"elementType", "element-type", "std::string", "\"f16\"",
           "What operands that are not 16-bit are converted to: f16 or bf16">,
    Option<"strict", "strict", "bool", "false",
           "Leave alone what may have queries that see no key">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
    "::sage::SageDialect"];
}

#endif // SAGE_CONVERSION_RAISEATTENTION_PASSES_TD
