// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a | FileCheck %s
// RUN: sage-opt %s -sage-legalize-recipe="chip=sm_89 recipe=sage1" | FileCheck %s --check-prefix=RECIPE
// RUN: sage-opt %s -sage-legalize-recipe="chip=sm_80 substitute" 2>&1 | FileCheck %s --check-prefix=SUBSTITUTE
// RUN: not sage-opt %s -sage-legalize-recipe="chip=sm_70" 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not sage-opt %s -sage-legalize-recipe="recipe=sage3" 2>&1 | FileCheck %s --check-prefix=NAME

// CHIP: error: chip must be one of sm_120a, sm_80, sm_86, sm_89, sm_90a, but got 'sm_70'
// CHIP: note: a chip of a known instruction family is one file, targets/<chip>.mlir
// NAME: error: recipe must be one of sage2-8b, sage2-4b, sage1, sage2pp, sage-8b, sage-4b, f16, but got 'sage3'
// SUBSTITUTE: remark: recipe #sage.recipe<"sage2-8b"> is replaced by #sage.recipe<"sage1", granularity = per_thread> on sm_80

// CHECK: #target = #sage.target<chip = "sm_90a"
// RECIPE: #target = #sage.target<chip = "sm_89"

// CHECK-LABEL: func @default_scale
// CHECK: recipe = #sage.recipe<"sage2-8b">, scale = 0.0883883461 : f32, target = #target
// RECIPE-LABEL: func @default_scale
// RECIPE: recipe = #sage.recipe<"sage1">, scale = 0.0883883461 : f32, target = #target
// SUBSTITUTE-LABEL: func @default_scale
// SUBSTITUTE: recipe = #sage.recipe<"sage1", granularity = per_thread>
// SUBSTITUTE-SAME: sage.substituted_for = #sage.recipe<"sage2-8b">
func.func @default_scale(%q: tensor<1x8x64x128xf16>) -> tensor<1x8x64x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>)
      outs(%q : tensor<1x8x64x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x128xf16>
  return %o : tensor<1x8x64x128xf16>
}

// A recipe that every chip runs is not substituted.
// SUBSTITUTE-LABEL: func @runs_everywhere
// SUBSTITUTE-NOT: sage.substituted_for
// CHECK-LABEL: func @runs_everywhere
// CHECK: scale = 1.000000e+00 : f32
func.func @runs_everywhere(%q: tensor<1x8x64x128xf16>) -> tensor<1x8x64x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>, tensor<1x8x64x128xf16>)
      outs(%q : tensor<1x8x64x128xf16>) {recipe = #sage.recipe<"sage1">, scale = 1.0 : f32} -> tensor<1x8x64x128xf16>
  return %o : tensor<1x8x64x128xf16>
}
