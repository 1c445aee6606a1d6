// What hides keys, ends sequences or changes scores in a way that kernels do not.
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_90a -sage-assign-schedule -sage-smooth -sage-quantize -convert-sage-to-sage-tile -split-input-file -verify-diagnostics

func.func @bias(%q: tensor<1x8x?x128xf16>, %b: tensor<1x1x?x?xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{bias is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>) bias(%b : tensor<1x1x?x?xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @key_lengths(%q: tensor<1x8x?x128xf16>, %b: tensor<1xi32>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{key_lengths is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>) key_lengths(%b : tensor<1xi32>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @sinks(%q: tensor<1x8x?x128xf16>, %b: tensor<8xf32>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{sinks is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>) sinks(%b : tensor<8xf32>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @sequences(%q: tensor<1x8x?x128xf16>, %b: tensor<?xi32>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{query_offsets and key_offsets is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>) query_offsets(%b : tensor<?xi32>) key_offsets(%b : tensor<?xi32>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @softcap(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{softcap is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, softcap = 30.0 : f32} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @window_left(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{window_left is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>, window_left = 64} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// -----

func.func @window_right(%q: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  // expected-error@+2 {{window_right is not lowered to kernels yet}}
  // expected-note@+1 {{sage-decompose lowers it to linalg}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
      outs(%q : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<window_bottom_right>, window_right = 1} -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}
