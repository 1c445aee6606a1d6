// RUN: sage-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{recipe must be one of sage2-8b, sage2-4b, sage1, sage2pp, sage-8b, sage-4b, f16, but got 'sage3'}}
func.func private @unknown_recipe() attributes {a = #sage.recipe<"sage3">}

// -----

// expected-error@+1 {{recipe field must be qk, granularity, smooth, rotate, range, pv, accumulation, inner, interval or row_sum, but got 'smoothing'}}
func.func private @unknown_field() attributes {a = #sage.recipe<"sage1", smoothing = q>}

// -----

// expected-error@+1 {{unknown value 'int5'}}
func.func private @unknown_value() attributes {a = #sage.recipe<"sage1", qk = int5>}

// -----

// expected-error@+1 {{recipe with qk = f16 must have pv = f16, but got e4m3 [R1]}}
func.func private @r1() attributes {a = #sage.recipe<"f16", pv = e4m3>}

// -----

// expected-error@+1 {{recipe with qk = f16 must have granularity = per_tensor and smooth = none, but got per_tensor and k [R2]}}
func.func private @r2() attributes {a = #sage.recipe<"f16", smooth = k>}

// -----

// expected-error@+1 {{recipe interval must be 0 or, under two_level, a positive multiple of 32 tokens, but got 48 under two_level [R3]}}
func.func private @r3() attributes {a = #sage.recipe<"sage2-8b", interval = 48>}

// -----

// expected-error@+1 {{recipe interval must be 0 or, under two_level, a positive multiple of 32 tokens, but got 64 under single [R3]}}
func.func private @r3_single() attributes {a = #sage.recipe<"sage1", interval = 64>}

// -----

// expected-error@+2 {{recipe with inner = f16 must have pv = e4m3, accumulation = two_level and an interval of 32 or 64, but got e4m3, two_level and 128 [R4]}}
// expected-note@+1 {{an f16 accumulator overflows past 64 tokens; use interval = 64}}
func.func private @r4() attributes {a = #sage.recipe<"sage2pp", interval = 128>}

// -----

// expected-error@+2 {{recipe with row_sum = quantized must have an 8-bit pv and accumulation = two_level, but got e4m3 and single [R5]}}
// expected-note@+1 {{a row sum kept in the tensor core's 22 bits is biased; use row_sum = float}}
func.func private @r5() attributes {a = #sage.recipe<"sage2-8b", accumulation = single>}

// -----

// expected-error@+1 {{recipe with pv = f16 must have accumulation = single and no smooth v, but got single and k|v [R6]}}
func.func private @r6() attributes {a = #sage.recipe<"sage1", smooth = k|v>}

// -----

// expected-error@+2 {{recipe with rotate = hadamard must have a quantized qk and scales of less than a head, but got f16 and per_tensor [R8]}}
// expected-note@+1 {{use granularity = per_thread}}
func.func private @r8() attributes {a = #sage.recipe<"f16", rotate = hadamard>}

// -----

// expected-error@+2 {{recipe with rotate = hadamard must have a quantized qk and scales of less than a head, but got int8 and per_tensor [R8]}}
// expected-note@+1 {{use granularity = per_thread}}
func.func private @r8_head() attributes {a = #sage.recipe<"sage-8b", granularity = per_tensor>}

// -----

// expected-error@+2 {{recipe with range = clipped must have qk = int4, but got int8 [R9]}}
// expected-note@+1 {{8 bits round little; saturating costs more there than it gains}}
func.func private @r9() attributes {a = #sage.recipe<"sage-8b", range = clipped>}

// -----

// expected-error@+1 {{geometry query_block must be a positive multiple of 16, but got 24 [G1]}}
func.func private @g1() attributes {a = #sage.geometry<query_block = 24, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{geometry key_tile must be a positive multiple of 32, but got 48 [G1]}}
func.func private @g1_tile() attributes {a = #sage.geometry<query_block = 64, key_tile = 48,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{group map must have one dimension, no symbols and one result, but got affine_map<(d0, d1) -> (d0)> [G2]}}
func.func private @g2() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n, m) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{group map must have at most 64 operations and operands, but got affine_map<}}
func.func private @g3_long() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n mod 2 + n mod 3 + n mod 4 + n mod 5 + n mod 6 + n mod 7 + n mod 8 + n mod 9
    + n mod 10 + n mod 11 + n mod 12 + n mod 13 + n mod 14 + n mod 15 + n mod 16 + n mod 17 + n mod 18)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{group map must number the groups from 0 without gaps, but got affine_map<(d0) -> (d0 * 2)> [G3]}}
func.func private @g3_gap() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n * 2)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{group map must combine constants and the token by +, *, mod, floordiv and ceildiv with constants, and repeat within 65536 tokens, but got affine_map<(d0) -> (d0 floordiv 100000)> [G3]}}
func.func private @g3_period() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n floordiv 100000)>, value_order = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{geometry value_order must permute every aligned group of 16 positions, but got affine_map<(d0) -> (d0 + 1)> [G4]}}
func.func private @g4() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n + 1)>>}

// -----

// expected-error@+1 {{geometry value_order must permute every aligned group of 16 positions, but got affine_map<(d0) -> (d0 floordiv 2)> [G4]}}
func.func private @g4_not_injective() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n floordiv 2)>>}

// -----

// expected-error@+1 {{geometry key_parts must have no dimensions, at most the five symbols [B, Hq, Hkv, Nq, Nk] and a result, but got affine_map<(d0) -> (d0)> [G5]}}
func.func private @g5() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<(n) -> (n)>>}

// -----

// expected-error@+1 {{geometry key_parts must have no dimensions, at most the five symbols [B, Hq, Hkv, Nq, Nk] and a result, but got affine_map<()[s0, s1, s2, s3, s4, s5] -> (s5)> [G5]}}
func.func private @g5_symbols() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<()[b, hq, hkv, nq, nk, s] -> (s)>>}

// -----

// expected-error@+1 {{geometry key_parts must divide by positive constants, extents, and sums, products and ceildiv of these, but is affine_map<()[s0] -> (s0 floordiv 0)> [G5]}}
func.func private @g5_zero() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<()[b] -> (b floordiv 0)>>}

