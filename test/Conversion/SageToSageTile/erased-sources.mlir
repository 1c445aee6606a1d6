// What fed an attention is erased with it, and several of its operands are results of one op: none may be looked at again.
// The allocator overwrites what is freed with a byte whose low bits call a value a result far down a list of results, so that a
// second look is a crash here (with glibc) and not only under the address sanitizer.
//
// RUN: env GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.perturb=166 sage-opt %s \
// RUN:   --pass-pipeline='builtin.module(func.func(sage-legalize-recipe{chip=sm_90a},sage-assign-schedule,sage-smooth,sage-quantize,cse),convert-sage-to-sage-tile)' \
// RUN:   | FileCheck %s

// Quantized values and their scales, both corrections and the means they share.
// CHECK-LABEL: func.func @smoothed
// CHECK-NOT:     = sage.
// CHECK:         sage_tile.invoke @smoothed_attention ins(%arg0, %arg1, %arg2 :
func.func @smoothed(%q: tensor<1x2x256x128xf16>, %k: tensor<1x2x256x128xf16>, %v: tensor<1x2x256x128xf16>)
    -> tensor<1x2x256x128xf16> {
  %o = sage.attention ins(%q, %k, %v : tensor<1x2x256x128xf16>, tensor<1x2x256x128xf16>, tensor<1x2x256x128xf16>)
      outs(%q : tensor<1x2x256x128xf16>) {recipe = #sage.recipe<"sage2-4b">} -> tensor<1x2x256x128xf16>
  return %o : tensor<1x2x256x128xf16>
}

// Two attentions of the same tensors, of quantized operands that the first leaves in use after common subexpressions are one.
// CHECK-LABEL: func.func @shared
// CHECK-NOT:     = sage.
// CHECK:         sage_tile.invoke @shared_attention ins(%arg0, %arg0, %arg0 :
// CHECK-NOT:     = sage.
// CHECK:         sage_tile.invoke @shared_attention_1 ins(%arg0, %arg0, %arg0 :
// CHECK-NOT:     = sage.
// CHECK:         return
func.func @shared(%x: tensor<1x2x256x64xf16>) -> (tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>) {
  %a = sage.attention ins(%x, %x, %x : tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>)
      outs(%x : tensor<1x2x256x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x2x256x64xf16>
  %b = sage.attention ins(%x, %x, %x : tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>)
      outs(%a : tensor<1x2x256x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x2x256x64xf16>
  return %a, %b : tensor<1x2x256x64xf16>, tensor<1x2x256x64xf16>
}
