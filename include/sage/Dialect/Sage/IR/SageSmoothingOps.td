// Smoothing made explicit: means, centred operands, and the terms that restore what centring removed.

#ifndef SAGE_DIALECT_SAGE_IR_SAGESMOOTHINGOPS_TD
#define SAGE_DIALECT_SAGE_IR_SAGESMOOTHINGOPS_TD

/// A pure op with one tensor result whose type follows from its operands.
class Sage_TensorOp<string opMnemonic, list<Trait> traits = []>
    : Sage_Op<opMnemonic, !listconcat([
        Pure, InferTypeOpAdaptorWithIsCompatible,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>], traits)>;

/// A tensor op on tokens that are not all of its input's: `lengths` says how many each batch entry has, `offsets`
/// where each of the sequences of a batch of 1 begins. At most one of the two is given (Spec M8).
class Sage_TokenOp<string opMnemonic> : Sage_TensorOp<opMnemonic, [AttrSizedOperandSegments]> {
  dag lengthOperands = (ins Optional<AnyRankedTensor>:$lengths, Optional<AnyRankedTensor>:$offsets);
  string lengthFormat = [{
    (`lengths` `(` $lengths^ `:` type($lengths) `)`)? (`offsets` `(` $offsets^ `:` type($offsets) `)`)?
  }];
}

def Sage_MeanOp : Sage_TokenOp<"mean"> {
  let summary = "Mean over tokens";
  let description = [{
    Averages each channel over the tokens of a block, in the order of Spec N1: a 16-bit operand in the order of `layout`
    to f32 [B, H, blocks, D], always head-major. `block` is the number of tokens in a block; 0 means all tokens, one
    block. The mean of no tokens is 0. With `lengths`, a block's tokens are those before the batch entry's length. With
    `offsets`, blocks are counted from where each sequence begins: there is one for each of the S sequences, or
    floor(N / block) + S, where sequence s has those from floor(offsets[s] / block) + s on (Spec N17).

    Constraints: M1, M2, M8.

    Example:

    ```mlir
    %m = sage.mean %k {block = 0} : tensor<1x2x512x128xf16> -> tensor<1x2x1x128xf32>
    ```
  }];
  let arguments = !con((ins AnyRankedTensor:$input), lengthOperands, (ins
    DefaultValuedAttr<I64Attr, "0">:$block,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout));
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input" # lengthFormat # "attr-dict `:` type($input) `->` type($result)";
}

def Sage_CenterOp : Sage_TokenOp<"center"> {
  let summary = "Subtraction of the mean of each token's block";
  let description = [{
    Subtracts from every token the mean of its block, in f32: result[b, h, n, d] = input - mean[b, h, n floordiv block,
    d] (block 0: the only mean). The 16-bit operand is read in the order of `layout`; the result is head-major. Blocks
    are those of `sage.mean` with the same `lengths` or `offsets`; a token that is in none of them becomes 0.

    Constraints: M1 to M3, M8.

    Example:

    ```mlir
    %c = sage.center %q, %m {block = 128, layout = #sage.layout<token_major>}
           : tensor<1x512x8x128xf16>, tensor<1x8x4x128xf32> -> tensor<1x8x512x128xf32>
    ```
  }];
  let arguments = !con((ins AnyRankedTensor:$input, AnyRankedTensor:$mean), lengthOperands, (ins
    DefaultValuedAttr<I64Attr, "0">:$block,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout));
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input `,` $mean" # lengthFormat #
                       "attr-dict `:` type($input) `,` type($mean) `->` type($result)";
}