// -----

// expected-error@+1 {{geometry key_parts must divide by positive constants, extents, and sums, products and ceildiv of these, but is affine_map<()[s0] -> (s0 ceildiv -2)> [G5]}}
func.func private @g5_negative() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<()[b] -> (b ceildiv -2)>>}

// -----

// expected-error@+1 {{geometry key_parts must divide by positive constants, extents, and sums, products and ceildiv of these, but is affine_map<()[s0, s1] -> (s0 mod (s1 - 1))> [G5]}}
func.func private @g5_difference() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<()[b, hq] -> (b mod (hq - 1))>>}

// -----

// expected-error@+1 {{geometry key_parts must divide by positive constants, extents, and sums, products and ceildiv of these, but is affine_map<()[s0, s1] -> (7 floordiv (s0 * (s1 floordiv 2)))> [G5]}}
func.func private @g5_quotient() attributes {a = #sage.geometry<query_block = 64, key_tile = 64,
  query_groups = affine_map<(n) -> (n)>, key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(n) -> (n)>,
  key_parts = affine_map<()[b, hq] -> (7 floordiv (b * (hq floordiv 2)))>>}

// -----

// expected-error@+1 {{schedule head_dim must be a multiple of 32 up to 256, but got 80 [S1]}}
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 80, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2>

// -----

// expected-error@+1 {{schedule of wgmma must have 1 to 4 units of 64 rows, but got 2 of 16 [S2]}}
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 16, key_tile = 64, stages = 2>

// -----

// expected-error@+1 {{schedule of wgmma must have copy = tma, but got cp_async [S3]}}
sage.schedule <family = wgmma, copy = cp_async, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2>

// -----

