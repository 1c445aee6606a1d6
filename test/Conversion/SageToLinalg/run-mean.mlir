// Means add in the order of Spec N1, which these inputs tell from any simpler one.
// RUN: %run_on_cpu | FileCheck %s
// REQUIRES: mlir-runner

func.func private @printMemrefF32(tensor<*xf32>)

// 2^24 and 1 do not add in float32. With 2^24 in token 0, -2^24 in token `other` and 1 elsewhere, the sum says which ones
// met 2^24 before it was cancelled. bf16 holds 2^24.
func.func @mean(%tokens: index, %other: index) -> f32 {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : bf16
  %large = arith.constant 16777216.0 : bf16
  %minus = arith.constant -16777216.0 : bf16
  %x = tensor.generate %tokens {
  ^bb0(%b: index, %h: index, %n: index, %d: index):
    %isOther = arith.cmpi eq, %n, %other : index
    %isFirst = arith.cmpi eq, %n, %c0 : index
    %a = arith.select %isOther, %minus, %one : bf16
    %v = arith.select %isFirst, %large, %a : bf16
    tensor.yield %v : bf16
  } : tensor<1x1x?x1xbf16>
  %m = sage.mean %x : tensor<1x1x?x1xbf16> -> tensor<1x1x1x1xf32>
  %mean = tensor.extract %m[%c0, %c0, %c0, %c0] : tensor<1x1x1x1xf32>
  return %mean : f32
}

func.func @main() {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %c256 = arith.constant 256 : index
  %c512 = arith.constant 512 : index
  // Token 8 is in the same partial sum, next to token 0: the 14 ones count. 14/16.
  %a = call @mean(%c16, %c8) : (index, index) -> f32
  // Token 4: p[0] = 2^24 + 1 = 2^24; p[4] = -2^24 + 1 = 1 - 2^24 is exact; they join first, to 1. The other six partial
  // sums are 2: 13/16.
  %b = call @mean(%c16, %c4) : (index, index) -> f32
  // Token 1: p[0] = 2^24, +2 twice in the tree (2^24 + 2 and + 4 + ...): p[0] + p[4] = 2^24 + 2, p[2] + p[6] = 4, so
  // 2^24 + 6; p[1] = 1 - 2^24, + 2, + 4 = 7 - 2^24; together 13.
  %c = call @mean(%c16, %c1) : (index, index) -> f32
  // Token 256 is in the next chunk. The first chunk: p[0] keeps 2^24 through its 31 ones, the other partial sums are 32:
  // 2^24 + 224. The second: p[0] = -2^24 + 31, and 224 more: -2^24 + 255. Together 479 of 512.
  %d = call @mean(%c512, %c256) : (index, index) -> f32
  // CHECK: [0.875, 0.8125, 0.8125, 0.935547]
  %t = tensor.from_elements %a, %b, %c, %d : tensor<4xf32>
  %u = tensor.cast %t : tensor<4xf32> to tensor<*xf32>
  call @printMemrefF32(%u) : (tensor<*xf32>) -> ()

  // Blocks of 2, the last one shorter; centring subtracts each block's mean.
  %x = arith.constant dense<[[[[1.0, 2.0], [3.0, 6.0], [10.0, -1.0]]]]> : tensor<1x1x3x2xf16>
  %m = sage.mean %x {block = 2} : tensor<1x1x3x2xf16> -> tensor<1x1x2x2xf32>
  %y = sage.center %x, %m {block = 2} : tensor<1x1x3x2xf16>, tensor<1x1x2x2xf32> -> tensor<1x1x3x2xf32>
  // CHECK: [2, {{ *}}4]
  // CHECK-NEXT: [10, {{ *}}-1]
  %mu = tensor.cast %m : tensor<1x1x2x2xf32> to tensor<*xf32>
  call @printMemrefF32(%mu) : (tensor<*xf32>) -> ()
  // CHECK: [-1, {{ *}}-2]
  // CHECK-NEXT: [1, {{ *}}2]
  // CHECK-NEXT: [0, {{ *}}0]
  %yu = tensor.cast %y : tensor<1x1x3x2xf32> to tensor<*xf32>
  call @printMemrefF32(%yu) : (tensor<*xf32>) -> ()
  return
}
