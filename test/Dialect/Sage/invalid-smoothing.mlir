// RUN: sage-opt %s -split-input-file -verify-diagnostics

func.func @m1_mean(%x: tensor<1x8x64x64xf32>) {
  // expected-error@+2 {{mean input must be f16 or bf16 of rank 4, but got 'tensor<1x8x64x64xf32>' [M1]}}
  // expected-error@+1 {{'sage.mean' op failed to infer returned types}}
  %0 = sage.mean %x : tensor<1x8x64x64xf32> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m1_center(%x: tensor<8x64xf16>, %m: tensor<1x8x1x64xf32>) {
  // expected-error@+2 {{center input must be f16 or bf16 of rank 4, but got 'tensor<8x64xf16>' [M1]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %0 = sage.center %x, %m : tensor<8x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @m1_layout(%m: tensor<1x8x1x64xf32>, %k: tensor<1x8x64x64xf32>) {
  // expected-error@+2 {{key of f32 must be head-major, but got layout token_major [M1]}}
  // expected-error@+1 {{'sage.score_correction' op failed to infer returned types}}
  %0 = sage.score_correction %m, %k {layout = #sage.layout<token_major>} : tensor<1x8x1x64xf32>, tensor<1x8x64x64xf32> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m1_query(%q: tensor<1x8x64x64xf32>, %m: tensor<1x8x1x64xf32>) {
  // expected-error@+2 {{query must be f16 or bf16 of rank 4, but got 'tensor<1x8x64x64xf32>' [M1]}}
  // expected-error@+1 {{'sage.lse_correction' op failed to infer returned types}}
  %0 = sage.lse_correction %q, %m {scale = 1.0 : f32} : tensor<1x8x64x64xf32>, tensor<1x8x1x64xf32> -> tensor<1x8x64xf32>
  return
}

// -----

func.func @m2_mean(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{mean block must be 0 or positive, but got -1 [M2]}}
  // expected-error@+1 {{'sage.mean' op failed to infer returned types}}
  %0 = sage.mean %x {block = -1} : tensor<1x8x64x64xf16> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m2_center(%x: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf32>) {
  // expected-error@+2 {{center block must be 0 or positive, but got -2 [M2]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %0 = sage.center %x, %m {block = -2} : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @mean_result(%x: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.mean' op inferred type(s) 'tensor<1x8x4x64xf32>' are incompatible with return type(s) of operation 'tensor<1x8x1x64xf32>'}}
  // expected-error@+1 {{'sage.mean' op failed to infer returned types}}
  %0 = sage.mean %x {block = 16} : tensor<1x8x64x64xf16> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m3_type(%x: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf16>) {
  // expected-error@+2 {{mean must be f32 of rank 4, but got 'tensor<1x8x1x64xf16>' [M3]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %0 = sage.center %x, %m : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf16> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @m3_blocks(%x: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf32>) {
  // expected-error@+2 {{mean must have the batch, heads, blocks and channels of the input, but got 'tensor<1x8x1x64xf32>' for 'tensor<1x8x64x64xf16>' in blocks of 16 [M3]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %0 = sage.center %x, %m {block = 16} : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @m4_mean(%m: tensor<8x1x64xf32>, %k: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{mean must be f32 of rank 4, but got 'tensor<8x1x64xf32>' [M4]}}
  // expected-error@+1 {{'sage.score_correction' op failed to infer returned types}}
  %0 = sage.score_correction %m, %k : tensor<8x1x64xf32>, tensor<1x8x64x64xf16> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m4_heads(%m: tensor<1x7x1x64xf32>, %k: tensor<1x2x64x64xf16>) {
  // expected-error@+2 {{correction operands must have equal batch and channels and query heads a multiple of key heads, but got 1, 64, 7 and 1, 64, 2 [M4]}}
  // expected-error@+1 {{'sage.score_correction' op failed to infer returned types}}
  %0 = sage.score_correction %m, %k : tensor<1x7x1x64xf32>, tensor<1x2x64x64xf16> -> tensor<1x7x1x64xf32>
  return
}

// -----

func.func @m5_blocks(%q: tensor<1x8x64x64xf16>, %m: tensor<1x8x2x64xf32>) {
  // expected-error@+2 {{log-sum-exp correction must have one mean for each head (and sequence) and a finite positive scale, but got 2 and 1.000000e+00 [M5]}}
  // expected-error@+1 {{'sage.lse_correction' op failed to infer returned types}}
  %0 = sage.lse_correction %q, %m {scale = 1.0 : f32} : tensor<1x8x64x64xf16>, tensor<1x8x2x64xf32> -> tensor<1x8x64xf32>
  return
}

// -----

func.func @m5_scale(%q: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf32>) {
  // expected-error@+2 {{log-sum-exp correction must have one mean for each head (and sequence) and a finite positive scale, but got 1 and -1.000000e+00 [M5]}}
  // expected-error@+1 {{'sage.lse_correction' op failed to infer returned types}}
  %0 = sage.lse_correction %q, %m {scale = -1.0 : f32} : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64xf32>
  return
}

// -----

func.func @m6_key(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.smoothed_attention' op key must be centred (f32) when the recipe smooths it, but got 'tensor<1x8x64x64xf16>' [M6]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @m6_query(%q: tensor<1x8x64x64xf32>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.smoothed_attention' op query must be 16-bit unless the recipe smooths it, but got 'tensor<1x8x64x64xf32>' [M6]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf32>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c3(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf64>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.smoothed_attention' op value must have element type f16 or bf16 (or f32 where it is centred), but got 'f64' [C3]}}
  // expected-note@+1 {{cast it to f16 or bf16 first, e.g. with arith.truncf}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf64>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c4(%q: tensor<1x8x64x64xf16>, %k: tensor<1x3x64x64xf32>, %v: tensor<1x3x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.smoothed_attention' op query heads must be a multiple of key heads, but got 8 and 3 [C4]}}
  // expected-note@+1 {{repeat the key and value heads, or check that `layout` names the order of the dimensions}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x3x64x64xf32>, tensor<1x3x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c8(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.smoothed_attention' op scale must be finite and positive, but got -1.000000e+00 : f32 [C8]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, scale = -1.0 : f32}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @m7_score(%q: tensor<1x8x64x64xf32>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.smoothed_attention' op score correction must be given when the recipe smooths q [M7]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf32>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-4b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

#geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = affine_map<(n) -> (n)>,
  key_groups = affine_map<(n) -> (n)>, value_order = affine_map<(p) -> (p)>>
func.func @m7_score_shape(%q: tensor<1x8x64x64xf32>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %s: tensor<1x8x2x64xf32>) {
  // expected-error@+1 {{'sage.smoothed_attention' op score correction must be f32 [1, 8, 1, 64], but got 'tensor<1x8x2x64xf32>' [M7]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf32>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      score_correction(%s : tensor<1x8x2x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-4b">, geometry = #geometry}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @m7_lse(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %s: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.smoothed_attention' op log-sum-exp correction must be left out unless the recipe smooths k and there is a log-sum-exp output, a softcap or sinks [M7]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      lse_correction(%s : tensor<1x8x64xf32>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @m7_lse_missing(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %o1: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.smoothed_attention' op log-sum-exp correction must be given when the recipe smooths k and there is a log-sum-exp output, a softcap or sinks [M7]}}
  %r:2 = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      outs(%o0, %o1 : tensor<1x8x64x64xf16>, tensor<1x8x64xf32>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>, tensor<1x8x64xf32>
  return
}

// -----

func.func @m7_value_mean(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf32>, %v: tensor<1x8x64x64xf32>, %o0: tensor<1x8x64x64xf16>, %s: tensor<1x8x1x64xf16>) {
  // expected-error@+1 {{'sage.smoothed_attention' op value mean must be f32 [1, 8, 1, 64], but got 'tensor<1x8x1x64xf16>' [M7]}}
  %r = sage.smoothed_attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf32>)
      value_mean(%s : tensor<1x8x1x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b", smooth = k|v>}
      -> tensor<1x8x64x64xf16>
  return
}
