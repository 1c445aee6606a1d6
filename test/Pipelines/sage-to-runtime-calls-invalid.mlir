// RUN: sage-opt %s --sage-to-runtime-calls=chip=sm_90a --split-input-file --verify-diagnostics

func.func @tensors(%q: tensor<1x2x8x64xf16>) -> tensor<1x2x8x64xf16> {
  // expected-error@+2 {{operands must be memrefs to become a call, but got 'tensor<1x2x8x64xf16>'}}
  // expected-note@+1 {{run one-shot-bufferize first}}
  %r = sage.attention ins(%q, %q, %q : tensor<1x2x8x64xf16>, tensor<1x2x8x64xf16>, tensor<1x2x8x64xf16>)
      outs(%q : tensor<1x2x8x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x2x8x64xf16>
  return %r : tensor<1x2x8x64xf16>
}

// -----

func.func @strided_lse(%q: memref<1x2x8x64xf16>, %l: memref<1x2x8xf32, strided<[32, 16, 1]>>) {
  // expected-error@+2 {{log-sum-exp must be contiguous, but got 'memref<1x2x8xf32, strided<[32, 16, 1]>>'}}
  // expected-note@+1 {{copy them to a memref without a layout}}
  sage.attention ins(%q, %q, %q : memref<1x2x8x64xf16>, memref<1x2x8x64xf16>, memref<1x2x8x64xf16>)
      outs(%q, %l : memref<1x2x8x64xf16>, memref<1x2x8xf32, strided<[32, 16, 1]>>) {recipe = #sage.recipe<"sage2-8b">}
  return
}
