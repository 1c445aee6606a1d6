// RUN: sage-opt %s --sage-decompose --split-input-file --verify-diagnostics

func.func @memrefs(%q: memref<1x2x64x32xf16>, %o: memref<1x2x64x32xf16>) {
  // expected-error @+1 {{operands must be tensors to be decomposed, but got 'memref<1x2x64x32xf16>'}}
  sage.attention ins(%q, %q, %q : memref<1x2x64x32xf16>, memref<1x2x64x32xf16>, memref<1x2x64x32xf16>)
      outs(%o : memref<1x2x64x32xf16>) {recipe = #sage.recipe<"f16">}
  return
}

// -----

func.func @lengths(%q: tensor<1x2x64x32xf16>, %l: tensor<1xi32>) -> tensor<1x2x64x32xf16> {
  // expected-error @+2 {{key lengths and offsets must be unpacked before}}
  // expected-note @+1 {{run sage-unpack-sequences on the sage.attention first}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x2x64x32xf16>, tensor<1x2x64x32xf16>, tensor<1x2x64x32xf16>)
      key_lengths(%l : tensor<1xi32>) outs(%q : tensor<1x2x64x32xf16>)
      {recipe = #sage.recipe<"f16">} -> tensor<1x2x64x32xf16>
  return %r : tensor<1x2x64x32xf16>
}

// -----

func.func @dynamic_head_dim(%q: tensor<1x2x64x?xf16>) -> tensor<1x2x64x?xf16> {
  // expected-error @+2 {{scale must be given when the head dim is dynamic}}
  // expected-note @+1 {{add `scale`, or cast the operands to a static head dim}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x2x64x?xf16>, tensor<1x2x64x?xf16>, tensor<1x2x64x?xf16>)
      outs(%q : tensor<1x2x64x?xf16>) {recipe = #sage.recipe<"f16">} -> tensor<1x2x64x?xf16>
  return %r : tensor<1x2x64x?xf16>
}
