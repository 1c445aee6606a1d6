// Masks, lengths and sequences: round trips, and how smoothing and quantization carry them along.
// RUN: sage-opt %s | sage-opt -mlir-print-op-generic | sage-opt | FileCheck %s
// RUN: sage-opt %s -sage-smooth -sage-quantize | FileCheck %s --check-prefix=QUANTIZED

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>,
  key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>, value_order = affine_map<(p) -> (p)>>

// CHECK-LABEL: func @window
// CHECK: sage.attention {{.*}} {geometry = #geometry, mask = #sage.mask<window_bottom_right>, {{.*}}sink_tokens = 4 : i64, softcap = 5.000000e+01 : f32, window_left = 127 : i64, window_right = 0 : i64}
// CHECK: sage.attention {{.*}} {geometry = #geometry, mask = #sage.mask<causal_top_left>, {{.*}}window_left = 0 : i64}
// QUANTIZED-LABEL: func @window
// QUANTIZED: sage.lse_correction
// QUANTIZED: sage.quantized_attention {{.*}} lse_correction({{.*}}) outs(%{{.+}} : tensor<1x2x300x64xf16>)
// QUANTIZED-SAME: mask = #sage.mask<window_bottom_right>, {{.*}}sink_tokens = 4 : i64, softcap = 5.000000e+01 : f32, window_left = 127 : i64, window_right = 0 : i64
func.func @window(%q: tensor<1x2x300x64xf16>) -> (tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>) {
  %o = sage.attention ins(%q, %q, %q : tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>)
      outs(%q : tensor<1x2x300x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry, mask = #sage.mask<window_bottom_right>, window_left = 127,
       window_right = 0, sink_tokens = 4, softcap = 50.0 : f32} -> tensor<1x2x300x64xf16>
  %p = sage.attention ins(%q, %q, %q : tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>)
      outs(%q : tensor<1x2x300x64xf16>)
      {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry, mask = #sage.mask<causal_top_left>, window_left = 0}
      -> tensor<1x2x300x64xf16>
  return %o, %p : tensor<1x2x300x64xf16>, tensor<1x2x300x64xf16>
}

// Key lengths end the means, groups and channels of K and V; queries have none.
// CHECK-LABEL: func @lengths
// CHECK: sage.attention {{.*}} bias(%{{.+}} : tensor<1x2x1x?xi1>) key_lengths(%{{.+}} : tensor<3xi32>) sinks(%{{.+}} : tensor<2xf32>) outs(
// QUANTIZED-LABEL: func @lengths
// QUANTIZED-SAME: %[[BIAS:[^:]+]]: tensor<1x2x1x?xi1>, %[[L:[^:]+]]: tensor<3xi32>, %[[SINKS:[^:]+]]: tensor<2xf32>
// QUANTIZED: sage.mean %{{.+}} lengths(%[[L]] : tensor<3xi32>) : tensor<3x2x?x64xbf16> -> tensor<3x2x1x64xf32>
// QUANTIZED: sage.center %{{.+}}, %{{.+}} lengths(%[[L]] : tensor<3xi32>)
// QUANTIZED: sage.lse_correction %{{.+}}, %{{.+}} {scale
// QUANTIZED: sage.mean %{{.+}} {block = 128 : i64}
// QUANTIZED: sage.center %{{.+}}, %{{.+}} {block = 128 : i64}
// QUANTIZED: sage.quantize %{{.+}} {groups
// QUANTIZED: sage.quantize %{{.+}} lengths(%[[L]] : tensor<3xi32>) {groups
// QUANTIZED: sage.quantize_value %{{.+}} lengths(%[[L]] : tensor<3xi32>) {order
// QUANTIZED: sage.quantized_attention {{.*}} bias(%[[BIAS]] : tensor<1x2x1x?xi1>) key_lengths(%[[L]] : tensor<3xi32>) sinks(%[[SINKS]] : tensor<2xf32>) outs(
func.func @lengths(%q: tensor<3x2x200x64xbf16>, %k: tensor<3x2x?x64xbf16>, %bias: tensor<1x2x1x?xi1>, %l: tensor<3xi32>,
                   %sinks: tensor<2xf32>) -> tensor<3x2x200x64xbf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<3x2x200x64xbf16>, tensor<3x2x?x64xbf16>, tensor<3x2x?x64xbf16>)
      bias(%bias : tensor<1x2x1x?xi1>) key_lengths(%l : tensor<3xi32>) sinks(%sinks : tensor<2xf32>)
      outs(%q : tensor<3x2x200x64xbf16>) {recipe = #sage.recipe<"sage2-4b">, geometry = #geometry} -> tensor<3x2x200x64xbf16>
  return %o : tensor<3x2x200x64xbf16>
}

