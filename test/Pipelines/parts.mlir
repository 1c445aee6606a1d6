// RUN: sage-opt %s --sage-to-tile=chip=sm_90a | FileCheck %s
// RUN: sage-opt %s --sage-to-tile='chip=sm_90a split-keys=false' | FileCheck %s --check-prefix=WHOLE

// Keys in parts: a block for each tile of queries and part, and a kernel that joins the parts where there are several.

// WHOLE-NOT: part_outputs
// WHOLE-NOT: join_parts

// CHECK-DAG: [[OUTPUTS:#map[0-9]*]] = affine_map<()[s0, {{.*}}, s27] -> ({{.*}}((s27 - 1) ceildiv s27){{.*}} * 512))>
// CHECK-DAG: [[ROWS:#map[0-9]*]] = affine_map<()[s0, {{.*}}, s27] -> ({{.*}}((s27 - 1) ceildiv s27){{.*}} * 4))>
// CHECK-DAG: [[BLOCKS:#map[0-9]*]] = affine_map<()[s0, {{.*}}, s27] -> (((s0 * s1) * (s3 ceildiv 192)) * s27)>
// CHECK-DAG: [[JOINS:#map[0-9]*]] = affine_map<()[s0, {{.*}}, s27] -> (((s27 - 1) ceildiv s27) * ((s0 * s1) * (s3 ceildiv 16)))>

// CHECK-LABEL: sage_tile.program @few_attention
// CHECK: sage_tile.workspace "part_outputs" bytes [[OUTPUTS]]
// CHECK: sage_tile.workspace "part_maxima" bytes [[ROWS]]
// CHECK: sage_tile.workspace "part_sums" bytes [[ROWS]]
// CHECK: sage_tile.launch @few_attention_kernels::@attention grid [[BLOCKS]]
// CHECK: sage_tile.launch @few_attention_kernels::@join_parts grid [[JOINS]]

// Behind the loop there is one branch: the end of the attention, or O, m and l as they are.
// CHECK-LABEL: sage_tile.kernel @attention
// CHECK: [[IS_WHOLE:%[0-9]+]] = arith.cmpi eq, {{%.+}}, %c1
// CHECK: consumer
// CHECK: scf.if [[IS_WHOLE]]
// CHECK: arith.divf
// CHECK: } else {
// CHECK-NOT: arith.divf
// CHECK: sage_tile.store

// CHECK-LABEL: sage_tile.kernel @join_parts
// CHECK: sage_tile.grid_wait
// The largest maximum first, so that no load waits for another part's.
// CHECK: scf.for
// CHECK: sage_tile.reduce <maximumf>
// CHECK: scf.for
// CHECK-COUNT-12: sage_tile.load
// CHECK-COUNT-8: math.fma
func.func @few(%q: tensor<?x?x?x128xf16>, %k: tensor<?x?x?x128xf16>) -> tensor<?x?x?x128xf16> {
  %o = sage.attention ins(%q, %k, %k : tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>, tensor<?x?x?x128xf16>)
      outs(%q : tensor<?x?x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<?x?x?x128xf16>
  return %o : tensor<?x?x?x128xf16>
}
