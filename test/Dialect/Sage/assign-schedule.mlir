// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule=split-keys=false | FileCheck %s
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 -sage-assign-schedule=split-keys=false | FileCheck %s --check-prefix=MMA
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 -sage-assign-schedule=schedule-file=%S/Inputs/schedules.mlir | FileCheck %s --check-prefix=FILE
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule=schedule-file=%S/Inputs/magic-first.mlir | FileCheck %s --check-prefix=MAGIC

// CHECK-DAG: #[[INT8:.+]] = #sage.schedule<family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 3, exp_chunks = 8, conversion = magic, producer_registers = 32, consumer_registers = 160, score_terms = false, intervals = false, masks = false, persistent = true, quantizes_query = true>
// MAGIC-DAG: #[[INT8:.+]] = #sage.schedule<{{.+}}, conversion = magic, producer_registers = 32, consumer_registers = 160>
// MAGIC-DAG: #[[INT4:.+]] = #sage.schedule<{{.+}}, exp_chunks = 8, producer_registers = 32, consumer_registers = 160>
// CHECK-DAG: #[[K128:.+]] = affine_map<(d0) -> ((d0 floordiv 128) * 4 + (d0 mod 8) floordiv 2)>
// CHECK-DAG: #[[Q:.+]] = affine_map<(d0) -> ((d0 floordiv 16) * 8 + d0 mod 8)>
// CHECK-DAG: #[[V:.+]] = affine_map<(d0) -> ((d0 floordiv 16) * 16 + ((d0 mod 4) floordiv 2) * 8 + ((d0 mod 16) floordiv 4) * 2 + d0 mod 2)>
// CHECK-DAG: #[[THREAD:.+]] = #sage.geometry<query_block = 192, key_tile = 128, query_groups = #[[Q]], key_groups = #[[K128]], value_order = #[[V]]>

// CHECK-DAG: #[[MASKED:.+]] = #sage.schedule<family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 4, exp_chunks = 4, conversion = magic, producer_registers = 32, consumer_registers = 160, score_terms = false, intervals = false, windows = false, persistent = true, quantizes_query = true>
// CHECK-DAG: #[[WINDOW:.+]] = #sage.schedule<family = wgmma, copy = tma, head_dim = 128, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2, value_chunks = 2, producer_registers = 24, consumer_registers = 240, score_terms = false, late_conversions = false>
// CHECK-DAG: #[[TERMS:.+]] = #sage.schedule<family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 64, stages = 3, value_chunks = 2, producer_registers = 32, consumer_registers = 160, persistent = true>
// CHECK-DAG: #[[K64T:.+]] = affine_map<(d0) -> ((d0 floordiv 64) * 4 + (d0 mod 8) floordiv 2)>
// CHECK-DAG: #[[TERMSGEO:.+]] = #sage.geometry<query_block = 192, key_tile = 64, query_groups = #[[Q]], key_groups = #[[K64T]], value_order = #[[V]]>

// MMA-DAG: #[[K64:.+]] = affine_map<(d0) -> ((d0 floordiv 64) * 4 + (d0 mod 8) floordiv 2)>
// MMA-DAG: #sage.geometry<query_block = 128, key_tile = 64, query_groups = #{{.+}}, key_groups = #[[K64]], value_order = #{{.+}}>
// MMA-DAG: #[[ROW:.+]] = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>
// FILE: #[[ROW:.+]] = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 128, units = 4, rows_per_unit = 16, key_tile = 64, stages = 3>

// CHECK-LABEL: func @int8
// CHECK: geometry = #[[THREAD]]
// CHECK-SAME: schedule = #[[INT8]]
// MAGIC-LABEL: func @int8
// MAGIC: schedule = #[[INT8]]
// MMA-LABEL: func @int8
// MMA: schedule = #[[ROW]]
// FILE-LABEL: func @int8
// FILE: schedule = #[[ROW]]
func.func @int8(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// A mask takes a row with registers for it, and one with two bounds a row with more of them.
// CHECK-LABEL: func @causal
// CHECK: schedule = #[[MASKED]]
// CHECK: schedule = #[[WINDOW]]
func.func @causal(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {mask = #sage.mask<causal_top_left>, recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  %w = sage.attention ins(%o, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {mask = #sage.mask<causal_top_left>, recipe = #sage.recipe<"sage2-8b">, window_left = 64 : i64} -> tensor<1x8x?x128xf16>
  return %w : tensor<1x8x?x128xf16>
}

// A soft cap takes a row with registers for it, and that row's key tile.
// CHECK-LABEL: func @softcap
// CHECK: geometry = #[[TERMSGEO]]
// CHECK-SAME: schedule = #[[TERMS]]
func.func @softcap(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 30.0 : f32} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// INT4 scores do not bear the magic start value: the next row is taken. Smooth Q needs no registers of its own.
// CHECK-LABEL: func @int4
// CHECK: geometry = #[[THREAD]]
// CHECK-SAME: schedule = #[[INT8]]
// MAGIC-LABEL: func @int4
// MAGIC: schedule = #[[INT4]]
func.func @int4(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-4b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}
