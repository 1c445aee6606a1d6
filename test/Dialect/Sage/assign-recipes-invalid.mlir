// RUN: sage-opt %s --sage-assign-recipes=file=%S/Inputs/recipes.json --split-input-file --verify-diagnostics

func.func @as_many(%q: tensor<1x4x64x64xf16>) -> tensor<1x4x64x64xf16> {
  // expected-error @+2 {{key heads must be as many as the layer's recipes, 3, but are 4}}
  // expected-note @+1 {{calibrate with activations of this model}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x4x64x64xf16>, tensor<1x4x64x64xf16>, tensor<1x4x64x64xf16>)
      outs(%q : tensor<1x4x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x4x64x64xf16>
  return %o : tensor<1x4x64x64xf16>
}

// -----

func.func @position(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  %0 = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x3x64x64xf16>
  %1 = sage.attention ins(%0, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x3x64x64xf16>
  // expected-error @+2 {{layer must be 0 to 1, as in the file of recipes, but is 2, its position in the module}}
  // expected-note @+1 {{calibrate every layer, or say with 'sage.layer' which one this is}}
  %2 = sage.attention ins(%1, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x3x64x64xf16>
  return %2 : tensor<1x3x64x64xf16>
}

// -----

func.func @large(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{layer must be 0 to 1, as in the file of recipes, but is 2 : i64}}
  // expected-note @+1 {{calibrate every layer}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = 2 : i64} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

func.func @wide(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{layer must be 0 to 1, as in the file of recipes, but is 18446744073709551616 : i128}}
  // expected-note @+1 {{calibrate every layer}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = 18446744073709551616 : i128} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

func.func @negative(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{layer must be 0 to 1, as in the file of recipes, but is -1 : i64}}
  // expected-note @+1 {{calibrate every layer}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = -1 : i64} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

func.func @text(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{'sage.layer' must be an integer, but is "1"}}
  // expected-note @+1 {{write sage.layer = 0 : i64, or leave it out: the attentions of a module are numbered}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = "1"} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

func.func @truth(%q: tensor<1x3x64x64xf16>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{'sage.layer' must be an integer, but is true}}
  // expected-note @+1 {{write sage.layer}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      outs(%q : tensor<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = true} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

// One recipe for all heads needs no number of heads; recipes of their own do.
func.func @unknown_heads(%q: tensor<1x?x64x64xf16>) -> tensor<1x?x64x64xf16> {
  %0 = sage.attention ins(%q, %q, %q : tensor<1x?x64x64xf16>, tensor<1x?x64x64xf16>, tensor<1x?x64x64xf16>)
      outs(%q : tensor<1x?x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x?x64x64xf16>
  // expected-error @+2 {{heads must be known where they have recipes of their own}}
  // expected-note @+1 {{cast the operands to a static number of heads}}
  %1 = sage.attention ins(%0, %q, %q : tensor<1x?x64x64xf16>, tensor<1x?x64x64xf16>, tensor<1x?x64x64xf16>)
      outs(%q : tensor<1x?x64x64xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x?x64x64xf16>
  return %1 : tensor<1x?x64x64xf16>
}

// -----

func.func @unknown_bias(%q: tensor<1x3x64x64xf16>, %b: tensor<1x?x64x64xf32>) -> tensor<1x3x64x64xf16> {
  // expected-error @+2 {{heads must be known where they have recipes of their own}}
  // expected-note @+1 {{cast the operands}}
  %o = sage.attention ins(%q, %q, %q : tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>, tensor<1x3x64x64xf16>)
      bias(%b : tensor<1x?x64x64xf32>) outs(%q : tensor<1x3x64x64xf16>)
      {recipe = #sage.recipe<"f16">, sage.layer = 1 : index} -> tensor<1x3x64x64xf16>
  return %o : tensor<1x3x64x64xf16>
}

// -----

func.func @memrefs(%q: memref<1x3x64x64xf16>, %o: memref<1x3x64x64xf16>) {
  // expected-error @+2 {{operands must be tensors for this pass}}
  // expected-note @+1 {{run the pass before bufferization}}
  sage.attention ins(%q, %q, %q : memref<1x3x64x64xf16>, memref<1x3x64x64xf16>, memref<1x3x64x64xf16>)
      outs(%o : memref<1x3x64x64xf16>) {recipe = #sage.recipe<"f16">, sage.layer = 1 : i64}
  return
}
