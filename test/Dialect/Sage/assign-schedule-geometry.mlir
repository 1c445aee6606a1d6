// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule | FileCheck %s

// A fixed geometry is kept and restricts the rows: with 192 keys a tile the second row of head dim 64 is taken.
// CHECK-DAG: #schedule = #sage.schedule<{{.*}} head_dim = 64, {{.*}} key_tile = 192,
// CHECK-DAG: #geometry = #sage.geometry<query_block = 64, key_tile = 192, query_groups = #map, key_groups = #map, value_order = #map>
#geometry = #sage.geometry<query_block = 64, key_tile = 192, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>

// CHECK-LABEL: func @fixed
// CHECK: geometry = #geometry, {{.*}} schedule = #schedule
func.func @fixed(%q: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%q : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry} -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}
