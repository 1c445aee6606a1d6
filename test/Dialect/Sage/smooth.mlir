// RUN: sage-opt %s -sage-smooth | FileCheck %s
// RUN: sage-opt %s -sage-smooth | sage-opt | FileCheck %s

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>

// The mean of K cancels in the softmax, but not in the log-sum-exp.
// CHECK-LABEL: func @smooth_key
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<1x8x512x128xf16>, %[[K:[a-z0-9]+]]: tensor<1x2x512x128xf16>,
// CHECK: %[[MEAN:.+]] = sage.mean %[[K]] :
// CHECK: %[[CENTRED:.+]] = sage.center %[[K]], %[[MEAN]] :
// CHECK: %[[LC:.+]] = sage.lse_correction %[[Q]], %[[MEAN]] {scale = 0.0883883461 : f32}
// CHECK: sage.smoothed_attention ins(%[[Q]], %[[CENTRED]], %[[K]] : {{.*}}) lse_correction(%[[LC]] : {{.*}}) outs(
// CHECK-SAME: mask = #sage.mask<causal_top_left>
func.func @smooth_key(%q: tensor<1x8x512x128xf16>, %k: tensor<1x2x512x128xf16>, %l: tensor<1x8x512xf32>) -> (tensor<1x8x512x128xf16>, tensor<1x8x512xf32>) {
  %o, %lse = sage.attention ins(%q, %k, %k : tensor<1x8x512x128xf16>, tensor<1x2x512x128xf16>, tensor<1x2x512x128xf16>)
      outs(%q, %l : tensor<1x8x512x128xf16>, tensor<1x8x512xf32>)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>} -> tensor<1x8x512x128xf16>, tensor<1x8x512xf32>
  return %o, %lse : tensor<1x8x512x128xf16>, tensor<1x8x512xf32>
}

// Token-major operands are read in their order; what is centred is head-major. Without a log-sum-exp, no correction of it.
// CHECK-LABEL: func @smooth_all
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<1x?x8x64xbf16>
// CHECK: %[[KM:.+]] = sage.mean %[[X]] {layout = #sage.layout<token_major>} : tensor<1x?x8x64xbf16> -> tensor<1x8x1x64xf32>
// CHECK: %[[KC:.+]] = sage.center %[[X]], %[[KM]] {layout = #sage.layout<token_major>} : {{.*}} -> tensor<1x8x?x64xf32>
// CHECK: %[[QM:.+]] = sage.mean %[[X]] {block = 128 : i64, layout = #sage.layout<token_major>} : {{.*}} -> tensor<1x8x?x64xf32>
// CHECK: %[[QC:.+]] = sage.center %[[X]], %[[QM]] {block = 128 : i64, layout = #sage.layout<token_major>}
// CHECK: %[[DS:.+]] = sage.score_correction %[[QM]], %[[KC]] : {{.*}} -> tensor<1x8x?x?xf32>
// CHECK: %[[VM:.+]] = sage.mean %[[X]]
// CHECK: %[[VC:.+]] = sage.center %[[X]], %[[VM]]
// CHECK-NOT: sage.lse_correction
// CHECK: sage.smoothed_attention ins(%[[QC]], %[[KC]], %[[VC]] : {{.*}}) score_correction(%[[DS]] : {{.*}}) value_mean(%[[VM]] : {{.*}}) outs(%[[X]] : tensor<1x?x8x64xbf16>) {geometry = #geometry, layout = #sage.layout<token_major>
func.func @smooth_all(%x: tensor<1x?x8x64xbf16>) -> tensor<1x?x8x64xbf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x?x8x64xbf16>, tensor<1x?x8x64xbf16>, tensor<1x?x8x64xbf16>)
      outs(%x : tensor<1x?x8x64xbf16>)
      {recipe = #sage.recipe<"sage2-8b", smooth = q|k|v>, geometry = #geometry, layout = #sage.layout<token_major>} -> tensor<1x?x8x64xbf16>
  return %o : tensor<1x?x8x64xbf16>
}

// Smooth Q alone: dS reads the 16-bit K in its own order.
// CHECK-LABEL: func @smooth_query
// CHECK: sage.score_correction %{{.+}}, %{{.+}} {layout = #sage.layout<token_major>} : tensor<1x8x?x64xf32>, tensor<1x?x8x64xf16>
func.func @smooth_query(%x: tensor<1x?x8x64xf16>) -> tensor<1x?x8x64xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x?x8x64xf16>, tensor<1x?x8x64xf16>, tensor<1x?x8x64xf16>)
      outs(%x : tensor<1x?x8x64xf16>)
      {recipe = #sage.recipe<"sage2-8b", smooth = q>, geometry = #geometry, layout = #sage.layout<token_major>} -> tensor<1x?x8x64xf16>
  return %o : tensor<1x?x8x64xf16>
}

// CHECK-LABEL: func @nothing_to_smooth
// CHECK-NOT: sage.mean
// CHECK: sage.attention {{.*}}recipe = #sage.recipe<"f16">
func.func @nothing_to_smooth(%x: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  %o = sage.attention ins(%x, %x, %x : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%x : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}
