// RUN: sage-opt %s | FileCheck %s
// RUN: sage-opt %s | sage-opt | FileCheck %s
// RUN: sage-opt %s -mlir-print-op-generic | sage-opt | FileCheck %s

#geometry = #sage.geometry<query_block = 128, key_tile = 64,
  query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>,
  key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>, value_order = affine_map<(p) -> (p)>>

// CHECK-LABEL: func @attention
// CHECK: sage.attention ins(%{{.+}}, %{{.+}}, %{{.+}} : tensor<1x8x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
// CHECK-SAME: outs(%{{.+}}, %{{.+}} : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>)
// CHECK-SAME: {mask = #sage.mask<causal_bottom_right>, recipe = #sage.recipe<"sage2-8b">}
// CHECK-SAME: -> tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
func.func @attention(%q: tensor<1x8x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>,
                     %o0: tensor<1x8x?x128xf16>, %lse0: tensor<1x8x?xf32>) -> (tensor<1x8x?x128xf16>, tensor<1x8x?xf32>) {
  %o, %lse = sage.attention
      ins(%q, %k, %v : tensor<1x8x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
      outs(%o0, %lse0 : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
      -> tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
}

// A bias and key lengths, token-major bf16, everything attached, no tokens at all.
// CHECK-LABEL: func @attention_options
// CHECK: sage.attention ins({{.*}}) bias(%{{.+}} : tensor<1x1x0x0xf32>) key_lengths(%{{.+}} : tensor<2xi32>) outs(
// CHECK-SAME: geometry = #geometry, layout = #sage.layout<token_major>
// CHECK-SAME: scale = 1.250000e-01 : f32
func.func @attention_options(%q: tensor<2x0x8x64xbf16>, %bias: tensor<1x1x0x0xf32>, %lengths: tensor<2xi32>) -> tensor<2x0x8x64xbf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<2x0x8x64xbf16>, tensor<2x0x8x64xbf16>, tensor<2x0x8x64xbf16>)
      bias(%bias : tensor<1x1x0x0xf32>) key_lengths(%lengths : tensor<2xi32>)
      outs(%q : tensor<2x0x8x64xbf16>)
      {recipe = #sage.recipe<"sage2-8b">, layout = #sage.layout<token_major>, scale = 0.125 : f32, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>,
       target = #sage.target<chip = "sm_89", family = mma_sync, ptx = 87, shared_bytes = 101376, e4m3_mma = true, int4_mma = true, schedules = "sm_89">}
      -> tensor<2x0x8x64xbf16>
  return %o : tensor<2x0x8x64xbf16>
}

// CHECK-LABEL: func @attention_memref
// CHECK: sage.attention ins({{.*}}) outs(%{{.+}} : memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>) {recipe = #sage.recipe<"f16">}
// CHECK-NEXT: return
func.func @attention_memref(%q: memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>) {
  sage.attention ins(%q, %q, %q : memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>,
                     memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>, memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>)
      outs(%q : memref<1x8x512x128xf16, strided<[?, ?, 128, 1]>>) {recipe = #sage.recipe<"f16">}
  return
}

// CHECK-LABEL: func @smoothing
func.func @smoothing(%q: tensor<1x512x8x128xf16>, %k: tensor<1x2x512x128xf16>, %o0: tensor<1x8x512x128xf16>,
                     %lse0: tensor<1x8x512xf32>, %qh: tensor<1x8x512x128xf16>) {
  // CHECK: sage.mean %{{.+}} : tensor<1x2x512x128xf16> -> tensor<1x2x1x128xf32>
  %km = sage.mean %k {block = 0} : tensor<1x2x512x128xf16> -> tensor<1x2x1x128xf32>
  // CHECK: sage.mean %{{.+}} {block = 128 : i64, layout = #sage.layout<token_major>} : tensor<1x512x8x128xf16> -> tensor<1x8x4x128xf32>
  %qm = sage.mean %q {block = 128, layout = #sage.layout<token_major>} : tensor<1x512x8x128xf16> -> tensor<1x8x4x128xf32>
  // CHECK: sage.center %{{.+}}, %{{.+}} {block = 128 : i64, layout = #sage.layout<token_major>} : tensor<1x512x8x128xf16>, tensor<1x8x4x128xf32> -> tensor<1x8x512x128xf32>
  %qc = sage.center %q, %qm {block = 128, layout = #sage.layout<token_major>}
      : tensor<1x512x8x128xf16>, tensor<1x8x4x128xf32> -> tensor<1x8x512x128xf32>
  %kc = sage.center %k, %km : tensor<1x2x512x128xf16>, tensor<1x2x1x128xf32> -> tensor<1x2x512x128xf32>
  // CHECK: sage.score_correction %{{.+}}, %{{.+}} : tensor<1x8x4x128xf32>, tensor<1x2x512x128xf32> -> tensor<1x8x4x512xf32>
  %ds = sage.score_correction %qm, %kc : tensor<1x8x4x128xf32>, tensor<1x2x512x128xf32> -> tensor<1x8x4x512xf32>
  // CHECK: sage.lse_correction %{{.+}}, %{{.+}} {scale = 1.250000e-01 : f32} : tensor<1x8x512x128xf16>, tensor<1x2x1x128xf32> -> tensor<1x8x512xf32>
  %lc = sage.lse_correction %qh, %km {scale = 0.125 : f32} : tensor<1x8x512x128xf16>, tensor<1x2x1x128xf32> -> tensor<1x8x512xf32>
  %vc = sage.center %k, %km : tensor<1x2x512x128xf16>, tensor<1x2x1x128xf32> -> tensor<1x2x512x128xf32>
  // CHECK: sage.smoothed_attention ins({{.*}}) score_correction(%{{.+}} : tensor<1x8x4x512xf32>) lse_correction(%{{.+}} : tensor<1x8x512xf32>) value_mean(%{{.+}} : tensor<1x2x1x128xf32>) outs(
  %r:2 = sage.smoothed_attention
      ins(%qc, %kc, %vc : tensor<1x8x512x128xf32>, tensor<1x2x512x128xf32>, tensor<1x2x512x128xf32>)
      score_correction(%ds : tensor<1x8x4x512xf32>) lse_correction(%lc : tensor<1x8x512xf32>)
      value_mean(%km : tensor<1x2x1x128xf32>) outs(%o0, %lse0 : tensor<1x8x512x128xf16>, tensor<1x8x512xf32>)
      {recipe = #sage.recipe<"sage2-8b", smooth = q|k|v>, geometry = #geometry}
      -> tensor<1x8x512x128xf16>, tensor<1x8x512xf32>
  // CHECK: sage.smoothed_attention ins({{.*}}) outs(%{{.+}} : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">}
  %o = sage.smoothed_attention
      ins(%qh, %kc, %k : tensor<1x8x512x128xf16>, tensor<1x2x512x128xf32>, tensor<1x2x512x128xf16>)
      outs(%o0 : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x512x128xf16>
  return
}

// CHECK-LABEL: func @quantization
func.func @quantization(%q: tensor<1x8x512x128xf16>, %kc: tensor<1x2x512x128xf32>, %v: tensor<1x2x500x128xf16>,
                        %vfull: tensor<1x2x512x128xf16>, %o0: tensor<1x8x512x128xf16>) {
  // CHECK: sage.quantize %{{.+}} {groups = #{{.+}}, type = #sage.score_type<int8>} : tensor<1x2x512x128xf32> -> tensor<1x2x512x128xi8>, tensor<1x2x32xf32>
  %k8, %ks = sage.quantize %kc {type = #sage.score_type<int8>, groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>}
      : tensor<1x2x512x128xf32> -> tensor<1x2x512x128xi8>, tensor<1x2x32xf32>
  // CHECK: sage.quantize %{{.+}} {groups = #{{.+}}, packed, type = #sage.score_type<int4>} : tensor<1x2x512x128xf32> -> tensor<1x2x512x64xi8>, tensor<1x2x512xf32>
  %k4, %ks4 = sage.quantize %kc {type = #sage.score_type<int4>, groups = affine_map<(n) -> (n)>, packed}
      : tensor<1x2x512x128xf32> -> tensor<1x2x512x64xi8>, tensor<1x2x512xf32>
  // CHECK: -> tensor<1x2x512x128xf8E4M3FN>, tensor<1x2x1xf32>
  %ke, %kse = sage.quantize %kc {type = #sage.score_type<e4m3>, groups = affine_map<(n) -> (0)>}
      : tensor<1x2x512x128xf32> -> tensor<1x2x512x128xf8E4M3FN>, tensor<1x2x1xf32>
  %q8, %qs = sage.quantize %q {type = #sage.score_type<int8>, groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>}
      : tensor<1x8x512x128xf16> -> tensor<1x8x512x128xi8>, tensor<1x8x256xf32>
  // CHECK: sage.quantize_value %{{.+}} {order = #{{.+}}, type = f8E4M3FN} : tensor<1x2x500x128xf16> -> tensor<1x2x128x512xf8E4M3FN>, tensor<1x2x128xf32>
  %v8, %vs = sage.quantize_value %v {order = affine_map<(p) -> (p)>, type = f8E4M3FN}
      : tensor<1x2x500x128xf16> -> tensor<1x2x128x512xf8E4M3FN>, tensor<1x2x128xf32>
  // CHECK: sage.quantized_attention ins(%{{.+}}, %{{.+}}, %{{.+}} : tensor<1x8x512x128xi8>, tensor<1x2x512x128xi8>, tensor<1x2x128x512xf8E4M3FN>) scales(%{{.+}}, %{{.+}}, %{{.+}} : tensor<1x8x256xf32>, tensor<1x2x32xf32>, tensor<1x2x128xf32>) outs(
  %o = sage.quantized_attention
      ins(%q8, %k8, %v8 : tensor<1x8x512x128xi8>, tensor<1x2x512x128xi8>, tensor<1x2x128x512xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x256xf32>, tensor<1x2x32xf32>, tensor<1x2x128xf32>)
      outs(%o0 : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x512x128xf16>
  // CHECK: sage.quantized_attention ins({{.*}}) scales(%{{.+}}, %{{.+}} : tensor<1x8x256xf32>, tensor<1x2x32xf32>) outs(
  %p = sage.quantized_attention
      ins(%q8, %k8, %vfull : tensor<1x8x512x128xi8>, tensor<1x2x512x128xi8>, tensor<1x2x512x128xf16>)
      scales(%qs, %ks : tensor<1x8x256xf32>, tensor<1x2x32xf32>)
      outs(%o0 : tensor<1x8x512x128xf16>) {recipe = #sage.recipe<"sage1">, geometry = #geometry}
      -> tensor<1x8x512x128xf16>
  return
}
