// RUN: sage-opt %s -split-input-file -verify-diagnostics

func.func @c10_geometry(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule must come with a geometry [C10]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c10_head_dim(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule head_dim must be that of query and value, padded to a multiple of 64, but got 128 for 64 and 64 [C10]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c10_family(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule family must be the target's, but got mma_sync and wgmma [C10]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>,
       target = #sage.target<chip = "sm_90a", family = wgmma, ptx = 86, shared_bytes = 232448, e4m3_mma = true, int4_mma = false, schedules = "sm_90a">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 128, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11_key_tile(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule key_tile must be the geometry's, but got 64 and 128 [C11]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 32, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11_rows(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule rows_per_unit must divide the geometry's query_block, but got 64 and 32 [C11]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry,
       schedule = #sage.schedule<family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11_magic(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule with conversion = magic must have qk = int8, but got int4 [C11]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-4b">, geometry = #geometry,
       schedule = #sage.schedule<family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2, conversion = magic>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 96, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11_magic_sum(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule with conversion = magic must have row_sum = quantized, but got float [C11]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b", row_sum = float>, geometry = #geometry,
       schedule = #sage.schedule<family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 96, stages = 2, conversion = magic>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 96, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11_interval(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op schedule key_tile must be a multiple of the recipe's interval, but got 96 and 64 [C11]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2pp">, geometry = #geometry,
       schedule = #sage.schedule<family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 96, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c12(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op recipe on sm_80 must have no 8-bit float product (the chip has none), but got qk = int8 and pv = e4m3 [C12]}}
  // expected-note@+1 {{use a recipe with pv = f16, e.g. #sage.recipe<"sage1">}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">,
       target = #sage.target<chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 49152, e4m3_mma = false, int4_mma = true, schedules = "sm_89">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c12_shared(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op shared memory of the schedule must fit the target's 49152 bytes, but got 57920 [C12]}}
  // expected-note@+1 {{lower stages or key_tile}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage1">, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 4>,
       target = #sage.target<chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 49152, e4m3_mma = false, int4_mma = true, schedules = "sm_89">}
      -> tensor<1x8x64x64xf16>
  return
}
