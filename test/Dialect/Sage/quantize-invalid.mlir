// RUN: sage-opt %s -sage-quantize -split-input-file -verify-diagnostics

func.func @smoothing_left(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  // expected-error@+2 {{smoothing must be explicit, but got recipe #sage.recipe<"sage2-8b">}}
  // expected-note@+1 {{run sage-smooth first}}
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%x : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}
