// The `sage` dialect.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEDIALECT_TD
#define SAGE_DIALECT_SAGE_IR_SAGEDIALECT_TD

include "mlir/IR/OpBase.td"

def Sage_Dialect : Dialect {
  let name = "sage";
  let cppNamespace = "::sage";
  let summary = "Quantized attention on tensors";
  let description = [{
    Quantized attention as values and rewrites, from the computation that a user writes down to the operands that a
    kernel reads. Three levels, each of which parses back:

    1. `sage.attention`: Q, K, V, a mask kind, a scale and a `#sage.recipe`.
    2. Smoothing explicit: `sage.mean`, `sage.center`, `sage.score_correction`, `sage.lse_correction` and
       `sage.smoothed_attention`.
    3. Quantization explicit: `sage.quantize`, `sage.quantize_value` and `sage.quantized_attention`.

    `docs/Spec.md` gives every op its meaning; the constraints that verifiers cite as `[C4]` are numbered there.

    Example:

    ```mlir
    %o = sage.attention ins(%q, %k, %v : tensor<1x8x512x128xf16>, tensor<1x2x512x128xf16>, tensor<1x2x512x128xf16>)
           outs(%init : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x512x128xf16>
    ```
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
}

#endif // SAGE_DIALECT_SAGE_IR_SAGEDIALECT_TD