// expected-error@+1 {{schedule must have a key_tile that is a multiple of 32 up to 256 and 1 to 8 stages, but got 64 and 9 [S4]}}
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 9>

// -----

// expected-error@+1 {{schedule value_chunks must split the head dim into multiples of 8, but got 3 for 64 [S5]}}
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2, value_chunks = 3>

// -----

// expected-error@+1 {{schedule exp_chunks must be 0 or divide the key tile's columns of 8, but got 3 for 8 [S5]}}
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2, exp_chunks = 3>

// -----

// expected-error@+1 {{schedule registers must both be 0 or, with wgmma, both be multiples of 8 from 24 to 240, but got 24 and 0 [S6]}}
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2, producer_registers = 24>

// -----

// expected-error@+2 {{schedule registers must fit the 512 that 4 warpgroups have at entry, but got 536 [S6]}}
// expected-note@+1 {{setmaxnreg waits for ever when the sum is larger; lower consumer_registers}}
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 3, rows_per_unit = 64, key_tile = 64, stages = 2, producer_registers = 32, consumer_registers = 168>

// -----

// expected-error@+1 {{schedule of wgmma must have fence_products = false, but got true [S10]}}
sage.schedule <family = wgmma, copy = tma, head_dim = 64, units = 2, rows_per_unit = 64, key_tile = 64, stages = 2, fence_products = true>

// -----

// expected-error@+1 {{schedule with persistent = true must have a producer, but got producer_registers = 0 [S12]}}
sage.schedule <family = wgmma, copy = tma, head_dim = 128, units = 3, rows_per_unit = 64, key_tile = 128, stages = 2, persistent = true>

// -----

// expected-error@+1 {{schedule with quantizes_query = true must be of wgmma, but got mma_sync [S13]}}
sage.schedule <family = mma_sync, copy = cp_async, head_dim = 128, units = 8, rows_per_unit = 16, key_tile = 64, stages = 2, quantizes_query = true>

// -----

// expected-error@+1 {{target must have a chip that starts with sm_ and a folder of schedules, but got 'gfx942' and 'sm_89' [T1]}}
sage.target <chip = "gfx942", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">

// -----

// expected-error@+1 {{target must have PTX 80 or later and at least 49152 bytes of shared memory, but got 70 and 166912 [T1]}}
sage.target <chip = "sm_80", family = mma_sync, ptx = 70, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">

// -----

// expected-error@+2 {{expected 'true' or 'false'}}
// expected-error@+1 {{failed to parse Sage_TargetAttr parameter 'e4m3_mma'}}
sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = 1, int4_mma = true, schedules = "sm_89">

// -----

sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
  // expected-error@+1 {{rates must be at least 1, but got 0 [T2]}}
  rates <product = "x", multiprocessors = 1, clock_mhz = 1, tensor_f16 = 1, tensor_int8 = 1, tensor_int4 = 0, tensor_e4m3 = 0, special = 0, fma = 1, alu = 1, convert = 1, shared = 1,
    latency = 0, shared_bytes = 1, threads = 1>

// -----

sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
  // expected-error@+1 {{rates of int4 and e4m3 products and the latency must not be negative, but got -1 [T2]}}
  rates <product = "x", multiprocessors = 1, clock_mhz = 1, tensor_f16 = 1, tensor_int8 = 1, tensor_int4 = 0, tensor_e4m3 = -1, special = 1, fma = 1, alu = 1, convert = 1, shared = 1,
    latency = 0, shared_bytes = 1, threads = 1>

// -----

sage.target <chip = "sm_80", family = mma_sync, ptx = 80, shared_bytes = 166912, e4m3_mma = false, int4_mma = true, schedules = "sm_89">
  // expected-error@+1 {{rates must name a product, but got '' [T2]}}
  rates <product = "", multiprocessors = 1, clock_mhz = 1, tensor_f16 = 1, tensor_int8 = 1, tensor_int4 = 0, tensor_e4m3 = 0, special = 1, fma = 1, alu = 1, convert = 1, shared = 1,
    latency = 0, shared_bytes = 1, threads = 1>
