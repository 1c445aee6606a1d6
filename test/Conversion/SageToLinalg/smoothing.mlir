// RUN: sage-opt %s --sage-decompose --canonicalize --split-input-file | FileCheck %s

// CHECK-LABEL: @mean
// CHECK-SAME: %[[X:.*]]: tensor<1x?x4x32xf16>
func.func @mean(%x: tensor<1x?x4x32xf16>) -> tensor<1x4x1x32xf32> {
  // One head, read in the order of the layout.
  // CHECK: scf.forall (%[[H:.*]]) in (4) shared_outs(%{{.*}} = %{{.*}}) -> (tensor<1x4x1x32xf32>)
  // CHECK: tensor.extract_slice %[[X]][0, 0, %[[H]], 0] [1, %{{.*}}, 1, 32] {{.*}} to tensor<?x32xf16>
  // Chunks of 256, one token at a time into eight partial sums.
  // CHECK: scf.for {{.*}} step %c256 {{.*}} -> (tensor<1x32xf32>)
  // CHECK: scf.for {{.*}} step %c1 {{.*}} -> (tensor<8x32xf32>)
  // CHECK: arith.extf
  // CHECK: arith.addf
  // CHECK: tensor.insert_slice {{.*}} into tensor<8x32xf32>
  // The halving tree.
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<4x32xf32>)
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<2x32xf32>)
  // CHECK: arith.divf
  // CHECK: tensor.parallel_insert_slice {{.*}} : tensor<1x32xf32> into tensor<1x4x1x32xf32>
  %m = sage.mean %x {layout = #sage.layout<token_major>} : tensor<1x?x4x32xf16> -> tensor<1x4x1x32xf32>
  return %m : tensor<1x4x1x32xf32>
}

// -----

// CHECK: #[[BLOCK:.*]] = affine_map<()[s0] -> (s0 floordiv 16)>
// CHECK-LABEL: @center
func.func @center(%x: tensor<1x2x40x32xbf16>, %m: tensor<1x2x3x32xf32>) -> tensor<1x2x40x32xf32> {
  // CHECK: arith.extf {{.*}} : bf16 to f32
  // CHECK: %[[N:.*]] = linalg.index 0
  // CHECK: affine.apply #[[BLOCK]]()[%[[N]]]
  // CHECK: arith.subf
  %c = sage.center %x, %m {block = 16} : tensor<1x2x40x32xbf16>, tensor<1x2x3x32xf32> -> tensor<1x2x40x32xf32>
  return %c : tensor<1x2x40x32xf32>
}

// -----

// CHECK-LABEL: @score_correction
// CHECK-SAME: %{{.*}}: tensor<1x8x4x32xf32>, %[[K:.*]]: tensor<1x2x100x32xf32>
func.func @score_correction(%m: tensor<1x8x4x32xf32>, %k: tensor<1x2x100x32xf32>) -> tensor<1x8x4x100xf32> {
  // Query head h reads key head h / 4.
  // CHECK: scf.forall (%[[H:.*]]) in (8)
  // CHECK: %[[KEY_HEAD:.*]] = arith.divui %[[H]], %c4
  // CHECK: tensor.extract_slice %[[K]][0, %[[KEY_HEAD]], 0, 0] [1, 1, 100, 32]
  // CHECK: linalg.matmul {{.*}} outs(%{{.*}} : tensor<4x100xf32>)
  %s = sage.score_correction %m, %k : tensor<1x8x4x32xf32>, tensor<1x2x100x32xf32> -> tensor<1x8x4x100xf32>
  return %s : tensor<1x8x4x100xf32>
}

// -----

// CHECK-LABEL: @lse_correction
func.func @lse_correction(%q: tensor<1x8x20x64xf16>, %m: tensor<1x2x1x64xf32>) -> tensor<1x8x20xf32> {
  // CHECK: linalg.matmul {{.*}} ins(%{{.*}} : tensor<20x64xf16>, tensor<1x64xf32>) outs(%{{.*}} : tensor<20x1xf32>)
  // CHECK: arith.mulf %{{.*}}, %cst{{.*}} : f32
  %l = sage.lse_correction %q, %m {scale = 0.125 : f32}
      : tensor<1x8x20x64xf16>, tensor<1x2x1x64xf32> -> tensor<1x8x20xf32>
  return %l : tensor<1x8x20xf32>
}

// -----

// No token: no loop.
// CHECK-LABEL: @empty
func.func @empty(%x: tensor<1x4x0x32xf16>) -> tensor<1x4x1x32xf32> {
  // CHECK-NOT: scf.forall
  // CHECK: linalg.fill
  %m = sage.mean %x : tensor<1x4x0x32xf16> -> tensor<1x4x1x32xf32>
  return %m : tensor<1x4x1x32xf32>
}
