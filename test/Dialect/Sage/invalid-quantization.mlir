// RUN: sage-opt %s -split-input-file -verify-diagnostics

func.func @m1(%x: tensor<1x8x64x64xf64>) {
  // expected-error@+2 {{the input must be f16 or bf16 or f32 of rank 4, but got 'tensor<1x8x64x64xf64>' [M1]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n)>}
      : tensor<1x8x64x64xf64> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @m1_layout(%x: tensor<1x8x64x64xf32>) {
  // expected-error@+2 {{an input of f32 must be head-major, but got layout token_major [M1]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n)>, layout = #sage.layout<token_major>}
      : tensor<1x8x64x64xf32> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q1(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{quantized type must be int8, int4 or e4m3, but got f16 [Q1]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<f16>, groups = affine_map<(n) -> (n)>}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xf16>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q10(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{fraction must be above 0 and at most 1, but got 1.500000e+00 [Q10]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n)>, fraction = 1.5 : f32}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @m9_dynamic(%x: tensor<1x8x64x?xf16>) {
  // expected-error@+2 {{rotation must have a static head dim and 0 to 16 halvings, but got 'tensor<1x8x64x?xf16>' and 3 [M9]}}
  // expected-error@+1 {{'sage.rotate' op failed to infer returned types}}
  %0 = sage.rotate %x {halvings = 3} : tensor<1x8x64x?xf16> -> tensor<1x8x64x?xf32>
  return
}

// -----

func.func @m9_halvings(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{rotation must have a static head dim and 0 to 16 halvings, but got 'tensor<1x8x64x64xf16>' and -1 [M9]}}
  // expected-error@+1 {{'sage.rotate' op failed to infer returned types}}
  %0 = sage.rotate %x {halvings = -1} : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @q2(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{packed values must be int4 with an even head dim, but got int8 and 64 [Q2]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n)>, packed}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x32xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q2_odd(%x: tensor<1x8x64x33xf16>) {
  // expected-error@+2 {{packed values must be int4 with an even head dim, but got int4 and 33 [Q2]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int4>, groups = affine_map<(n) -> (n)>, packed}
      : tensor<1x8x64x33xf16> -> tensor<1x8x64x16xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @g3(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{group map must number the groups from 0 without gaps, but got affine_map<(d0) -> (d0 - 1)> [G3]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n - 1)>}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q3(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.quantize' op inferred type(s) 'tensor<1x8x64x64xi8>', 'tensor<1x8x4xf32>' are incompatible with return type(s) of operation 'tensor<1x8x64x64xi8>', 'tensor<1x8x64xf32>'}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %0, %1 = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n floordiv 16)>}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q4(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{value order must permute every aligned group of 16 positions, but got affine_map<(d0) -> (d0 * 2)> [Q4]}}
  // expected-error@+1 {{'sage.quantize_value' op failed to infer returned types}}
  %0, %1 = sage.quantize_value %x {order = affine_map<(p) -> (p * 2)>, type = f8E4M3FN}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xf8E4M3FN>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q5_type(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{value type must be f8E4M3FN or f8E5M2, but got 'i8' [Q5]}}
  // expected-error@+1 {{'sage.quantize_value' op failed to infer returned types}}
  %0, %1 = sage.quantize_value %x {order = affine_map<(p) -> (p)>, type = i8}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xf8E4M3FN>, tensor<1x8x64xf32>
  return
}

// -----

func.func @q5_range(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{value range must be positive and at most 4.480000e+02, but got 5.000000e+02 [Q5]}}
  // expected-error@+1 {{'sage.quantize_value' op failed to infer returned types}}
  %0, %1 = sage.quantize_value %x {order = affine_map<(p) -> (p)>, type = f8E4M3FN, range = 500.0 : f32}
      : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xf8E4M3FN>, tensor<1x8x64xf32>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q6_recipe(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op recipe must quantize q and k, but got qk = f16 [Q6]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"f16">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q6(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op query and key must be 'i8' of rank 4 under qk = int8, but got 'tensor<1x8x64x64xf16>' [Q6]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q6_packed(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op packed query and key must come with qk = int4, but got int8 [Q6]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry, packed}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q7(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E5M2>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op value must be of rank 4 and of the recipe's pv = e4m3, but got 'tensor<1x8x64x64xf8E5M2>' [Q7]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E5M2>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q7_scales(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op value scales must be given exactly when pv is 8-bit, but got pv = e4m3 [Q7]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks : tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c6(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x32xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op head dim of query and key must be equal, but got 64 and 32 [C6]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x32xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q8_query(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x32xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op query scales must be f32 [batch, heads, groups] with 64 of the latter, but got 'tensor<1x8x32xf32>' [Q8]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x32xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q8_key(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf16>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op key scales must be f32 [batch, heads, groups] with 64 of the latter, but got 'tensor<1x8x64xf16>' [Q8]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf16>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q8_value(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x1xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op value scales must be f32 [batch, heads, channels] with 64 of the latter, but got 'tensor<1x8x1xf32>' [Q8]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x1xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @q9(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x80xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op value must hold the key tokens rounded up to 16 (for each sequence), but got 80 for 64 [Q9]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x80xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @m7(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op value mean must be given when the recipe smooths v [M7]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b", smooth = k|v>, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @c11(%q: tensor<1x8x64x64xi8>, %k: tensor<1x8x64x64xi8>, %v: tensor<1x8x64x64xf8E4M3FN>, %o0: tensor<1x8x64x64xf16>, %qs: tensor<1x8x64xf32>, %ks: tensor<1x8x64xf32>, %vs: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.quantized_attention' op schedule key_tile must be the geometry's, but got 128 and 64 [C11]}}
  %r = sage.quantized_attention ins(%q, %k, %v : tensor<1x8x64x64xi8>, tensor<1x8x64x64xi8>, tensor<1x8x64x64xf8E4M3FN>)
      scales(%qs, %ks, %vs : tensor<1x8x64xf32>, tensor<1x8x64xf32>, tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, geometry = #geometry,
       schedule = #sage.schedule<family = mma_sync, copy = cp_async, head_dim = 64, units = 8, rows_per_unit = 16, key_tile = 128, stages = 2>}
      -> tensor<1x8x64x64xf16>
  return
}
