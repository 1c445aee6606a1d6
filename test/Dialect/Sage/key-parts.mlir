// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule | FileCheck %s
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule=split-keys=false | FileCheck %s --check-prefix=WHOLE
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 -sage-assign-schedule | FileCheck %s --check-prefix=MMA

// A default geometry takes the keys in parts where few queries may see many keys (Spec N18).
// WHOLE-NOT: key_parts

// Blocks of 192 queries and 8 tiles of 192 keys at head dim 64; 128 queries and 8 tiles of 64 keys for mma.sync.
// CHECK-DAG: [[PARTS:#map[0-9]*]] = affine_map<()[s0, s1, s2, s3, s4] -> (132 floordiv ((s0 * s1) * (s3 ceildiv 192)), s4 floordiv 1536)>
// CHECK-DAG: [[SPLIT:#geometry[0-9]*]] = #sage.geometry<{{.*}} key_tile = 192, {{.*}} key_parts = [[PARTS]]>
// CHECK-DAG: [[ENTIRE:#geometry[0-9]*]] = #sage.geometry<{{.*}} key_tile = 192, {{[^k]*key_groups[^k]*}}>
// MMA: affine_map<()[s0, s1, s2, s3, s4] -> (132 floordiv ((s0 * s1) * (s3 ceildiv 128)), s4 floordiv 512)>

!t = tensor<?x?x?x64xf16>
// CHECK-LABEL: func @dynamic
// CHECK: geometry = [[SPLIT]]
func.func @dynamic(%q: !t) -> !t {
  %o = sage.attention ins(%q, %q, %q : !t, !t, !t) outs(%q : !t) {recipe = #sage.recipe<"sage2-8b">} -> !t
  return %o : !t
}

!few = tensor<1x8x16x64xf16>
!many = tensor<1x8x65536x64xf16>
// CHECK-LABEL: func @known_parts
// CHECK: geometry = [[SPLIT]]
func.func @known_parts(%q: !few, %k: !many) -> !few {
  %o = sage.attention ins(%q, %k, %k : !few, !many, !many) outs(%q : !few) {recipe = #sage.recipe<"sage2-8b">} -> !few
  return %o : !few
}

// The extents are known, and make one part.
// CHECK-LABEL: func @one_part
// CHECK: geometry = [[ENTIRE]]
func.func @one_part(%q: !many) -> !many {
  %o = sage.attention ins(%q, %q, %q : !many, !many, !many) outs(%q : !many) {recipe = #sage.recipe<"sage2-8b">} -> !many
  return %o : !many
}

// CHECK-LABEL: func @packed
// CHECK: geometry = [[ENTIRE]]
!p = tensor<1x?x?x64xf16>
func.func @packed(%q: !p, %s: tensor<?xi32>) -> !p {
  %o = sage.attention ins(%q, %q, %q : !p, !p, !p) query_offsets(%s : tensor<?xi32>) key_offsets(%s : tensor<?xi32>)
      outs(%q : !p) {recipe = #sage.recipe<"sage2-8b">} -> !p
  return %o : !p
}

// CHECK-LABEL: func @bottom_right
// CHECK: geometry = [[SPLIT]]
func.func @bottom_right(%q: !t) -> !t {
  %o = sage.attention ins(%q, %q, %q : !t, !t, !t) outs(%q : !t)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>, window_left = 4096 : i64} -> !t
  return %o : !t
}

// CHECK-LABEL: func @short_window
// CHECK: geometry = [[ENTIRE]]
func.func @short_window(%q: !t) -> !t {
  %o = sage.attention ins(%q, %q, %q : !t, !t, !t) outs(%q : !t)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_bottom_right>, window_left = 500 : i64} -> !t
  return %o : !t
}

// CHECK-LABEL: func @top_left
// CHECK: geometry = [[ENTIRE]]
func.func @top_left(%q: !t) -> !t {
  %o = sage.attention ins(%q, %q, %q : !t, !t, !t) outs(%q : !t)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>} -> !t
  return %o : !t
}
