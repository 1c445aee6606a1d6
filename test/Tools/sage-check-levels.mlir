// Every level of an attention agrees with the CPU reference; a planted fault is found at the pass that planted it.
// REQUIRES: sage-check-levels
// RUN: sage-check-levels %s --chip=sm_89 | FileCheck %s
// RUN: sage-check-levels %s --chip=sm_90a | FileCheck %s --check-prefixes=CHECK,HOPPER
// RUN: not sage-check-levels %s --pass-pipeline="builtin.module(sage-legalize-recipe{chip=sm_89},sage-assign-schedule,sage-smooth,sage-quantize,convert-sage-to-sage-tile,gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=missing-rescale kernel=attention},sage-tile-apply-schedule)))" 2>&1 | FileCheck %s --check-prefix=FAULT
// RUN: not sage-check-levels %s --pass-pipeline="builtin.module(cse)" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sage-check-levels %s --chip=sm_89 --shape=1,3,2,8,8 2>&1 | FileCheck %s --check-prefix=HEADS
// RUN: not sage-check-levels %s --chip=sm_80 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not sage-check-levels --example=sage2-8b --chip=sm_90a --device=0 --driver=%sage_bin/lib/libcuda_stub.so 2>&1 | FileCheck %s --check-prefix=ARTIFACT
// RUN: not sage-check-levels 2>&1 | FileCheck %s --check-prefix=INPUT

// CHECK: B 1 Hq 2 Hkv 1 Nq 70 Nk 150 D 128 Dv 128
// CHECK: after sage-assign-schedule linalg {{.*}} ok
// CHECK: after sage-smooth linalg {{.*}} ok
// CHECK: after sage-quantize linalg {{.*}} ok
// CHECK: after convert-sage-to-sage-tile interpreter {{.*}} ok
// CHECK: after sage-tile-two-level-accumulation of @attention interpreter {{.*}} ok
// HOPPER: after sage-tile-issue-mma-async of @attention interpreter {{.*}} ok
// HOPPER: after sage-tile-specialize-warps of @attention interpreter {{.*}} ok
// CHECK: after sage-tile-pipeline-copies of @attention interpreter {{.*}} ok
// CHECK: after sage-tile-peel-masks of @attention interpreter {{.*}} ok
// CHECK-NOT: DIVERGES
// CHECK: all levels agree

// FAULT: after convert-sage-to-sage-tile interpreter {{.*}} ok
// FAULT: after sage-tile-inject-fault of @attention interpreter {{.*}} DIVERGES
// FAULT: error: the first level that diverges is 'after sage-tile-inject-fault of @attention'

// NONE: error: no level can be executed: the attention needs a geometry (sage-assign-schedule)
// HEADS: error: query heads must be a multiple of key heads, but got 3 and 2
// CHIP: recipe on sm_80 must have no 8-bit float product
// CHIP: error: the pipeline failed after the levels above
// The stub driver launches the artifact, but runs no kernel.
// ARTIFACT: after sage-tile-peel-masks of @attention interpreter {{.*}} ok
// ARTIFACT: artifact GPU {{.*}} DIVERGES
// ARTIFACT: error: the first level that diverges is 'artifact'
// INPUT: error: give an input file, or --example=RECIPE

func.func @attention(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>, %v: tensor<?x?x?x128xf16>,
                     %o: tensor<?x?x?x128xf16>, %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x128xf16>, tensor<?x?x?xf32>) {
  %r:2 = sage.attention ins(%q, %k, %v : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
    outs(%o, %l : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>)
    {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
    -> tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
  return %r#0, %r#1 : tensor<?x?x?x128xf16>, tensor<?x?x?xf32>
}
