// RUN: sage-opt %s -split-input-file -verify-diagnostics -sage-unpack-sequences | FileCheck %s

// Entries with key lengths have as many parts as the whole call (Spec N18), which must be known; sequences have one.

// CHECK: #geometry = #sage.geometry<{{.*}} key_parts = #map1>
// CHECK-LABEL: func @known
// CHECK: sage.attention
// CHECK-SAME: geometry = #geometry
#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>,
  value_order = affine_map<(n) -> (n)>, key_parts = affine_map<()[b, hq, hkv, nq, nk] -> (132 floordiv (b * hq * nq), nk floordiv 100)>>
func.func @known(%q: tensor<3x2x2x64xf16>, %k: tensor<3x2x700x64xf16>, %l: tensor<3xi32>) -> tensor<3x2x2x64xf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<3x2x2x64xf16>, tensor<3x2x700x64xf16>, tensor<3x2x700x64xf16>)
      key_lengths(%l : tensor<3xi32>) outs(%q : tensor<3x2x2x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry} -> tensor<3x2x2x64xf16>
  return %o : tensor<3x2x2x64xf16>
}

// -----

// CHECK: #geometry = #sage.geometry<query_block = 128, {{[^>]*}}value_order = #map>
// CHECK-LABEL: func @packed
#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>,
  value_order = affine_map<(n) -> (n)>, key_parts = affine_map<()[b, hq, hkv, nq, nk] -> (nk)>>
func.func @packed(%q: tensor<1x2x?x64xf16>, %s: tensor<?xi32>) -> tensor<1x2x?x64xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>)
      query_offsets(%s : tensor<?xi32>) key_offsets(%s : tensor<?xi32>) outs(%q : tensor<1x2x?x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry} -> tensor<1x2x?x64xf16>
  return %o : tensor<1x2x?x64xf16>
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>,
  value_order = affine_map<(n) -> (n)>, key_parts = affine_map<()[b, hq, hkv, nq, nk] -> (nk floordiv 100)>>
func.func @unknown(%q: tensor<3x2x?x64xf16>, %l: tensor<3xi32>) -> tensor<3x2x?x64xf16> {
  // expected-error@+2 {{geometry's key_parts must be known with key lengths to be unpacked, but got}}
  // expected-note@+1 {{cast the operands to static extents, give a constant key_parts, or run sage-assign-schedule with split-keys=false}}
  %o = sage.attention ins(%q, %q, %q : tensor<3x2x?x64xf16>, tensor<3x2x?x64xf16>, tensor<3x2x?x64xf16>)
      key_lengths(%l : tensor<3xi32>) outs(%q : tensor<3x2x?x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry} -> tensor<3x2x?x64xf16>
  return %o : tensor<3x2x?x64xf16>
}
