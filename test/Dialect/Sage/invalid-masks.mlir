// RUN: sage-opt %s -split-input-file -verify-diagnostics

// The rules of masks, lengths and sequences; `invalid-lengths.mlir` has those of the ops below attention.

func.func @c9_heads(%q: tensor<2x8x64x64xf16>, %b: tensor<1x4x64x64xf32>) {
  // expected-error@+1 {{'sage.attention' op bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query tokens or 1, key tokens or 1], but got 'tensor<1x4x64x64xf32>' [C9]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) bias(%b : tensor<1x4x64x64xf32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c9_keys(%q: tensor<2x8x64x64xf16>, %b: tensor<1x1x64x32xf32>) {
  // expected-error@+1 {{'sage.attention' op bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query tokens or 1, key tokens or 1], but got 'tensor<1x1x64x32xf32>' [C9]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) bias(%b : tensor<1x1x64x32xf32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c9_rank(%q: tensor<2x8x64x64xf16>, %b: tensor<64x64xf32>) {
  // expected-error@+1 {{'sage.attention' op bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query tokens or 1, key tokens or 1], but got 'tensor<64x64xf32>' [C9]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) bias(%b : tensor<64x64xf32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c9_double(%q: tensor<2x8x64x64xf16>, %b: tensor<1x1x64x64xf64>) {
  // expected-error@+1 {{'sage.attention' op bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query tokens or 1, key tokens or 1], but got 'tensor<1x1x64x64xf64>' [C9]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) bias(%b : tensor<1x1x64x64xf64>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c9_bytes(%q: tensor<2x8x64x64xf16>, %b: tensor<1x1x64x64xi8>) {
  // expected-error@+2 {{'sage.attention' op bias must be f16, bf16, f32 or i1 [batch or 1, query heads or 1, query tokens or 1, key tokens or 1], but got 'tensor<1x1x64x64xi8>' [C9]}}
  // expected-note@+1 {{a boolean mask is i1, true where the key is visible}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) bias(%b : tensor<1x1x64x64xi8>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c13_batch(%q: tensor<2x8x64x64xf16>, %l: tensor<3xi32>) {
  // expected-error@+1 {{'sage.attention' op key lengths must be i32 [batch], but got 'tensor<3xi32>' [C13]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) key_lengths(%l : tensor<3xi32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c13_type(%q: tensor<2x8x64x64xf16>, %l: tensor<2xi64>) {
  // expected-error@+1 {{'sage.attention' op key lengths must be i32 [batch], but got 'tensor<2xi64>' [C13]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) key_lengths(%l : tensor<2xi64>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c13_rank(%q: tensor<2x8x64x64xf16>, %l: tensor<2x1xi32>) {
  // expected-error@+1 {{'sage.attention' op key lengths must be i32 [batch], but got 'tensor<2x1xi32>' [C13]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) key_lengths(%l : tensor<2x1xi32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c14_heads(%q: tensor<2x8x64x64xf16>, %s: tensor<4xf32>) {
  // expected-error@+1 {{'sage.attention' op sinks must be f32 [query heads], but got 'tensor<4xf32>' [C14]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) sinks(%s : tensor<4xf32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c14_type(%q: tensor<2x8x64x64xf16>, %s: tensor<8xf16>) {
  // expected-error@+1 {{'sage.attention' op sinks must be f32 [query heads], but got 'tensor<8xf16>' [C14]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) sinks(%s : tensor<8xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c15_query_only(%q: tensor<1x8x64x64xf16>, %o: tensor<3xi32>) {
  // expected-error@+1 {{'sage.attention' op query offsets and key offsets must be given together [C15]}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) query_offsets(%o : tensor<3xi32>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c15_key_only(%q: tensor<1x8x64x64xf16>, %o: tensor<3xi32>) {
  // expected-error@+1 {{'sage.attention' op query offsets and key offsets must be given together [C15]}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) key_offsets(%o : tensor<3xi32>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c15_sizes(%q: tensor<1x8x64x64xf16>, %o: tensor<3xi32>, %p: tensor<4xi32>) {
  // expected-error@+1 {{'sage.attention' op query offsets and key offsets must be i32 [sequences + 1], but got 'tensor<3xi32>' and 'tensor<4xi32>' [C15]}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) query_offsets(%o : tensor<3xi32>) key_offsets(%p : tensor<4xi32>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c15_type(%q: tensor<1x8x64x64xf16>, %o: tensor<3xi64>, %p: tensor<3xi64>) {
  // expected-error@+1 {{'sage.attention' op query offsets and key offsets must be i32 [sequences + 1], but got 'tensor<3xi64>' and 'tensor<3xi64>' [C15]}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) query_offsets(%o : tensor<3xi64>) key_offsets(%p : tensor<3xi64>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c15_empty(%q: tensor<1x8x64x64xf16>, %o: tensor<0xi32>, %p: tensor<0xi32>) {
  // expected-error@+1 {{'sage.attention' op query offsets and key offsets must be i32 [sequences + 1], but got 'tensor<0xi32>' and 'tensor<0xi32>' [C15]}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) query_offsets(%o : tensor<0xi32>) key_offsets(%p : tensor<0xi32>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c15_batch(%q: tensor<2x8x64x64xf16>, %o: tensor<3xi32>) {
  // expected-error@+2 {{'sage.attention' op batch must be 1 with offsets, but got 2 [C15]}}
  // expected-note@+1 {{concatenate the sequences along the tokens}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>) query_offsets(%o : tensor<3xi32>) key_offsets(%o : tensor<3xi32>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c15_lengths(%q: tensor<1x8x64x64xf16>, %o: tensor<3xi32>, %l: tensor<1xi32>) {
  // expected-error@+2 {{'sage.attention' op key lengths must be left out with offsets [C15]}}
  // expected-note@+1 {{let the key offsets end each sequence}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) key_lengths(%l : tensor<1xi32>) query_offsets(%o : tensor<3xi32>) key_offsets(%o : tensor<3xi32>)
      outs(%q : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c16_negative(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op window_left must be 0 to 1073741824, but got -1 [C16]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_top_left>, window_left = -1} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_right(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op window_right must be 0 to 1073741824, but got 1073741825 [C16]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_top_left>, window_right = 1073741825} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_sink_tokens(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op sink_tokens must be 0 to 1073741824, but got -4 [C16]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_top_left>, window_left = 1, sink_tokens = -4} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_no_bound(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op mask window_bottom_right must come with window_left or window_right [C16]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_bottom_right>} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_causal_right(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op window_right must be left out with mask causal_top_left [C16]}}
  // expected-note@+1 {{use window_top_left or window_bottom_right; a causal mask is a window whose right bound is 0}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>, window_right = 0} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_no_mask(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op window_left must be left out with mask none [C16]}}
  // expected-note@+1 {{use a causal mask, window_top_left or window_bottom_right}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, window_left = 3} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c16_sinks_alone(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op sink_tokens must come with window_left [C16]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_top_left>, window_right = 1, sink_tokens = 4} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c17_zero(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op softcap must be 2^-64 to 2^64, but got 0.000000e+00 : f32 [C17]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 0.0 : f32} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c17_negative(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op softcap must be 2^-64 to 2^64, but got -1.000000e+00 : f32 [C17]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = -1.0 : f32} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c17_nan(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op softcap must be 2^-64 to 2^64, but got 0x7FC00000 : f32 [C17]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 0x7FC00000 : f32} -> tensor<2x8x64x64xf16>
  return
}

// -----

func.func @c17_large(%q: tensor<2x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op softcap must be 2^-64 to 2^64, but got 1.000000e+30 : f32 [C17]}}
  %r = sage.attention ins(%q, %q, %q : tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<2x8x64x64xf16>)
      outs(%q : tensor<2x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 1.0e30 : f32} -> tensor<2x8x64x64xf16>
  return
}
