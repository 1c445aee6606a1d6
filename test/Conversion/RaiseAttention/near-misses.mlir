// Near-misses that PyTorch does not write.
// RUN: sage-opt %s --sage-raise-attention --split-input-file --verify-diagnostics | FileCheck %s --implicit-check-not='= sage.attention'

// CHECK-LABEL: @softmax_of_more_keys
func.func @softmax_of_more_keys(%q: tensor<2x8x16xf32>, %k: tensor<2x16x9xf32>, %v: tensor<2x8x16xf32>) -> tensor<2x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %s0 = tensor.empty() : tensor<2x8x9xf32>
  %s1 = linalg.fill ins(%zero : f32) outs(%s0 : tensor<2x8x9xf32>) -> tensor<2x8x9xf32>
  %s = linalg.batch_matmul ins(%q, %k : tensor<2x8x16xf32>, tensor<2x16x9xf32>) outs(%s1 : tensor<2x8x9xf32>) -> tensor<2x8x9xf32>
  // expected-remark@+1 {{attention was not raised: the softmax must be over all keys, which the product with the values sums}}
  %p = linalg.softmax dimension(2) ins(%s : tensor<2x8x9xf32>) outs(%s0 : tensor<2x8x9xf32>) -> tensor<2x8x9xf32>
  %first = tensor.extract_slice %p[0, 0, 0] [2, 8, 8] [1, 1, 1] : tensor<2x8x9xf32> to tensor<2x8x8xf32>
  %o0 = tensor.empty() : tensor<2x8x16xf32>
  %o1 = linalg.fill ins(%zero : f32) outs(%o0 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  // expected-note@+1 {{this product with the values stays as it is}}
  %o = linalg.batch_matmul ins(%first, %v : tensor<2x8x8xf32>, tensor<2x8x16xf32>) outs(%o1 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  return %o : tensor<2x8x16xf32>
}

// -----

// CHECK-LABEL: @scores_added_to_others
func.func @scores_added_to_others(%q: tensor<2x8x16xf32>, %k: tensor<2x16x9xf32>, %v: tensor<2x9x16xf32>, %others: tensor<2x8x9xf32>)
    -> tensor<2x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %s0 = tensor.empty() : tensor<2x8x9xf32>
  // expected-remark@+1 {{attention was not raised: the scores must be a product of queries and keys}}
  %s = linalg.batch_matmul ins(%q, %k : tensor<2x8x16xf32>, tensor<2x16x9xf32>) outs(%others : tensor<2x8x9xf32>) -> tensor<2x8x9xf32>
  %p = linalg.softmax dimension(2) ins(%s : tensor<2x8x9xf32>) outs(%s0 : tensor<2x8x9xf32>) -> tensor<2x8x9xf32>
  %o0 = tensor.empty() : tensor<2x8x16xf32>
  %o1 = linalg.fill ins(%zero : f32) outs(%o0 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  // expected-note@+1 {{this product with the values stays as it is}}
  %o = linalg.batch_matmul ins(%p, %v : tensor<2x8x9xf32>, tensor<2x9x16xf32>) outs(%o1 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
  return %o : tensor<2x8x16xf32>
}
