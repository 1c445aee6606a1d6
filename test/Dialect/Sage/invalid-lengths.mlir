// RUN: sage-opt %s -split-input-file -verify-diagnostics

func.func @m8_both(%x: tensor<1x8x64x64xf16>, %l: tensor<1xi32>) {
  // expected-error@+2 {{lengths and offsets must not both be given [M8]}}
  // expected-error@+1 {{'sage.mean' op failed to infer returned types}}
  %m = sage.mean %x lengths(%l : tensor<1xi32>) offsets(%l : tensor<1xi32>) : tensor<1x8x64x64xf16> -> tensor<1x8x1x64xf32>
  return
}

// -----

func.func @m8_batch(%x: tensor<2x8x64x64xf16>, %l: tensor<3xi32>) {
  // expected-error@+2 {{lengths must be i32 [batch], but got 'tensor<3xi32>' [M8]}}
  // expected-error@+1 {{'sage.mean' op failed to infer returned types}}
  %m = sage.mean %x lengths(%l : tensor<3xi32>) : tensor<2x8x64x64xf16> -> tensor<2x8x1x64xf32>
  return
}

// -----

func.func @m8_type(%x: tensor<2x8x64x64xf16>, %m: tensor<2x8x1x64xf32>, %l: tensor<2xi64>) {
  // expected-error@+2 {{lengths must be i32 [batch], but got 'tensor<2xi64>' [M8]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %c = sage.center %x, %m lengths(%l : tensor<2xi64>) : tensor<2x8x64x64xf16>, tensor<2x8x1x64xf32> -> tensor<2x8x64x64xf32>
  return
}

// -----

func.func @m8_offsets(%x: tensor<1x8x64x64xf16>, %o: tensor<0xi32>) {
  // expected-error@+2 {{offsets must be i32 [sequences + 1], but got 'tensor<0xi32>' [M8]}}
  // expected-error@+1 {{'sage.quantize' op failed to infer returned types}}
  %q:2 = sage.quantize %x offsets(%o : tensor<0xi32>) {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n)>} : tensor<1x8x64x64xf16> -> tensor<1x8x64x64xi8>, tensor<1x8x64xf32>
  return
}

// -----

func.func @m8_offsets_batch(%x: tensor<2x8x64x64xf16>, %o: tensor<3xi32>) {
  // expected-error@+2 {{batch must be 1 with offsets, but got 2 [M8]}}
  // expected-error@+1 {{'sage.quantize_value' op failed to infer returned types}}
  %v:2 = sage.quantize_value %x offsets(%o : tensor<3xi32>) {type = f8E4M3FN, order = affine_map<(n) -> (n)>} : tensor<2x8x64x64xf16> -> tensor<2x8x64x96xf8E4M3FN>, tensor<2x8x64xf32>
  return
}

// -----

func.func @m5_sequences(%x: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf32>, %o: tensor<3xi32>) {
  // expected-error@+2 {{log-sum-exp correction must have one mean for each head (and sequence) and a finite positive scale, but got 1 and 1.000000e+00 [M5]}}
  // expected-error@+1 {{'sage.lse_correction' op failed to infer returned types}}
  %c = sage.lse_correction %x, %m offsets(%o : tensor<3xi32>) {scale = 1.0 : f32} : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64xf32>
  return
}

// -----

func.func @m3_sequences(%x: tensor<1x8x64x64xf16>, %m: tensor<1x8x1x64xf32>, %o: tensor<3xi32>) {
  // expected-error@+2 {{mean must have the batch, heads, blocks and channels of the input, but got 'tensor<1x8x1x64xf32>' for 'tensor<1x8x64x64xf16>' in blocks of 0 [M3]}}
  // expected-error@+1 {{'sage.center' op failed to infer returned types}}
  %c = sage.center %x, %m offsets(%o : tensor<3xi32>) : tensor<1x8x64x64xf16>, tensor<1x8x1x64xf32> -> tensor<1x8x64x64xf32>
  return
}

// -----

func.func @m7_softcap(%q: tensor<1x8x64x64xf16>, %kc: tensor<1x8x64x64xf32>) {
  // expected-error@+1 {{'sage.smoothed_attention' op log-sum-exp correction must be given when the recipe smooths k and there is a log-sum-exp output, a softcap or sinks [M7]}}
  %o = sage.smoothed_attention ins(%q, %kc, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 30.0 : f32} -> tensor<1x8x64x64xf16>
  return
}
