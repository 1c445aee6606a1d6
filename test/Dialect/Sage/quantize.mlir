// RUN: sage-opt %s -sage-quantize | FileCheck %s
// RUN: sage-opt %s -sage-quantize | sage-opt | FileCheck %s

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>,
  key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>,
  value_order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>>
#target = #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">
// CHECK-DAG: #[[Q:.+]] = affine_map<(d0) -> ((d0 floordiv 16) * 8 + d0 mod 8)>
// CHECK-DAG: #[[K:.+]] = affine_map<(d0) -> ((d0 floordiv 64) * 4 + (d0 mod 8) floordiv 2)>
// CHECK-DAG: #[[V:.+]] = affine_map<(d0) -> ((d0 floordiv 16) * 16 + ((d0 mod 4) floordiv 2) * 8 + ((d0 mod 16) floordiv 4) * 2 + d0 mod 2)>

// CHECK-LABEL: func @int8
// CHECK: %[[Q8:.+]], %[[QS:.+]] = sage.quantize %{{.+}} {groups = #[[Q]], type = #sage.score_type<int8>} : tensor<1x8x512x128xf16> -> tensor<1x8x512x128xi8>, tensor<1x8x256xf32>
// CHECK: %[[K8:.+]], %[[KS:.+]] = sage.quantize %{{.+}} {groups = #[[K]], type = #sage.score_type<int8>} : tensor<1x2x500x128xf32> -> tensor<1x2x500x128xi8>, tensor<1x2x32xf32>
// CHECK: %[[V8:.+]], %[[VS:.+]] = sage.quantize_value %{{.+}} {order = #[[V]], type = f8E4M3FN} : tensor<1x2x500x128xf16> -> tensor<1x2x128x512xf8E4M3FN>, tensor<1x2x128xf32>
// CHECK: sage.quantized_attention ins(%[[Q8]], %[[K8]], %[[V8]] : {{.*}}) scales(%[[QS]], %[[KS]], %[[VS]] : {{.*}}) outs(
// CHECK-SAME: {geometry = #geometry, mask = #sage.mask<causal_top_left>, recipe = #sage.recipe<"sage2-8b">, scale = 1.000000e+00 : f32}
func.func @int8(%q: tensor<1x8x512x128xf16>, %kc: tensor<1x2x500x128xf32>, %v: tensor<1x2x500x128xf16>) -> tensor<1x8x512x128xf16> {
  %o = sage.smoothed_attention ins(%q, %kc, %v : tensor<1x8x512x128xf16>, tensor<1x2x500x128xf32>, tensor<1x2x500x128xf16>)
      outs(%q : tensor<1x8x512x128xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry, scale = 1.0 : f32, mask = #sage.mask<causal_top_left>} -> tensor<1x8x512x128xf16>
  return %o : tensor<1x8x512x128xf16>
}

// Packed where the target multiplies INT4; an attention without smoothing needs no smoothed_attention.
// CHECK-LABEL: func @int4
// CHECK: sage.quantize %{{.+}} {groups = #{{.+}}, layout = #sage.layout<token_major>, packed, type = #sage.score_type<int4>} : tensor<1x?x8x64xf16> -> tensor<1x8x?x32xi8>, tensor<1x8x?xf32>
// CHECK: sage.quantized_attention {{.*}} layout = #sage.layout<token_major>, packed,
func.func @int4(%x: tensor<1x?x8x64xf16>) -> tensor<1x?x8x64xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x?x8x64xf16>, tensor<1x?x8x64xf16>, tensor<1x?x8x64xf16>) outs(%x : tensor<1x?x8x64xf16>)
      {recipe = #sage.recipe<"sage2-4b", smooth = none>, geometry = #geometry, target = #target, layout = #sage.layout<token_major>} -> tensor<1x?x8x64xf16>
  return %o : tensor<1x?x8x64xf16>
}

// 16-bit PV: V is left as it is.
// CHECK-LABEL: func @half_value
// CHECK-NOT: sage.quantize_value
// CHECK: sage.quantized_attention ins(%{{.+}}, %{{.+}}, %arg0 : {{.*}}) scales(%{{.+}}, %{{.+}} : tensor<1x8x?xf32>, tensor<1x8x?xf32>) outs(
func.func @half_value(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>) outs(%x : tensor<1x8x?x64xf16>)
      {recipe = #sage.recipe<"sage1", smooth = none>, geometry = #geometry} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// An f16 inner accumulator: V is scaled to 4.5. e4m3 scores.
// CHECK-LABEL: func @half_inner
// CHECK: sage.quantize %{{.+}} {{{.*}}type = #sage.score_type<e4m3>} : {{.*}} -> tensor<1x8x?x64xf8E4M3FN>
// CHECK: sage.quantize_value %{{.+}} {order = #[[V]], range = 4.500000e+00 : f32, type = f8E4M3FN}
func.func @half_inner(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>) outs(%x : tensor<1x8x?x64xf16>)
      {recipe = #sage.recipe<"sage2pp", qk = e4m3, smooth = none>, geometry = #geometry} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// An odd head dim has no pairs to pack; sage-decompose lowers it.
// CHECK-LABEL: func @odd_int4
// CHECK: sage.quantize %{{.+}} {groups = #{{.+}}, type = #sage.score_type<int4>} : tensor<1x8x?x63xf16> -> tensor<1x8x?x63xi8>, tensor<
// CHECK-NOT: packed
func.func @odd_int4(%x: tensor<1x8x?x63xf16>) -> tensor<1x8x?x63xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x63xf16>, tensor<1x8x?x63xf16>, tensor<1x8x?x63xf16>) outs(%x : tensor<1x8x?x63xf16>)
      {recipe = #sage.recipe<"sage2-4b", smooth = none>, geometry = #geometry, target = #target} -> tensor<1x8x?x63xf16>
  return %o : tensor<1x8x?x63xf16>
}

// Q in the order of the layout and K, centred, are rotated; the halvings of both are the logarithm of 64, which divides 192. The
// range of INT4 stands for a part of the largest magnitude.
// CHECK-LABEL: func @rotated
// CHECK: %[[QR:.+]] = sage.rotate %arg0 {halvings = 3 : i64, layout = #sage.layout<token_major>} : tensor<1x?x8x192xf16> -> tensor<1x8x?x192xf32>
// CHECK: sage.quantize %[[QR]] {fraction = 9.375000e-01 : f32, groups = #[[Q]], packed, type = #sage.score_type<int4>} : tensor<1x8x?x192xf32> -> tensor<1x8x?x96xi8>
// CHECK: %[[KR:.+]] = sage.rotate %arg1 {halvings = 3 : i64} : tensor<1x8x?x192xf32> -> tensor<1x8x?x192xf32>
// CHECK: sage.quantize %[[KR]] {fraction = 7.500000e-01 : f32, groups = #[[K]], packed,
func.func @rotated(%x: tensor<1x?x8x192xf16>, %kc: tensor<1x8x?x192xf32>) -> tensor<1x?x8x192xf16> {
  %o = sage.smoothed_attention ins(%x, %kc, %x : tensor<1x?x8x192xf16>, tensor<1x8x?x192xf32>, tensor<1x?x8x192xf16>) outs(%x : tensor<1x?x8x192xf16>)
      {recipe = #sage.recipe<"sage-4b", smooth = k>, geometry = #geometry, target = #target, layout = #sage.layout<token_major>} -> tensor<1x?x8x192xf16>
  return %o : tensor<1x?x8x192xf16>
}