// Four sequences: blocks, scales and storage positions are each sequence's own.
// CHECK-LABEL: func @sequences
// CHECK: sage.attention {{.*}} query_offsets(%{{.+}} : tensor<5xi32>) key_offsets(%{{.+}} : tensor<5xi32>) outs(
// QUANTIZED-LABEL: func @sequences
// QUANTIZED-SAME: %[[Q:[^:]+]]: tensor<5xi32>, %[[K:[^:]+]]: tensor<5xi32>
// QUANTIZED: sage.mean %{{.+}} offsets(%[[K]] : tensor<5xi32>) : tensor<1x2x1000x64xf16> -> tensor<1x2x4x64xf32>
// QUANTIZED: sage.center %{{.+}}, %{{.+}} offsets(%[[K]] : tensor<5xi32>)
// QUANTIZED: sage.lse_correction %{{.+}}, %{{.+}} offsets(%[[Q]] : tensor<5xi32>)
// QUANTIZED: sage.mean %{{.+}} offsets(%[[Q]] : tensor<5xi32>) {block = 128 : i64} : tensor<1x2x300x64xf16> -> tensor<1x2x6x64xf32>
// QUANTIZED: sage.center %{{.+}}, %{{.+}} offsets(%[[Q]] : tensor<5xi32>) {block = 128 : i64}
// QUANTIZED: sage.score_correction %{{.+}} : tensor<1x2x6x64xf32>, tensor<1x2x1000x64xf32> -> tensor<1x2x6x1000xf32>
// QUANTIZED: sage.mean %{{.+}} offsets(%[[K]] : tensor<5xi32>) : tensor<1x2x1000x64xf16> -> tensor<1x2x4x64xf32>
// QUANTIZED: sage.quantize %{{.+}} offsets(%[[Q]] : tensor<5xi32>) {{.*}} -> tensor<1x2x300x64xi8>, tensor<1x2x176xf32>
// QUANTIZED: sage.quantize %{{.+}} offsets(%[[K]] : tensor<5xi32>) {{.*}} -> tensor<1x2x1000x64xi8>, tensor<1x2x76xf32>
// QUANTIZED: sage.quantize_value %{{.+}} offsets(%[[K]] : tensor<5xi32>) {{.*}} -> tensor<1x2x64x1056xf8E4M3FN>, tensor<4x2x64xf32>
// QUANTIZED: sage.quantized_attention {{.*}} query_offsets(%[[Q]] : tensor<5xi32>) key_offsets(%[[K]] : tensor<5xi32>) outs(
func.func @sequences(%q: tensor<1x2x300x64xf16>, %k: tensor<1x2x1000x64xf16>, %qo: tensor<5xi32>, %ko: tensor<5xi32>,
                     %lse: tensor<1x2x300xf32>) -> tensor<1x2x300xf32> {
  %o:2 = sage.attention ins(%q, %k, %k : tensor<1x2x300x64xf16>, tensor<1x2x1000x64xf16>, tensor<1x2x1000x64xf16>)
      query_offsets(%qo : tensor<5xi32>) key_offsets(%ko : tensor<5xi32>)
      outs(%q, %lse : tensor<1x2x300x64xf16>, tensor<1x2x300xf32>)
      {recipe = #sage.recipe<"sage2-4b", smooth = q|k|v>, geometry = #geometry} -> tensor<1x2x300x64xf16>, tensor<1x2x300xf32>
  return %o#1 : tensor<1x2x300xf32>
}
