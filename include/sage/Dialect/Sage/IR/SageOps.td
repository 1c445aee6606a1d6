// Ops of the `sage` dialect: attention itself, and the rows of schedule and target files.

#ifndef SAGE_DIALECT_SAGE_IR_SAGEOPS_TD
#define SAGE_DIALECT_SAGE_IR_SAGEOPS_TD

include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "sage/Dialect/Sage/IR/SageAttributes.td"

class Sage_Op<string opMnemonic, list<Trait> traits = []> : Op<Sage_Dialect, opMnemonic, traits>;

def Sage_TensorOrMemRef : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

/// The op writes its results into `outputs`: O and, optionally, the log-sum-exp of the scores. Its operands that hide
/// keys, end sequences and change scores are of `operandType`.
class Sage_AttentionLikeOp<string opMnemonic, Type operandType, list<Trait> traits = []>
    : Sage_Op<opMnemonic, !listconcat([
        AttrSizedOperandSegments, DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>], traits)> {
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  code attentionDeclarations = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutputsMutable(); }
    ::mlir::Value getOutput() { return getOutputs().front(); }
    /// The destination of the log-sum-exp; null when it is not wanted.
    ::mlir::Value getLse() { return getOutputs().size() > 1 ? getOutputs()[1] : ::mlir::Value(); }
    /// Whether the tokens of Q, K and V are sequences one after the other (Spec N17).
    bool isPacked() { return getQueryOffsets() != nullptr; }
    /// Whether the number of tokens is known only from operands (Spec N16, N17).
    bool hasLengths() { return isPacked() || getKeyLengths() != nullptr; }
    /// Extents named as in Spec section 1; kDynamic where unknown.
    ::sage::AttentionShape getShape();
    /// The scale of the scores, 1/sqrt(D) by default; nothing when it is left out and D is dynamic.
    std::optional<float> getEffectiveScale();
  }];
  let extraClassDeclaration = attentionDeclarations;

  dag maskOperands = (ins
    Optional<operandType>:$bias, Optional<operandType>:$key_lengths, Optional<operandType>:$sinks,
    Optional<operandType>:$query_offsets, Optional<operandType>:$key_offsets);
  dag maskAttributes = (ins
    DefaultValuedAttr<Sage_MaskAttr, "::sage::Mask::None">:$mask,
    OptionalAttr<I64Attr>:$window_left, OptionalAttr<I64Attr>:$window_right, OptionalAttr<I64Attr>:$sink_tokens,
    OptionalAttr<F32Attr>:$softcap);
  string maskFormat = [{
    (`bias` `(` $bias^ `:` type($bias) `)`)?
    (`key_lengths` `(` $key_lengths^ `:` type($key_lengths) `)`)?
    (`sinks` `(` $sinks^ `:` type($sinks) `)`)?
    (`query_offsets` `(` $query_offsets^ `:` type($query_offsets) `)`)?
    (`key_offsets` `(` $key_offsets^ `:` type($key_offsets) `)`)?
  }];
}

def Sage_AttentionOp : Sage_AttentionLikeOp<"attention", Sage_TensorOrMemRef, [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ConditionallySpeculatable>]> {
  let summary = "Attention with the numerics of a recipe";
  let description = [{
    Computes softmax(scale · Q · Kᵀ + mask) · V with the numerics that `recipe` names (Spec section 1). Operands are
    tensors or memrefs of rank 4 in the order of `layout`, f16 or bf16; query heads may be a multiple of key heads
    (grouped queries). The second output, if present, receives the natural-log log-sum-exp of every row as f32
    [B, Hq, Nq]. Lengths of zero are legal.

    `scale` is 1/sqrt(D) when left out. `geometry`, `schedule` and `target` are attached by `sage-legalize-recipe` and
    `sage-assign-schedule`; until then the op means the same for every geometry up to rounding.

    What a query sees (Spec N13 to N17):
    - `mask`, with `window_left`, `window_right` and `sink_tokens`, leading keys that the left bound does not hide;
    - `bias` [B or 1, Hq or 1, Nq or 1, Nk or 1]: floats are added to the scores, booleans say which keys are visible;
    - `softcap` limits the scores to ±softcap by a hyperbolic tangent;
    - `sinks` [Hq] adds, to each row of a head, the exponential of one more score to the softmax's denominator;
    - `key_lengths` [B] says how many keys each batch entry has;
    - `query_offsets` and `key_offsets` [S + 1] say where each of S sequences, stored one after the other in a batch of
      1, begins.
    Every batch entry with a key length, and every sequence, means what a call on its slices means.

    Constraints: C1 to C17 of the specification.

    Example:

    ```mlir
    %o, %lse = sage.attention
        ins(%q, %k, %v : tensor<1x8x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
        outs(%o0, %lse0 : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>)
        {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
        -> tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
    ```
  }];
  let arguments = !con(
    (ins Sage_TensorOrMemRef:$query, Sage_TensorOrMemRef:$key, Sage_TensorOrMemRef:$value),
    maskOperands,
    (ins Variadic<Sage_TensorOrMemRef>:$outputs,
         Sage_RecipeAttr:$recipe,
         DefaultValuedAttr<Sage_LayoutAttr, "::sage::Layout::HeadMajor">:$layout),
    maskAttributes,
    (ins OptionalAttr<F32Attr>:$scale,
         OptionalAttr<Sage_GeometryAttr>:$geometry,
         OptionalAttr<Sage_ScheduleAttr>:$schedule,
         OptionalAttr<Sage_TargetAttr>:$target));
  let assemblyFormat = [{
    `ins` `(` $query `,` $key `,` $value `:` type($query) `,` type($key) `,` type($value) `)`
  }] # maskFormat # [{
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict (`->` type($results)^)?
  }];
  let hasCanonicalizer = 1;
}

class Sage_RowOp<string opMnemonic, Attr row> : Sage_Op<opMnemonic> {
  let arguments = (ins row:$row);
  let assemblyFormat = "$row attr-dict";
}

def Sage_ScheduleOp : Sage_RowOp<"schedule", Sage_ScheduleAttr> {
  let summary = "A row of a schedule file";
  let description = [{
    Offers a schedule in `schedules/<chip>/hd<N>.mlir`; earlier rows are preferred. It has no meaning elsewhere. `measured`
    says on which GPU, when and how fast, for rows that sage-tune wrote.

    Example:

    ```mlir
    sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2,
      producer_registers = 24, consumer_registers = 240> measured "NVIDIA H100 80GB HBM3, 2026-01-31: 1020 TFLOP/s"
    ```
  }];
  let arguments = (ins Sage_ScheduleAttr:$row, OptionalAttr<StrAttr>:$measured);
  let assemblyFormat = "$row (`measured` $measured^)? attr-dict";
}

def Sage_TargetOp : Sage_RowOp<"target", Sage_TargetAttr> {
  let summary = "The description of a chip in a target file";
  let description = [{
    Describes a chip in `targets/<chip>.mlir`, one op in each file. It has no meaning elsewhere. `rates` is what
    `sage-compile --explain` predicts from.

    Example:

    ```mlir
    sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true,
      schedules = "sm_89">
    ```
  }];
  let arguments = (ins Sage_TargetAttr:$row, OptionalAttr<Sage_RatesAttr>:$rates);
  let assemblyFormat = "$row (`rates` $rates^)? attr-dict";
}

include "sage/Dialect/Sage/IR/SageSmoothingOps.td"
include "sage/Dialect/Sage/IR/SageQuantizationOps.td"

#endif // SAGE_DIALECT_SAGE_IR_SAGEOPS_TD
