// Scales and integers of hand-computed cases (Spec N4 to N6): ties to even, zero groups, packed INT4, V's token order.
// RUN: %run_on_cpu | FileCheck %s
// REQUIRES: mlir-runner

#id1 = affine_map<(n) -> (n)>

func.func private @printMemrefI32(tensor<*xi32>)
func.func private @printMemrefF32(tensor<*xf32>)

func.func @print_bytes(%bytes: tensor<?xi8>) {
  %c0 = arith.constant 0 : index
  %size = tensor.dim %bytes, %c0 : tensor<?xi8>
  %init = tensor.empty(%size) : tensor<?xi32>
  %wide = linalg.generic {indexing_maps = [#id1, #id1], iterator_types = ["parallel"]}
      ins(%bytes : tensor<?xi8>) outs(%init : tensor<?xi32>) {
  ^bb0(%byte: i8, %old: i32):
    %value = arith.extsi %byte : i8 to i32
    linalg.yield %value : i32
  } -> tensor<?xi32>
  %unranked = tensor.cast %wide : tensor<?xi32> to tensor<*xi32>
  call @printMemrefI32(%unranked) : (tensor<*xi32>) -> ()
  return
}

func.func @int8() {
  // One group of two tokens: absmax 254, so x · (127/254) = x/2: 5/2 and 7/2 are ties, to 2 and 4.
  // A group of zeros: scale 1. A group whose absmax is 127: scale 1, integers as they are.
  %x = arith.constant dense<[[[[254.0, 5.0], [7.0, -5.0], [0.0, 0.0], [0.0, -0.0], [127.0, -3.0]]]]>
      : tensor<1x1x5x2xf16>
  %q, %s = sage.quantize %x {type = #sage.score_type<int8>, groups = affine_map<(n) -> (n floordiv 2)>}
      : tensor<1x1x5x2xf16> -> tensor<1x1x5x2xi8>, tensor<1x1x3xf32>
  %flat = tensor.collapse_shape %q [[0, 1, 2, 3]] : tensor<1x1x5x2xi8> into tensor<10xi8>
  %bytes = tensor.cast %flat : tensor<10xi8> to tensor<?xi8>
  // CHECK: [127, 2, 4, -2, 0, 0, 0, 0, 127, -3]
  call @print_bytes(%bytes) : (tensor<?xi8>) -> ()
  // CHECK: {{\[\[\[}}2, {{ *}}1, {{ *}}1]]]
  %unranked = tensor.cast %s : tensor<1x1x3xf32> to tensor<*xf32>
  call @printMemrefF32(%unranked) : (tensor<*xf32>) -> ()
  return
}

func.func @packed_int4() {
  // Scale 1: 7 and -7, -1 and 3, rows of one byte: 7 | (-7 & 15) << 4 = 0x97 = -105, (-1 & 15) | 3 << 4 = 0x3F = 63.
  %x = arith.constant dense<[[[[7.0, -7.0], [-1.0, 3.0]]]]> : tensor<1x1x2x2xf32>
  %q, %s = sage.quantize %x {type = #sage.score_type<int4>, groups = affine_map<(n) -> (0)>, packed}
      : tensor<1x1x2x2xf32> -> tensor<1x1x2x1xi8>, tensor<1x1x1xf32>
  %flat = tensor.collapse_shape %q [[0, 1, 2, 3]] : tensor<1x1x2x1xi8> into tensor<2xi8>
  %bytes = tensor.cast %flat : tensor<2xi8> to tensor<?xi8>
  // CHECK: [-105, 63]
  call @print_bytes(%bytes) : (tensor<?xi8>) -> ()
  return
}

func.func @value() {
  // One channel that holds 448 in token 0 and 1 in token 2, 3 in token 9; the rest of 10 tokens is 0. Scale 1.
  // Position p holds token 8·((p mod 4) floordiv 2) + 2·(p floordiv 4) + p mod 2: token 2 is at 4, token 9 at 3.
  // The codes of 448, 1 and 3 are 0x7E = 126, 0x38 = 56 and 0x44 = 68.
  %x = arith.constant dense<[[[[448.0], [0.0], [1.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [3.0]]]]>
      : tensor<1x1x10x1xf16>
  %v, %s = sage.quantize_value %x {
      order = affine_map<(p) -> (p floordiv 16 * 16 + p mod 4 floordiv 2 * 8 + p mod 16 floordiv 4 * 2 + p mod 2)>,
      type = f8E4M3FN} : tensor<1x1x10x1xf16> -> tensor<1x1x1x16xf8E4M3FN>, tensor<1x1x1xf32>
  %flat = tensor.collapse_shape %v [[0, 1, 2, 3]] : tensor<1x1x1x16xf8E4M3FN> into tensor<16xf8E4M3FN>
  %init = tensor.empty() : tensor<16xi8>
  %bits = linalg.generic {indexing_maps = [#id1, #id1], iterator_types = ["parallel"]}
      ins(%flat : tensor<16xf8E4M3FN>) outs(%init : tensor<16xi8>) {
  ^bb0(%f8: f8E4M3FN, %old: i8):
    %byte = arith.bitcast %f8 : f8E4M3FN to i8
    linalg.yield %byte : i8
  } -> tensor<16xi8>
  %bytes = tensor.cast %bits : tensor<16xi8> to tensor<?xi8>
  // CHECK: [126, 0, 0, 68, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  call @print_bytes(%bytes) : (tensor<?xi8>) -> ()
  // CHECK: {{\[\[\[}}1]]]
  %unranked = tensor.cast %s : tensor<1x1x1xf32> to tensor<*xf32>
  call @printMemrefF32(%unranked) : (tensor<*xf32>) -> ()
  return
}

func.func @main() {
  call @int8() : () -> ()
  call @packed_int4() : () -> ()
  call @value() : () -> ()
  return
}
