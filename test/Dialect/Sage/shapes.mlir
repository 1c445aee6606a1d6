// RUN: sage-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize -cse | FileCheck %s

// CHECK-DAG: #[[BLOCKS:.+]] = affine_map<()[s0] -> (s0 ceildiv 128)>
// CHECK-DAG: #[[GROUPS:.+]] = affine_map<()[s0] -> ((s0 ceildiv 64) * 4)>
// CHECK-DAG: #[[PADDED:.+]] = affine_map<()[s0] -> ((s0 ceildiv 16) * 16)>

// CHECK-DAG: #[[SLOTS:.+]] = affine_map<()[s0, s1] -> (s1 + s0 floordiv 128 - 1)>
// CHECK-DAG: #[[SCALES:.+]] = affine_map<()[s0, s1] -> (s1 * 4 + (s0 floordiv 64) * 4 - 4)>
// CHECK-DAG: #[[POSITIONS:.+]] = affine_map<()[s0, s1] -> (s1 * 16 + (s0 floordiv 16) * 16 - 16)>
// CHECK-DAG: #[[ENTRIES:.+]] = affine_map<()[s0] -> (s0 - 1)>

// CHECK-LABEL: func @attention
// CHECK: %[[N:.+]] = tensor.dim %{{.+}}, %c2 : tensor<1x8x?x64xf16>
// CHECK: return %[[N]]
func.func @attention(%q: tensor<1x8x?x64xf16>, %o0: tensor<1x8x?x64xf16>) -> index {
  %c2 = arith.constant 2 : index
  %o = sage.attention ins(%q, %q, %q : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>)
      outs(%o0 : tensor<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x8x?x64xf16>
  %n = tensor.dim %o, %c2 : tensor<1x8x?x64xf16>
  return %n : index
}

// CHECK-LABEL: func @mean
// CHECK: %[[N:.+]] = tensor.dim %{{.+}}, %c1 : tensor<1x?x8x64xf16>
// CHECK: affine.apply #[[BLOCKS]]()[%[[N]]]
func.func @mean(%q: tensor<1x?x8x64xf16>) -> index {
  %c2 = arith.constant 2 : index
  %m = sage.mean %q {block = 128, layout = #sage.layout<token_major>} : tensor<1x?x8x64xf16> -> tensor<1x8x?x64xf32>
  %n = tensor.dim %m, %c2 : tensor<1x8x?x64xf32>
  return %n : index
}

// CHECK-LABEL: func @quantize
// CHECK: affine.apply #[[GROUPS]]
// CHECK: affine.apply #[[PADDED]]
func.func @quantize(%k: tensor<1x8x?x64xf16>) -> (index, index) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %k8, %ks = sage.quantize %k {type = #sage.score_type<int8>, groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>}
      : tensor<1x8x?x64xf16> -> tensor<1x8x?x64xi8>, tensor<1x8x?xf32>
  %v8, %vs = sage.quantize_value %k {order = affine_map<(p) -> (p)>, type = f8E4M3FN}
      : tensor<1x8x?x64xf16> -> tensor<1x8x64x?xf8E4M3FN>, tensor<1x8x64xf32>
  %g = tensor.dim %ks, %c2 : tensor<1x8x?xf32>
  %n = tensor.dim %v8, %c3 : tensor<1x8x64x?xf8E4M3FN>
  return %g, %n : index, index
}

// CHECK-LABEL: func @corrections
// CHECK-DAG: %[[NQ:.+]] = tensor.dim %{{.+}}, %c2 : tensor<1x8x?x64xf16>
// CHECK-DAG: %[[NK:.+]] = tensor.dim %{{.+}}, %c2 : tensor<1x2x?x64xf32>
// CHECK: return %[[NK]], %[[NQ]]
func.func @corrections(%q: tensor<1x8x?x64xf16>, %kc: tensor<1x2x?x64xf32>, %qm: tensor<1x8x?x64xf32>, %km: tensor<1x2x1x64xf32>) -> (index, index) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %ds = sage.score_correction %qm, %kc : tensor<1x8x?x64xf32>, tensor<1x2x?x64xf32> -> tensor<1x8x?x?xf32>
  %lc = sage.lse_correction %q, %km {scale = 1.0 : f32} : tensor<1x8x?x64xf16>, tensor<1x2x1x64xf32> -> tensor<1x8x?xf32>
  %nk = tensor.dim %ds, %c3 : tensor<1x8x?x?xf32>
  %nq = tensor.dim %lc, %c2 : tensor<1x8x?xf32>
  return %nk, %nq : index, index
}

// Of sequences that are stored one after the other.
// CHECK-LABEL: func @sequences
// CHECK: affine.apply #[[SLOTS]]
// CHECK: affine.apply #[[ENTRIES]]
// CHECK: affine.apply #[[SCALES]]
// CHECK: affine.apply #[[POSITIONS]]
func.func @sequences(%k: tensor<1x8x?x64xf16>, %o: tensor<?xi32>) -> (index, index, index, index, index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %qm = sage.mean %k offsets(%o : tensor<?xi32>) {block = 128} : tensor<1x8x?x64xf16> -> tensor<1x8x?x64xf32>
  %km = sage.mean %k offsets(%o : tensor<?xi32>) : tensor<1x8x?x64xf16> -> tensor<1x8x?x64xf32>
  %k8, %ks = sage.quantize %k offsets(%o : tensor<?xi32>) {type = #sage.score_type<int8>, groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>}
      : tensor<1x8x?x64xf16> -> tensor<1x8x?x64xi8>, tensor<1x8x?xf32>
  %v8, %vs = sage.quantize_value %k offsets(%o : tensor<?xi32>) {order = affine_map<(p) -> (p)>, type = f8E4M3FN}
      : tensor<1x8x?x64xf16> -> tensor<1x8x64x?xf8E4M3FN>, tensor<?x8x64xf32>
  %a = tensor.dim %qm, %c2 : tensor<1x8x?x64xf32>
  %b = tensor.dim %km, %c2 : tensor<1x8x?x64xf32>
  %c = tensor.dim %ks, %c2 : tensor<1x8x?xf32>
  %d = tensor.dim %v8, %c3 : tensor<1x8x64x?xf8E4M3FN>
  %e = tensor.dim %vs, %c0 : tensor<?x8x64xf32>
  return %a, %b, %c, %d, %e : index, index, index, index, index
}
