// Quantization made explicit: integer (or e4m3) Q and K with their scales, e4m3 V, and attention on them.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEQUANTIZATIONOPS_TD
#define SAGE_DIALECT_SAGE_IR_SAGEQUANTIZATIONOPS_TD

def Sage_RotateOp : Sage_TensorOp<"rotate"> {
  let summary = "Hadamard transform of Q or K along the head dim";
  let description = [{
    Replaces the channels of every token by their Hadamard transform, in blocks of the largest power of two that divides
    the head dim, times 2^-`halvings` (Spec N3). Q and K are rotated alike, so that their products stay what they were
    where the halvings of both add up to the block's logarithm; an outlier is spread over the channels of its block.
    The 16-bit operand is read in the order of `layout`; the result is f32 and head-major.

    Constraints: M1, M9.

    Example:

    ```mlir
    %r = sage.rotate %kc {halvings = 3} : tensor<1x2x512x128xf32> -> tensor<1x2x512x128xf32>
    ```
  }];
  let arguments = (ins
    AnyRankedTensor:$input, I64Attr:$halvings,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

def Sage_QuantizeOp : Sage_TokenOp<"quantize"> {
  let summary = "Quantization of Q or K with one scale per group of tokens";
  let description = [{
    Quantizes Q or K (Spec N4): `groups` maps a token to the index of its scale. The input is 16-bit in the order of
    `layout`, or f32 and head-major (centred). Results are head-major: values [B, H, N, D] as i8 (`int8`, `int4`) or
    f8E4M3FN (`e4m3`), and scales f32 [B, H, G], where G follows from N and the map (Spec Q3); a group without tokens
    has scale 1. The value range (±127, ±7, ±448) is `type`'s; storage is separate: with `packed`, `int4` values are
    stored two to a byte, i8 [B, H, N, D/2], the even channel in the low half. Tokens past a batch entry's length are in
    no group and become 0; with `offsets`, every sequence has scales of its own (Spec Q3). The range stands for `fraction`
    of a group's largest magnitude; what exceeds it saturates.

    Constraints: M1, M8, Q1 to Q3, Q10.

    Example:

    ```mlir
    %k8, %ks = sage.quantize %kc {type = #sage.score_type<int8>,
                                  groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>}
                 : tensor<1x2x512x128xf32> -> tensor<1x2x512x128xi8>, tensor<1x2x32xf32>
    ```
  }];
  let arguments = !con((ins AnyRankedTensor:$input), lengthOperands, (ins
    Sage_ScoreTypeAttr:$type, AffineMapAttr:$groups, UnitAttr:$packed,
    DefaultValuedAttr<F32Attr, "1.0f">:$fraction,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout));
  let results = (outs AnyRankedTensor:$result, AnyRankedTensor:$scales);
  let assemblyFormat = "$input" # lengthFormat # "attr-dict `:` type($input) `->` type($result) `,` type($scales)";
}

def Sage_QuantizeValueOp : Sage_TokenOp<"quantize_value"> {
  let summary = "Quantization of V, channel-major with permuted tokens";
  let description = [{
    Quantizes V with one scale per channel (Spec N5) and stores it channel-major (Spec N6): storage position p of a
    channel holds token order(p), and 0 where that token is past the end. The input is 16-bit in the order of `layout`,
    or f32 and head-major (centred). Results: [B, Hkv, D, N rounded up to 16] as f8E4M3FN or f8E5M2, and scales f32
    [B, Hkv, D]. `range` is the magnitude that the channel's largest value is stored as: 448 (57344 for f8E5M2), or
    less where the recipe's inner accumulator needs it (Spec R7). Positions past a batch entry's length hold 0. With
    `offsets`, sequence s has the positions from (floor(offsets[s] / 16) + s) · 16 on, of (floor(N / 16) + S) · 16, and
    scales of its own, [S, Hkv, D].

    Constraints: M1, M8, Q4, Q5.

    Example:

    ```mlir
    %v8, %vs = sage.quantize_value %v {order = affine_map<(p) -> (p)>, type = f8E4M3FN}
                 : tensor<1x2x500x128xf16> -> tensor<1x2x128x512xf8E4M3FN>, tensor<1x2x128xf32>
    ```
  }];
  let arguments = !con((ins AnyRankedTensor:$input), lengthOperands, (ins
    AffineMapAttr:$order, TypeAttr:$type,
    DefaultValuedAttr<F32Attr, "448.0f">:$range,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout));
  let results = (outs AnyRankedTensor:$result, AnyRankedTensor:$scales);
  let assemblyFormat = "$input" # lengthFormat # "attr-dict `:` type($input) `->` type($result) `,` type($scales)";
}

def Sage_QuantizedAttentionOp : Sage_AttentionLikeOp<"quantized_attention", AnyRankedTensor, [Pure]> {
  let summary = "Attention on quantized operands";
  let description = [{
    Computes the attention of Spec N7 to N18 on quantized Q and K (head-major, as `sage.quantize` makes them; with
    `packed`, INT4 two to a byte) and on V as `sage.quantize_value` makes it, or, under a recipe with 16-bit PV, on the
    16-bit V in the order of `layout`, without value scales. `layout` is the order of O too. The corrections and
    `value_mean` are those of `sage.smoothed_attention`. The scale groups and V's token order are the geometry's.

    Constraints: C2 to C17, M7, Q6 to Q9.

    Example:

    ```mlir
    %o = sage.quantized_attention
        ins(%q8, %k8, %v8 : tensor<1x8x512x128xi8>, tensor<1x2x512x128xi8>, tensor<1x2x128x512xf8E4M3FN>)
        scales(%qs, %ks, %vs : tensor<1x8x256xf32>, tensor<1x2x32xf32>, tensor<1x2x128xf32>)
        outs(%o0 : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
        -> tensor<1x8x512x128xf16>
    ```
  }];
  let arguments = !con((ins
    AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
    AnyRankedTensor:$query_scales, AnyRankedTensor:$key_scales, Optional<AnyRankedTensor>:$value_scales,
    Optional<AnyRankedTensor>:$score_correction, Optional<AnyRankedTensor>:$lse_correction,
    Optional<AnyRankedTensor>:$value_mean),
    maskOperands,
    (ins Variadic<AnyRankedTensor>:$outputs,
         Sage_RecipeAttr:$recipe,
         Sage_GeometryAttr:$geometry,
         DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout),
    maskAttributes,
    (ins OptionalAttr<F32Attr>:$scale,
         UnitAttr:$packed,
         OptionalAttr<Sage_ScheduleAttr>:$schedule,
         OptionalAttr<Sage_TargetAttr>:$target));
  let assemblyFormat = [{
    `ins` `(` $query `,` $key `,` $value `:` type($query) `,` type($key) `,` type($value) `)`
    `scales` `(` $query_scales `,` $key_scales (`,` $value_scales^)? `:`
             type($query_scales) `,` type($key_scales) (`,` type($value_scales)^)? `)`
    (`score_correction` `(` $score_correction^ `:` type($score_correction) `)`)?
    (`lse_correction` `(` $lse_correction^ `:` type($lse_correction) `)`)?
    (`value_mean` `(` $value_mean^ `:` type($value_mean) `)`)?
  }] # maskFormat # [{
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict (`->` type($results)^)?
  }];
}

#endif // SAGE_DIALECT_SAGE_IR_SAGEQUANTIZATIONOPS_TD
