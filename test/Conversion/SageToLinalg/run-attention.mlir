// Attention with results that can be computed by hand: where Q is 0 every visible key weighs the same, so that O is the
// mean of the visible V and the log-sum-exp is the logarithm of their number.
// RUN: %run_on_cpu | FileCheck %s
// REQUIRES: mlir-runner

#id = affine_map<(i, j) -> (i, j)>

func.func private @printMemrefF32(tensor<*xf32>)

func.func @print(%o: tensor<?x?xf16>, %l: tensor<?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %o, %c0 : tensor<?x?xf16>
  %columns = tensor.dim %o, %c1 : tensor<?x?xf16>
  %init = tensor.empty(%rows, %columns) : tensor<?x?xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%o : tensor<?x?xf16>) outs(%init : tensor<?x?xf32>) {
  ^bb0(%x: f16, %old: f32):
    %value = arith.extf %x : f16 to f32
    linalg.yield %value : f32
  } -> tensor<?x?xf32>
  %ou = tensor.cast %wide : tensor<?x?xf32> to tensor<*xf32>
  call @printMemrefF32(%ou) : (tensor<*xf32>) -> ()
  %lu = tensor.cast %l : tensor<?x?xf32> to tensor<*xf32>
  call @printMemrefF32(%lu) : (tensor<*xf32>) -> ()
  return
}

// Two query heads share one key head. V of token 0 is 1, of the others 0; K is any bit pattern.
func.func @inputs(%queries: index, %keys: index)
    -> (tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>, tensor<1x2x?x1xf16>, tensor<1x2x?xf32>) {
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %zero = arith.constant 0.0 : f16
  %one = arith.constant 1.0 : f16
  %q = tensor.splat %zero[%queries] : tensor<1x2x?x32xf16>
  %k = tensor.generate %keys {
  ^bb0(%b: index, %h: index, %n: index, %d: index):
    %sum = arith.addi %n, %d : index
    %rest = arith.remui %sum, %c7 : index
    %bits = arith.index_cast %rest : index to i16
    %x = arith.sitofp %bits : i16 to f16
    tensor.yield %x : f16
  } : tensor<1x1x?x32xf16>
  %v = tensor.generate %keys {
  ^bb0(%b: index, %h: index, %n: index, %d: index):
    %isFirst = arith.cmpi eq, %n, %c0 : index
    %x = arith.select %isFirst, %one, %zero : f16
    tensor.yield %x : f16
  } : tensor<1x1x?x1xf16>
  %o = tensor.splat %one[%queries] : tensor<1x2x?x1xf16>
  %l = tensor.empty(%queries) : tensor<1x2x?xf32>
  return %q, %k, %v, %o, %l
      : tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>, tensor<1x2x?x1xf16>, tensor<1x2x?xf32>
}

func.func @top_left(%queries: index, %keys: index) {
  %q, %k, %v, %o0, %l0 = call @inputs(%queries, %keys) : (index, index)
      -> (tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>, tensor<1x2x?x1xf16>, tensor<1x2x?xf32>)
  %o, %l = sage.attention
      ins(%q, %k, %v : tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>)
      outs(%o0, %l0 : tensor<1x2x?x1xf16>, tensor<1x2x?xf32>)
      {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>} -> tensor<1x2x?x1xf16>, tensor<1x2x?xf32>
  %o2 = tensor.collapse_shape %o [[0, 1], [2, 3]] : tensor<1x2x?x1xf16> into tensor<2x?xf16>
  %l2 = tensor.collapse_shape %l [[0, 1], [2]] : tensor<1x2x?xf32> into tensor<2x?xf32>
  %od = tensor.cast %o2 : tensor<2x?xf16> to tensor<?x?xf16>
  %ld = tensor.cast %l2 : tensor<2x?xf32> to tensor<?x?xf32>
  call @print(%od, %ld) : (tensor<?x?xf16>, tensor<?x?xf32>) -> ()
  return
}

func.func @bottom_right(%queries: index, %keys: index) {
  %q, %k, %v, %o0, %l0 = call @inputs(%queries, %keys) : (index, index)
      -> (tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>, tensor<1x2x?x1xf16>, tensor<1x2x?xf32>)
  %o, %l = sage.attention
      ins(%q, %k, %v : tensor<1x2x?x32xf16>, tensor<1x1x?x32xf16>, tensor<1x1x?x1xf16>)
      outs(%o0, %l0 : tensor<1x2x?x1xf16>, tensor<1x2x?xf32>)
      {recipe = #sage.recipe<"sage2-4b">, mask = #sage.mask<causal_bottom_right>}
      -> tensor<1x2x?x1xf16>, tensor<1x2x?xf32>
  %o2 = tensor.collapse_shape %o [[0, 1], [2, 3]] : tensor<1x2x?x1xf16> into tensor<2x?xf16>
  %l2 = tensor.collapse_shape %l [[0, 1], [2]] : tensor<1x2x?xf32> into tensor<2x?xf32>
  %od = tensor.cast %o2 : tensor<2x?xf16> to tensor<?x?xf16>
  %ld = tensor.cast %l2 : tensor<2x?xf32> to tensor<?x?xf32>
  call @print(%od, %ld) : (tensor<?x?xf16>, tensor<?x?xf32>) -> ()
  return
}

func.func @main() {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  // Query i sees i + 1 keys: O = 1/(i + 1), ln(i + 1).
  // CHECK: [1, {{ *}}0.5, {{ *}}0.333252, {{ *}}0.25]
  // CHECK-NEXT: [1, {{ *}}0.5, {{ *}}0.333252, {{ *}}0.25]
  // CHECK: [{{-?}}0, {{ *}}0.693147, {{ *}}1.09861, {{ *}}1.38629]
  call @top_left(%c4, %c4) : (index, index) -> ()
  // Query i sees i - 1 keys: none for the first two.
  // CHECK: [0, {{ *}}0, {{ *}}1, {{ *}}0.5]
  // CHECK-NEXT: [0, {{ *}}0, {{ *}}1, {{ *}}0.5]
  // CHECK: [-inf, {{ *}}-inf, {{ *}}{{-?}}0, {{ *}}0.693147]
  call @bottom_right(%c4, %c2) : (index, index) -> ()
  // No keys at all.
  // CHECK: [0, {{ *}}0]
  // CHECK-NEXT: [0, {{ *}}0]
  // CHECK: [-inf, {{ *}}-inf]
  call @bottom_right(%c2, %c0) : (index, index) -> ()
  return
}
