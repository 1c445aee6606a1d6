// RUN: sage-opt %s -split-input-file -verify-diagnostics

func.func @c1(%q: tensor<1x8x64x64xf16>, %k: memref<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op operands must be all tensors or all memrefs, but got 'tensor<1x8x64x64xf16>' and 'memref<1x8x64x64xf16>' [C1]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, memref<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c2(%q: tensor<8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op query must have rank 4, but got 'tensor<8x64x64xf16>' [C2]}}
  %r = sage.attention ins(%q, %k, %v : tensor<8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c2_unranked(%q: memref<1x8x64x64xf16>, %k: memref<*xf16>, %v: memref<1x8x64x64xf16>, %o0: memref<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op operand #1 must be ranked tensor of any type values or memref of any type values, but got 'memref<*xf16>'}}
  sage.attention ins(%q, %k, %v : memref<1x8x64x64xf16>, memref<*xf16>, memref<1x8x64x64xf16>)
      outs(%o0 : memref<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
  return
}

// -----

func.func @c2_output(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op output must have rank 4, but got 'tensor<8x64x64xf16>' [C2]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<8x64x64xf16>
  return
}

// -----

func.func @c3(%q: tensor<1x8x64x64xf32>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op query must have element type f16 or bf16, but got 'f32' [C3]}}
  // expected-note@+1 {{cast it to f16 or bf16 first, e.g. with arith.truncf}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf32>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c3_integer(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xi8>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op value must have element type f16 or bf16, but got 'i8' [C3]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xi8>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c3_mixed(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xbf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op element types of key and output must be equal, but got 'bf16' and 'f16' [C3]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xbf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c3_lse(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %o1: tensor<1x8x64xf16>) {
  // expected-error@+1 {{'sage.attention' op log-sum-exp must have element type f32, but got 'f16' [C3]}}
  %r:2 = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0, %o1 : tensor<1x8x64x64xf16>, tensor<1x8x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>, tensor<1x8x64xf16>
  return
}

// -----

func.func @c4(%q: tensor<1x7x64x64xf16>, %k: tensor<1x2x64x64xf16>, %v: tensor<1x2x64x64xf16>, %o0: tensor<1x7x64x64xf16>) {
  // expected-error@+2 {{'sage.attention' op query heads must be a multiple of key heads, but got 7 and 2 [C4]}}
  // expected-note@+1 {{repeat the key and value heads, or check that `layout` names the order of the dimensions}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x7x64x64xf16>, tensor<1x2x64x64xf16>, tensor<1x2x64x64xf16>)
      outs(%o0 : tensor<1x7x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x7x64x64xf16>
  return
}

// -----

func.func @c5_batch(%q: tensor<1x8x64x64xf16>, %k: tensor<2x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op batch of query, key and value must be equal, but got 1, 2 and 1 [C5]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<2x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c5_heads(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x4x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op heads of key and value must be equal, but got 8 and 4 [C5]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x4x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c5_tokens(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x32x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op tokens of key and value must be equal, but got 64 and 32 [C5]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x32x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c5_output(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x32x64xf16>) {
  // expected-error@+1 {{'sage.attention' op batch, heads and tokens of output and query must be equal, but got 1, 8, 32 and 1, 8, 64 [C5]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x32x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x32x64xf16>
  return
}

// -----

func.func @c5_token_major(%q: tensor<1x64x8x64xf16>, %k: tensor<1x64x8x64xf16>, %v: tensor<1x32x8x64xf16>, %o0: tensor<1x64x8x64xf16>) {
  // expected-error@+1 {{'sage.attention' op tokens of key and value must be equal, but got 64 and 32 [C5]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x64x8x64xf16>, tensor<1x64x8x64xf16>, tensor<1x32x8x64xf16>)
      outs(%o0 : tensor<1x64x8x64xf16>) {recipe = #sage.recipe<"sage2-8b">, layout = #sage.layout<token_major>}
      -> tensor<1x64x8x64xf16>
  return
}

// -----

func.func @c6(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x128xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op head dim of query and key must be equal, but got 64 and 128 [C6]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x128xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c6_output(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x128xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op head dim of output and value must be equal, but got 64 and 128 [C6]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x128xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c6_lse(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %o1: tensor<1x64x8xf32>) {
  // expected-error@+1 {{'sage.attention' op log-sum-exp must be [batch, query heads, query tokens], but got 'tensor<1x64x8xf32>' [C6]}}
  %r:2 = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0, %o1 : tensor<1x8x64x64xf16>, tensor<1x64x8xf32>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>, tensor<1x64x8xf32>
  return
}

// -----

func.func @c7(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>, %o1: tensor<1x8x64xf32>, %o2: tensor<1x8x64xf32>) {
  // expected-error@+1 {{'sage.attention' op outputs must be O and, optionally, the log-sum-exp, but got 3 [C7]}}
  %r:3 = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0, %o1, %o2 : tensor<1x8x64x64xf16>, tensor<1x8x64xf32>, tensor<1x8x64xf32>) {recipe = #sage.recipe<"sage2-8b">}
      -> tensor<1x8x64x64xf16>, tensor<1x8x64xf32>, tensor<1x8x64xf32>
  return
}

// -----

func.func @c7_none(%q: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op outputs must be O and, optionally, the log-sum-exp, but got 0 [C7]}}
  "sage.attention"(%q, %q, %q) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0>, recipe = #sage.recipe<"sage2-8b">}> : (tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) -> ()
  return
}

// -----

func.func @c8(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op scale must be finite and positive, but got 0.000000e+00 : f32 [C8]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, scale = 0.0 : f32}
      -> tensor<1x8x64x64xf16>
  return
}

// -----

func.func @c8_infinite(%q: tensor<1x8x64x64xf16>, %k: tensor<1x8x64x64xf16>, %v: tensor<1x8x64x64xf16>, %o0: tensor<1x8x64x64xf16>) {
  // expected-error@+1 {{'sage.attention' op scale must be finite and positive, but got 0x7F800000 : f32 [C8]}}
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>)
      outs(%o0 : tensor<1x8x64x64xf16>) {recipe = #sage.recipe<"sage2-8b">, scale = 0x7F800000 : f32}
      -> tensor<1x8x64x64xf16>
  return
}
