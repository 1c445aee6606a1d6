// RUN: sage-opt %s | FileCheck %s
// RUN: sage-opt %s | sage-opt | FileCheck %s

// Aliases come first; parameters at their defaults are not printed, and their order in the source is free.
// CHECK-DAG: #[[Q:.+]] = affine_map<(d0) -> ((d0 floordiv 16) * 8 + d0 mod 8)>
// CHECK-DAG: #[[K:.+]] = affine_map<(d0) -> ((d0 floordiv 64) * 4 + (d0 mod 8) floordiv 2)>
// CHECK-DAG: #[[V:.+]] = affine_map<(d0) -> (d0)>
// CHECK-DAG: #geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = #[[Q]], key_groups = #[[K]], value_order = #[[V]]>
// CHECK-DAG: #schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>
// CHECK-DAG: #schedule{{[0-9]*}} = #sage.schedule<family = wgmma, copy = tma, head_dim = 128, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2, conversion = magic, producer_registers = 24, consumer_registers = 240>
// CHECK-DAG: #target = #sage.target<chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">

// A recipe prints as its name where it has one, and else as the name that needs the fewest differences.
// CHECK-LABEL: func private @recipes
func.func private @recipes() attributes {
  // CHECK-DAG: a = #sage.recipe<"sage2-8b">
  a = #sage.recipe<"sage2-8b">,
  // CHECK-DAG: b = #sage.recipe<"sage2-4b">
  b = #sage.recipe<"sage2-8b", qk = int4, smooth = q|k>,
  // CHECK-DAG: c = #sage.recipe<"sage2-8b", smooth = q|k>
  c = #sage.recipe<"sage2-4b", qk = int8>,
  // CHECK-DAG: d = #sage.recipe<"sage2-8b", smooth = none, row_sum = float>
  d = #sage.recipe<"sage2-8b", row_sum = float, smooth = none>,
  // CHECK-DAG: e = #sage.recipe<"sage2pp", interval = 32>
  e = #sage.recipe<"sage2pp", interval = 32>,
  // CHECK-DAG: f = #sage.recipe<"sage1", granularity = per_token>
  f = #sage.recipe<"sage1", granularity = per_token>,
  // CHECK-DAG: g = #sage.recipe<"f16">
  g = #sage.recipe<"f16">,
  // CHECK-DAG: h = #sage.recipe<"sage1", qk = e4m3, granularity = per_thread, pv = e5m2>
  h = #sage.recipe<"sage2-8b", qk = e4m3, pv = e5m2, accumulation = single, row_sum = float>,
  // CHECK-DAG: i = #sage.recipe<"sage-8b">
  i = #sage.recipe<"sage2-8b", rotate = hadamard>,
  // CHECK-DAG: j = #sage.recipe<"sage-4b">
  j = #sage.recipe<"sage2-4b", range = clipped, rotate = hadamard>,
  // CHECK-DAG: k = #sage.recipe<"sage2-4b", range = clipped>
  k = #sage.recipe<"sage-4b", rotate = none>}

// CHECK-LABEL: func private @kinds
func.func private @kinds() attributes {
  // CHECK-DAG: a = #sage.layout<token_major>
  a = #sage.layout<token_major>,
  // CHECK-DAG: b = #sage.mask<causal_bottom_right>
  b = #sage.mask<causal_bottom_right>,
  // CHECK-DAG: c = #sage.score_type<int4>
  c = #sage.score_type<int4>}

func.func private @geometry() attributes {a =
  #sage.geometry<query_block = 128, key_tile = 64,
    query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>,
    key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>,
    value_order = affine_map<(p) -> (p)>>}

sage.schedule <stages = 2, family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64,
  conversion = convert, value_chunks = 1>
// CHECK: sage.schedule #schedule{{[0-9]+}} measured "a GPU, a day: 1000 TFLOP/s"
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 2, rows_per_unit = 64, key_tile = 128, stages = 2,
  conversion = magic, producer_registers = 24, consumer_registers = 240> measured "a GPU, a day: 1000 TFLOP/s"
sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true,
  schedules = "sm_89">
// CHECK: sage.target #target rates <product = "A100", multiprocessors = 108, clock_mhz = 1410, {{.*}}threads = 2048>
sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true,
  schedules = "sm_89">
  rates <product = "A100", multiprocessors = 108, clock_mhz = 1410, tensor_f16 = 1024, tensor_int8 = 2048, tensor_int4 = 4096,
    tensor_e4m3 = 0, special = 16, fma = 64, alu = 64, convert = 64, shared = 128, latency = 33, shared_bytes = 167936,
    threads = 2048>
