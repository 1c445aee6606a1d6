// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_80 -split-input-file -verify-diagnostics

func.func @chip_lacks_e4m3(%q: tensor<1x8x64x128xf16>) -> tensor<1x8x64x128xf16> {
  // expected-error@+2 {{recipe on sm_80 must have no 8-bit float product (the chip has none), but got qk = int8 and pv = e4m3 [C12]}}
  // expected-note@+1 {{use #sage.recipe<"sage1", granularity = per_thread>, or let `substitute` of sage-legalize-recipe do so}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>)
      outs(%q : tensor<1x8x64x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x128xf16>
  return %o : tensor<1x8x64x128xf16>
}

// -----

func.func @unknown_scale(%q: tensor<1x8x64x?xf16>) -> tensor<1x8x64x?xf16> {
  // expected-error@+2 {{scale must be given when the head dim is dynamic}}
  // expected-note@+1 {{add `scale`, or cast query and key to a static head dim}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x64x?xf16>, tensor<1x8x64x?xf16>, tensor<1x8x64x?xf16>)
      outs(%q : tensor<1x8x64x?xf16>) {recipe = #sage.recipe<"sage1">} -> tensor<1x8x64x?xf16>
  return %o : tensor<1x8x64x?xf16>
}

// -----

func.func @memrefs(%q: memref<1x8x64x128xf16>) {
  // expected-error@+2 {{operands must be tensors for this pass, but got 'memref<1x8x64x128xf16>'}}
  // expected-note@+1 {{run the pass before bufferization}}
  sage.attention ins(%q, %q, %q : memref<1x8x64x128xf16>, memref<1x8x64x128xf16>, memref<1x8x64x128xf16>)
      outs(%q : memref<1x8x64x128xf16>) {recipe = #sage.recipe<"sage1">}
  return
}
