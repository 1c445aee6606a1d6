// RUN: sage-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: func @no_keys
// CHECK-DAG: %[[ZERO:.+]] = arith.constant 0.000000e+00 : f16
// CHECK-DAG: %[[MINUS_INFINITY:.+]] = arith.constant 0xFF800000 : f32
// CHECK: %[[O:.+]] = linalg.fill ins(%[[ZERO]] : f16) outs(%{{.+}} : tensor<1x8x?x64xf16>)
// CHECK: %[[LSE:.+]] = linalg.fill ins(%[[MINUS_INFINITY]] : f32) outs(%{{.+}} : tensor<1x8x?xf32>)
// CHECK: return %[[O]], %[[LSE]]
func.func @no_keys(%q: tensor<1x8x?x64xf16>, %k: tensor<1x8x0x64xf16>, %lse0: tensor<1x8x?xf32>) -> (tensor<1x8x?x64xf16>, tensor<1x8x?xf32>) {
  %o, %lse = sage.attention ins(%q, %k, %k : tensor<1x8x?x64xf16>, tensor<1x8x0x64xf16>, tensor<1x8x0x64xf16>)
      outs(%q, %lse0 : tensor<1x8x?x64xf16>, tensor<1x8x?xf32>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x64xf16>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x64xf16>, tensor<1x8x?xf32>
}

// -----

// CHECK-LABEL: func @no_keys_memref
// CHECK-NOT: sage.attention
// CHECK: linalg.fill ins(%{{.+}} : bf16) outs(%{{.+}} : memref<1x8x16x64xbf16>)
func.func @no_keys_memref(%q: memref<1x8x16x64xbf16>, %k: memref<1x8x0x64xbf16>) {
  sage.attention ins(%q, %k, %k : memref<1x8x16x64xbf16>, memref<1x8x0x64xbf16>, memref<1x8x0x64xbf16>)
      outs(%q : memref<1x8x16x64xbf16>) {recipe = #sage.recipe<"sage2-8b">}
  return
}

// -----

// CHECK-LABEL: func @unused_lse
// CHECK-SAME: %[[LSE:[a-z0-9]+]]: tensor<1x8x16xf32>)
// CHECK: %[[O:.+]] = sage.attention ins({{.*}}) outs(%{{.+}} : tensor<1x8x16x64xf16>)
// CHECK-SAME: sage.substituted_for = #sage.recipe<"sage2-8b">
// CHECK: return %[[O]]
func.func @unused_lse(%q: tensor<1x8x16x64xf16>, %lse0: tensor<1x8x16xf32>) -> tensor<1x8x16x64xf16> {
  %o, %lse = sage.attention ins(%q, %q, %q : tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>)
      outs(%q, %lse0 : tensor<1x8x16x64xf16>, tensor<1x8x16xf32>)
      {recipe = #sage.recipe<"sage1">, sage.substituted_for = #sage.recipe<"sage2-8b">} -> tensor<1x8x16x64xf16>, tensor<1x8x16xf32>
  return %o : tensor<1x8x16x64xf16>
}

// -----

// CHECK-LABEL: func @casts
// CHECK: %[[O:.+]] = sage.attention ins({{.*}} : tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>) outs(%{{.+}} : tensor<1x8x16x64xf16>)
// CHECK: tensor.cast %[[O]] : tensor<1x8x16x64xf16> to tensor<1x8x?x64xf16>
func.func @casts(%q: tensor<1x8x16x64xf16>) -> tensor<1x8x?x64xf16> {
  %c = tensor.cast %q : tensor<1x8x16x64xf16> to tensor<1x8x?x64xf16>
  %o = sage.attention ins(%c, %c, %c : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%c : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

// An attention nobody reads disappears on tensors, and stays on memrefs.
// CHECK-LABEL: func @unused
// CHECK: sage.attention {{.*}} outs(%{{.+}} : memref<1x8x16x64xf16>)
// CHECK-NOT: sage.attention
// CHECK: return
func.func @unused(%q: tensor<1x8x16x64xf16>, %m: memref<1x8x16x64xf16>) {
  sage.attention ins(%m, %m, %m : memref<1x8x16x64xf16>, memref<1x8x16x64xf16>, memref<1x8x16x64xf16>)
      outs(%m : memref<1x8x16x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>)
      outs(%q : tensor<1x8x16x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x16x64xf16>
  return
}
