// RUN: sage-opt %s --sage-assign-recipes=file=%S/Inputs/recipes.json | FileCheck %s
// RUN: sage-opt %s --sage-assign-recipes=file=%S/Inputs/recipes.json --sage-legalize-recipe=chip=sm_90a --sage-assign-schedule | FileCheck %s --check-prefix=LEGAL

// One recipe for all heads: the op as it is.
// CHECK-LABEL: func @alike
// CHECK-NOT: tensor.extract_slice
// CHECK: sage.attention {{.*}}recipe = #sage.recipe<"sage-4b">
func.func @alike(%q: tensor<1x6x?x64xf16>, %k: tensor<1x3x?x64xf16>) -> tensor<1x6x?x64xf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<1x6x?x64xf16>, tensor<1x3x?x64xf16>, tensor<1x3x?x64xf16>)
      outs(%q : tensor<1x6x?x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x6x?x64xf16>
  return %o : tensor<1x6x?x64xf16>
}

// Key heads 0 and 1, then 2: their query heads, their rows of the log-sum-exp, their sinks and, where it has heads, their bias.
// CHECK-LABEL: func @runs
// CHECK: %[[Q:.+]] = tensor.extract_slice %arg0[0, 0, 0, 0] [1, %{{.+}}, 4, 64] [1, 1, 1, 1] : tensor<1x?x6x64xf16> to tensor<1x?x4x64xf16>
// CHECK: %[[K:.+]] = tensor.extract_slice %arg1[0, 0, 0, 0] [1, %{{.+}}, 2, 64] [1, 1, 1, 1]
// CHECK: %[[S:.+]] = tensor.extract_slice %arg2[0] [4] [1]
// CHECK: tensor.extract_slice %arg3[0, 0, 0] [1, 4, %{{.+}}] [1, 1, 1]
// CHECK: %[[A:.+]]:2 = sage.attention ins(%[[Q]], %[[K]], %{{.+}} : {{.*}}) sinks(%[[S]] : tensor<4xf32>)
// CHECK-SAME: recipe = #sage.recipe<"sage-8b">
// CHECK: %[[O:.+]] = tensor.insert_slice %[[A]]#0 into %arg0[0, 0, 0, 0] [1, %{{.+}}, 4, 64]
// CHECK: %[[L:.+]] = tensor.insert_slice %[[A]]#1 into %arg3[0, 0, 0] [1, 4, %{{.+}}]
// CHECK: tensor.extract_slice %arg1[0, 0, 2, 0] [1, %{{.+}}, 1, 64]
// CHECK: tensor.extract_slice %arg2[4] [2] [1]
// CHECK: %[[B:.+]]:2 = sage.attention {{.*}}recipe = #sage.recipe<"sage-4b">
// CHECK: %[[O2:.+]] = tensor.insert_slice %[[B]]#0 into %[[O]][0, 0, 4, 0]
// CHECK: %[[L2:.+]] = tensor.insert_slice %[[B]]#1 into %[[L]][0, 4, 0]
// CHECK: return %[[O2]], %[[L2]]
// LEGAL-LABEL: func @runs
// LEGAL: sage.attention {{.*}}schedule
// LEGAL: sage.attention {{.*}}schedule
func.func @runs(%q: tensor<1x?x6x64xf16>, %k: tensor<1x?x3x64xf16>, %s: tensor<6xf32>, %l: tensor<1x6x?xf32>)
    -> (tensor<1x?x6x64xf16>, tensor<1x6x?xf32>) {
  %o, %lse = sage.attention ins(%q, %k, %k : tensor<1x?x6x64xf16>, tensor<1x?x3x64xf16>, tensor<1x?x3x64xf16>)
      sinks(%s : tensor<6xf32>) outs(%q, %l : tensor<1x?x6x64xf16>, tensor<1x6x?xf32>)
      {recipe = #sage.recipe<"f16">, layout = #sage.layout<token_major>} -> tensor<1x?x6x64xf16>, tensor<1x6x?xf32>
  return %o, %lse : tensor<1x?x6x64xf16>, tensor<1x6x?xf32>
}

// The attribute names the layer; a bias without heads is whole.
// CHECK-LABEL: func @named
// CHECK: sage.attention {{.*}}bias(%arg2 : tensor<1x1x64x64xf32>){{.*}}recipe = #sage.recipe<"sage-8b">
// CHECK: sage.attention {{.*}}bias(%arg2 : tensor<1x1x64x64xf32>){{.*}}recipe = #sage.recipe<"sage-4b">
func.func @named(%q: tensor<1x3x64x64xf16>, %k: tensor<1x3x64x64xf16>, %b: tensor<1x1x64x64xf32>) -> tensor<1x3x64x64xf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      bias(%b : tensor<1x1x64x64xf32>) outs(%q : tensor<1x3x64x64xf16>)
      {recipe = #sage.recipe<"f16">, sage.layer = 1 : ui8} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}
