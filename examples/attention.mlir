// Attention of any batch, heads and lengths with head dim 128, quantized as SageAttention2 does it.
//
//   sage-compile examples/attention.mlir --chip=sm_90a -o attention.ptx
//   sage-run attention.ptx --check
//
// An op computes O = softmax(scale · Q · Kᵀ) · V. Its operands are 16-bit tensors [batch, heads, tokens, head dim]; `?`
// is an extent that the artifact accepts any value of. Query heads may be a multiple of key heads (grouped queries).
//
// The recipe says how: INT8 Q and K with one scale per lane of the tensor core's fragments, K smoothed (its mean over the
// tokens is subtracted, which softmax cancels), E4M3 P and V, two-level accumulation. docs/Spec.md defines every step.
//
// `outs` are the destinations: O, and the natural logarithm of the sum of exponentials of every row (LSE), which merging
// partial attentions needs; leave it out if you do not need it.
func.func @attention(%query: tensor<?x?x?x128xf16>, %key: tensor<?x?x?x128xf16>, %value: tensor<?x?x?x128xf16>,
                     %output: tensor<?x?x?x128xf16>, %lse: tensor<?x?x?xf32>)
    -> (tensor<?x?x?x128xf16>, tensor<?x?x?xf32>) {
  // Variations, in the attribute dictionary:
  //   mask = #sage.mask<causal_bottom_right>           causal, the last query sees every key (FlashAttention's alignment)
  //   layout = #sage.layout<token_major>               operands are [batch, tokens, heads, head dim]
  //   scale = 0.125 : f32                              instead of 1/√128
  //   recipe = #sage.recipe<"sage2-8b", smooth = none> a named recipe and what differs from it
  %result:2 = sage.attention
      ins(%query, %key, %value : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
      outs(%output, %lse : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
  return %result#0, %result#1 : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
}
