// RUN: sage-opt %s --sage-decompose=expand-f8=false --canonicalize --split-input-file | FileCheck %s
// RUN: sage-opt %s --sage-decompose=family=wgmma --canonicalize --split-input-file | FileCheck %s --check-prefix=WGMMA

// CHECK-LABEL: @two_level
// WGMMA-LABEL: @two_level
func.func @two_level(%q: tensor<1x2x64x32xf16>, %k: tensor<1x1x256x32xf16>, %v: tensor<1x1x256x32xf16>,
                     %o: tensor<1x2x64x32xf16>) -> tensor<1x2x64x32xf16> {
  // CHECK: scf.forall (%{{.*}}) in (2) shared_outs({{.*}}) -> (tensor<1x2x64x32xf16>)
  // WGMMA: scf.for {{.*}} to %c2 {{.*}} -> (tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>)
  // WGMMA: linalg.matmul {{.*}} -> tensor<64x128xi32>
  // CHECK: scf.for {{.*}} to %c4 {{.*}} -> (tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>)
  // S, exact in i32.
  // CHECK: linalg.matmul {{.*}} ins(%{{.*}} : tensor<64x32xi8>, tensor<64x32xi8>) {{.*}} -> tensor<64x64xi32>
  // CHECK: arith.sitofp
  // The maximum of the tile, the rescale, P.
  // CHECK: arith.maximumf
  // CHECK: math.exp2
  // CHECK: math.fma
  // CHECK: math.exp2
  // CHECK: arith.truncf {{.*}} : f32 to f8E4M3FN
  // The row sum and O, each of them one FMA with the tile's sum.
  // CHECK: math.fma
  // CHECK: %[[T:.*]] = linalg.matmul ins(%{{.*}} : tensor<64x64xf32>, tensor<64x32xf32>)
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[T]] :
  // CHECK: math.fma
  // CHECK: scf.yield
  // CHECK: arith.truncf {{.*}} : f32 to f16
  %r = sage.attention
      ins(%q, %k, %v : tensor<1x2x64x32xf16>, tensor<1x1x256x32xf16>, tensor<1x1x256x32xf16>)
      outs(%o : tensor<1x2x64x32xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x2x64x32xf16>
  return %r : tensor<1x2x64x32xf16>
}

// -----

// CHECK: #[[COUNT:.*]] = affine_map<(d0, d1) -> (d0 + d1 * 64 - (d0 ceildiv 64) * 64 + 64, 64)>
// CHECK-LABEL: @sixteen_bit
func.func @sixteen_bit(%q: tensor<1x2x?x32xf16>, %k: tensor<1x2x?x32xf16>, %v: tensor<1x2x?x32xf16>,
                       %o: tensor<1x2x?x32xf16>, %l: tensor<1x2x?xf32>) -> (tensor<1x2x?x32xf16>, tensor<1x2x?xf32>) {
  // CHECK: scf.forall {{.*}} -> (tensor<1x2x?x32xf16>, tensor<1x2x?xf32>)
  // CHECK: affine.min #[[COUNT]]
  // CHECK: linalg.matmul {{.*}} ins(%{{.*}} : tensor<?x32xf16>, tensor<?x32xf16>) {{.*}} -> tensor<?x?xf32>
  // Masked.
  // CHECK: arith.cmpi sle
  // P in the type of O; the accumulator is rescaled and carried on.
  // CHECK: arith.truncf {{.*}} : f32 to f16
  // CHECK: %[[RESCALED:.*]] = linalg.generic {{.*}}"parallel", "parallel"]} ins(%{{.*}} : tensor<?xf32>) outs(%{{.*}} : tensor<?x32xf32>)
  // CHECK: linalg.matmul {{.*}} outs(%[[RESCALED]] : tensor<?x32xf32>)
  // CHECK: math.log2
  %r, %s = sage.attention ins(%q, %k, %v : tensor<1x2x?x32xf16>, tensor<1x2x?x32xf16>, tensor<1x2x?x32xf16>)
      outs(%o, %l : tensor<1x2x?x32xf16>, tensor<1x2x?xf32>)
      {recipe = #sage.recipe<"f16">, mask = #sage.mask<causal_top_left>} -> tensor<1x2x?x32xf16>, tensor<1x2x?xf32>
  return %r, %s : tensor<1x2x?x32xf16>, tensor<1x2x?xf32>
}
