// RUN: sage-opt %s -one-shot-bufferize=bufferize-function-boundaries | FileCheck %s

// The output is written in place; the fresh destination becomes one allocation and no copy.
// CHECK-LABEL: func @fresh_output
// CHECK-SAME: %[[Q:[a-z0-9]+]]: memref<1x8x16x64xf16
// CHECK: %[[O:.+]] = memref.alloc() {{.*}}: memref<1x8x16x64xf16>
// CHECK: sage.attention ins(%[[Q]], %[[Q]], %[[Q]] : {{.*}}) outs(%[[O]] : memref<1x8x16x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
// CHECK-NOT: memref.copy
// CHECK: return %[[O]]
func.func @fresh_output(%q: tensor<1x8x16x64xf16>) -> tensor<1x8x16x64xf16> {
  %init = tensor.empty() : tensor<1x8x16x64xf16>
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>)
      outs(%init : tensor<1x8x16x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x16x64xf16>
  return %o : tensor<1x8x16x64xf16>
}

// The query is read: it cannot be overwritten, but its old contents need no copy into the new buffer.
// CHECK-LABEL: func @output_aliases_input
// CHECK-SAME: %[[Q:[a-z0-9]+]]: memref<1x8x16x64xf16
// CHECK: %[[O:.+]] = memref.alloc()
// CHECK-NOT: memref.copy
// CHECK: sage.attention ins(%[[Q]], %[[Q]], %[[Q]] : {{.*}}) outs(%[[O]], %{{.+}} :
func.func @output_aliases_input(%q: tensor<1x8x16x64xf16>, %lse0: tensor<1x8x16xf32>) -> (tensor<1x8x16x64xf16>, tensor<1x8x16xf32>) {
  %o, %lse = sage.attention ins(%q, %q, %q : tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>, tensor<1x8x16x64xf16>)
      outs(%q, %lse0 : tensor<1x8x16x64xf16>, tensor<1x8x16xf32>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x16x64xf16>, tensor<1x8x16xf32>
  return %o, %lse : tensor<1x8x16x64xf16>, tensor<1x8x16xf32>
}
