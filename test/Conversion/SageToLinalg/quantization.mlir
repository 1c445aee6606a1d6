// RUN: sage-opt %s --sage-decompose=expand-f8=false --canonicalize --split-input-file | FileCheck %s
// RUN: sage-opt %s --sage-decompose --split-input-file | FileCheck %s --check-prefix=EXPANDED

// CHECK: #[[GROUP:.*]] = affine_map<(d0) -> (d0 floordiv 64)>
// CHECK-LABEL: @quantize
func.func @quantize(%x: tensor<1x2x100x32xf16>) -> (tensor<1x2x100x32xi8>, tensor<1x2x2xf32>) {
  // The largest magnitude of a token, then of a group.
  // CHECK: linalg.generic {{.*}}"parallel", "reduction"
  // CHECK: math.absf
  // CHECK: arith.maximumf
  // CHECK: scf.for %[[N:[a-z0-9]+]] = {{.*}} -> (tensor<2xf32>)
  // CHECK: affine.apply #[[GROUP]](%[[N]])
  // CHECK: arith.maximumf
  // CHECK: arith.divf %cst{{.*}}, %{{.*}} : f32
  // CHECK: arith.mulf
  // CHECK: math.roundeven
  // CHECK: arith.fptosi {{.*}} : f32 to i8
  // CHECK: arith.divf %{{.*}}, %cst{{.*}} : f32
  // CHECK: tensor.parallel_insert_slice {{.*}} into tensor<1x2x100x32xi8>
  // CHECK: tensor.parallel_insert_slice {{.*}} into tensor<1x2x2xf32>
  %q, %s = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n floordiv 64)>}
      : tensor<1x2x100x32xf16> -> tensor<1x2x100x32xi8>, tensor<1x2x2xf32>
  return %q, %s : tensor<1x2x100x32xi8>, tensor<1x2x2xf32>
}

// -----

// CHECK-LABEL: @packed
func.func @packed(%x: tensor<1x1x?x64xf32>) -> (tensor<1x1x?x32xi8>, tensor<1x1x?xf32>) {
  // CHECK: %[[LOW:.*]] = arith.andi %{{.*}}, %c15_i8
  // CHECK: %[[HIGH:.*]] = arith.shli %{{.*}}, %c4_i8
  // CHECK: arith.ori %[[LOW]], %[[HIGH]]
  %q, %s = sage.quantize %x {type = #sage.score_type<int4>, groups = affine_map<(n) -> (n)>, packed}
      : tensor<1x1x?x64xf32> -> tensor<1x1x?x32xi8>, tensor<1x1x?xf32>
  return %q, %s : tensor<1x1x?x32xi8>, tensor<1x1x?xf32>
}

// -----

// CHECK-LABEL: @value
// EXPANDED-LABEL: @value
func.func @value(%v: tensor<1x2x20x32xf16>) -> (tensor<1x2x32x32xf8E5M2>, tensor<1x2x32xf32>) {
  // Saturation at the largest finite number, which keeps NaN.
  // CHECK: arith.minimumf
  // CHECK: arith.maximumf
  // CHECK: arith.truncf {{.*}} : f32 to f8E5M2
  // EXPANDED-NOT: arith.truncf
  // EXPANDED: arith.bitcast {{.*}} : i8 to f8E5M2
  // EXPANDED-NOT: arith.truncf
  %v8, %s = sage.quantize_value %v {order = affine_map<(p) -> (p)>, type = f8E5M2, range = 57344.0 : f32}
      : tensor<1x2x20x32xf16> -> tensor<1x2x32x32xf8E5M2>, tensor<1x2x32xf32>
  return %v8, %s : tensor<1x2x32x32xf8E5M2>, tensor<1x2x32xf32>
}
