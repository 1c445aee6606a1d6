// RUN: sage-opt %s -sage-smooth -sage-quantize -split-input-file -verify-diagnostics

func.func @smooth_without_geometry(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  // expected-error@+2 {{geometry must be attached when the recipe smooths q}}
  // expected-note@+1 {{run sage-assign-schedule first: it fixes the query block}}
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%x : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-4b">} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

func.func @smooth_unknown_scale(%x: tensor<1x8x?x?xf16>, %l: tensor<1x8x?xf32>) -> tensor<1x8x?x?xf16> {
  // expected-error@+2 {{scale must be given when the head dim is dynamic}}
  // expected-note@+1 {{run sage-legalize-recipe first, or add `scale`}}
  %o:2 = sage.attention ins(%x, %x, %x : tensor<1x8x?x?xf16>, tensor<1x8x?x?xf16>, tensor<1x8x?x?xf16>)
      outs(%x, %l : tensor<1x8x?x?xf16>, tensor<1x8x?xf32>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x?xf16>, tensor<1x8x?xf32>
  return %o#0 : tensor<1x8x?x?xf16>
}

// -----

func.func @quantize_without_geometry(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  // expected-error@+2 {{geometry must be attached}}
  // expected-note@+1 {{run sage-assign-schedule first: it fixes the scale groups}}
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%x : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b", smooth = none>} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

func.func @memrefs(%q: memref<1x8x64x128xf16>) {
  // expected-error@+2 {{operands must be tensors for this pass, but got 'memref<1x8x64x128xf16>'}}
  // expected-note@+1 {{run the pass before bufferization}}
  sage.attention ins(%q, %q, %q : memref<1x8x64x128xf16>, memref<1x8x64x128xf16>, memref<1x8x64x128xf16>)
      outs(%q : memref<1x8x64x128xf16>) {recipe = #sage.recipe<"sage1">}
  return
}
