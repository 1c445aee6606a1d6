// RUN: sage-opt %s -sage-assign-schedule -split-input-file -verify-diagnostics

func.func @no_target(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{target must be attached}}
  // expected-note@+1 {{run sage-legalize-recipe first}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

#target = #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
func.func @head_dim(%q: tensor<1x8x?x264xf16>) -> tensor<1x8x?x264xf16> {
  // expected-error@+2 {{head dims of query and value, padded to a multiple of 64, must be one of the scheduled 64, 128, 192, 256 on sm_89, but got 264 and 264}}
  // expected-note@+1 {{add a row in schedules/sm_89 or in a schedule file}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x264xf16>, tensor<1x8x?x264xf16>, tensor<1x8x?x264xf16>)
      outs(%q : tensor<1x8x?x264xf16>) {recipe = #sage.recipe<"sage2-8b">, target = #target} -> tensor<1x8x?x264xf16>
  return %o : tensor<1x8x?x264xf16>
}

// -----

#target = #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
#geometry = #sage.geometry<query_block = 64, key_tile = 96, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>
func.func @geometry(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{a schedule on sm_89 for head dim 128 must agree with recipe #sage.recipe<"sage2-8b"> and the geometry, but got none}}
  // expected-note@+1 {{schedule key_tile must be the geometry's, but got 64 and 96}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, target = #target, geometry = #geometry} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

#target = #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
func.func @dynamic(%q: tensor<1x8x?x?xf16>) -> tensor<1x8x?x?xf16> {
  // expected-error@+2 {{head dims must be static, but got 'tensor<1x8x?x?xf16>' and 'tensor<1x8x?x?xf16>'}}
  // expected-note@+1 {{cast the operands to static head dims}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x?xf16>, tensor<1x8x?x?xf16>, tensor<1x8x?x?xf16>)
      outs(%q : tensor<1x8x?x?xf16>) {recipe = #sage.recipe<"sage2-8b">, target = #target} -> tensor<1x8x?x?xf16>
  return %o : tensor<1x8x?x?xf16>
}

// -----

func.func @memrefs(%q: memref<1x8x64x128xf16>) {
  // expected-error@+2 {{operands must be tensors for this pass, but got 'memref<1x8x64x128xf16>'}}
  // expected-note@+1 {{run the pass before bufferization}}
  sage.attention ins(%q, %q, %q : memref<1x8x64x128xf16>, memref<1x8x64x128xf16>, memref<1x8x64x128xf16>)
      outs(%q : memref<1x8x64x128xf16>) {recipe = #sage.recipe<"sage1">}
  return
}
