// RUN: sage-opt %s -sage-quantize -split-input-file -verify-diagnostics

func.func @smoothing_left(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  // expected-error@+2 {{smoothing must be explicit, but got recipe #sage.recipe<"sage2-8b">}}
  // expected-note@+1 {{run sage-smooth first}}
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%x : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>,
  value_order = affine_map<(p) -> (p)>>
func.func @unknown_head_dim(%x: tensor<1x8x64x?xf16>) -> tensor<1x8x64x?xf16> {
  // expected-error@+2 {{head dim must be known to be rotated}}
  // expected-note@+1 {{cast query and key to a static head dim}}
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x64x?xf16>, tensor<1x8x64x?xf16>, tensor<1x8x64x?xf16>) outs(%x : tensor<1x8x64x?xf16>)
      {recipe = #sage.recipe<"sage-8b", smooth = none>, geometry = #geometry, scale = 1.0 : f32} -> tensor<1x8x64x?xf16>
  return %o : tensor<1x8x64x?xf16>
}