def Sage_ScoreCorrectionOp : Sage_TensorOp<"score_correction"> {
  let summary = "Scores that centring Q removed";
  let description = [{
    Computes dS[b, h, block, j] = Σ_d mean[b, h, block, d] · key[b, h', j, d] (Spec N2): one row of scores per query
    block, f32 [B, Hq, blocks, Nk]. `key` is the centred K (f32, head-major) or, where K is not smoothed, the 16-bit K
    in the order of `layout`. Lengths and sequences do not change it: an attention reads the keys of the block's own
    sequence only.

    Constraints: M1, M4.

    Example:

    ```mlir
    %ds = sage.score_correction %qm, %kc : tensor<1x8x4x128xf32>, tensor<1x2x512x128xf32> -> tensor<1x8x4x512xf32>
    ```
  }];
  let arguments = (ins
    AnyRankedTensor:$mean, AnyRankedTensor:$key,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$mean `,` $key attr-dict `:` type($mean) `,` type($key) `->` type($result)";
}

def Sage_LseCorrectionOp : Sage_TensorOp<"lse_correction"> {
  let summary = "What centring K removed from the log-sum-exp";
  let description = [{
    Computes scale · Σ_d query[b, h, i, d] · mean[b, h', 0, d] in f32 (Spec N12), [B, Hq, Nq]. `query` is the 16-bit Q
    before smoothing, in the order of `layout`. With `offsets`, those of the queries, each token takes the mean of its
    sequence; a token that is in none has 0.

    Constraints: M1, M4, M5, M8.

    Example:

    ```mlir
    %lc = sage.lse_correction %q, %km {scale = 0.125 : f32}
            : tensor<1x8x512x64xf16>, tensor<1x2x1x64xf32> -> tensor<1x8x512xf32>
    ```
  }];
  let arguments = (ins
    AnyRankedTensor:$query, AnyRankedTensor:$mean, Optional<AnyRankedTensor>:$offsets, F32Attr:$scale,
    DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $query `,` $mean (`offsets` `(` $offsets^ `:` type($offsets) `)`)?
    attr-dict `:` type($query) `,` type($mean) `->` type($result)
  }];
}

def Sage_SmoothedAttentionOp : Sage_AttentionLikeOp<"smoothed_attention", AnyRankedTensor, [Pure]> {
  let summary = "Attention on centred operands";
  let description = [{
    Computes the attention that `recipe` names on operands that are already smoothed. Q, K and V are each either the
    16-bit original, in the order of `layout`, or centred, f32 and head-major. `score_correction` [B, Hq, blocks, Nk] is
    added to the scores of the query block, `lse_correction` [B, Hq, Nq] to the log-sum-exp (or to the scores under a
    soft cap, and subtracted from the sink, Spec N14, N15), `value_mean` [B, Hkv, 1, D] to O. An operand is centred exactly
    when the recipe smooths it, and the corrections follow from that (Spec M6, M7). Masks, lengths and sequences are
    those of `sage.attention`.

    Constraints: C2 to C17, M6, M7.

    Example:

    ```mlir
    %o = sage.smoothed_attention
        ins(%q, %kc, %v : tensor<1x8x512x128xf16>, tensor<1x2x512x128xf32>, tensor<1x2x512x128xf16>)
        outs(%o0 : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x512x128xf16>
    ```
  }];
  let arguments = !con(
    (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
         Optional<AnyRankedTensor>:$score_correction, Optional<AnyRankedTensor>:$lse_correction,
         Optional<AnyRankedTensor>:$value_mean),
    maskOperands,
    (ins Variadic<AnyRankedTensor>:$outputs,
         Sage_RecipeAttr:$recipe,
         DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout),
    maskAttributes,
    (ins OptionalAttr<F32Attr>:$scale,
         OptionalAttr<Sage_GeometryAttr>:$geometry,
         OptionalAttr<Sage_ScheduleAttr>:$schedule,
         OptionalAttr<Sage_TargetAttr>:$target));
  let assemblyFormat = [{
    `ins` `(` $query `,` $key `,` $value `:` type($query) `,` type($key) `,` type($value) `)`
    (`score_correction` `(` $score_correction^ `:` type($score_correction) `)`)?
    (`lse_correction` `(` $lse_correction^ `:` type($lse_correction) `)`)?
    (`value_mean` `(` $value_mean^ `:` type($value_mean) `)`)?
  }] # maskFormat # [{
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict (`->` type($results)^)?
  }];
}

#endif // SAGE_DIALECT_SAGE_IR_SAGESMOOTHINGOPS_TD
