// Every code of both 8-bit floats is decoded and encoded again, and ties round to even. Expected numbers follow from
// the OCP formats, not from this code.
// RUN: %run_on_cpu | FileCheck %s
// REQUIRES: mlir-runner

#id = affine_map<(n) -> (n)>

func.func private @printMemrefI32(tensor<*xi32>)
func.func private @printMemrefF32(tensor<*xf32>)

// The number of codes that change when they are decoded and encoded again.
func.func @count_e4m3_changes() -> i32 {
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  %count = scf.for %i = %c0 to %c256 step %c1 iter_args(%sum = %zero) -> (i32) {
    %code = arith.index_cast %i : index to i8
    %f8 = arith.bitcast %code : i8 to f8E4M3FN
    %f32 = arith.extf %f8 : f8E4M3FN to f32
    %back = arith.truncf %f32 : f32 to f8E4M3FN
    %bits = arith.bitcast %back : f8E4M3FN to i8
    %differs = arith.cmpi ne, %bits, %code : i8
    %one = arith.extui %differs : i1 to i32
    %next = arith.addi %sum, %one : i32
    scf.yield %next : i32
  }
  return %count : i32
}

// E5M2 has three NaNs of each sign; they become the one with code 0x7F, so that four codes change.
func.func @count_e5m2_changes() -> i32 {
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  %count = scf.for %i = %c0 to %c256 step %c1 iter_args(%sum = %zero) -> (i32) {
    %code = arith.index_cast %i : index to i8
    %f8 = arith.bitcast %code : i8 to f8E5M2
    %f32 = arith.extf %f8 : f8E5M2 to f32
    %back = arith.truncf %f32 : f32 to f8E5M2
    %bits = arith.bitcast %back : f8E5M2 to i8
    %differs = arith.cmpi ne, %bits, %code : i8
    %one = arith.extui %differs : i1 to i32
    %next = arith.addi %sum, %one : i32
    scf.yield %next : i32
  }
  return %count : i32
}

// How many finite neighbours c, c + 1 have a midpoint that does not go to the even one of them, or whose neighbours in
// float32 do not go to the nearer one.
func.func @count_e4m3_misrounded() -> i32 {
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c126 = arith.constant 126 : index
  %half = arith.constant 0.5 : f32
  %one8 = arith.constant 1 : i8
  %one32 = arith.constant 1 : i32
  %count = scf.for %i = %c0 to %c126 step %c1 iter_args(%sum = %zero) -> (i32) {
    %code = arith.index_cast %i : index to i8
    %above = arith.addi %code, %one8 : i8
    %f8 = arith.bitcast %code : i8 to f8E4M3FN
    %f8above = arith.bitcast %above : i8 to f8E4M3FN
    %low = arith.extf %f8 : f8E4M3FN to f32
    %high = arith.extf %f8above : f8E4M3FN to f32
    %twice = arith.addf %low, %high : f32
    %middle = arith.mulf %twice, %half : f32
    %middleBits = arith.bitcast %middle : f32 to i32
    %belowBits = arith.subi %middleBits, %one32 : i32
    %aboveBits = arith.addi %middleBits, %one32 : i32
    %below32 = arith.bitcast %belowBits : i32 to f32
    %above32 = arith.bitcast %aboveBits : i32 to f32
    %r0 = arith.truncf %below32 : f32 to f8E4M3FN
    %r1 = arith.truncf %middle : f32 to f8E4M3FN
    %r2 = arith.truncf %above32 : f32 to f8E4M3FN
    %b0 = arith.bitcast %r0 : f8E4M3FN to i8
    %b1 = arith.bitcast %r1 : f8E4M3FN to i8
    %b2 = arith.bitcast %r2 : f8E4M3FN to i8
    %lowBit = arith.andi %code, %one8 : i8
    %even = arith.addi %code, %lowBit : i8
    %w0 = arith.cmpi ne, %b0, %code : i8
    %w1 = arith.cmpi ne, %b1, %even : i8
    %w2 = arith.cmpi ne, %b2, %above : i8
    %w01 = arith.ori %w0, %w1 : i1
    %w = arith.ori %w01, %w2 : i1
    %wrong = arith.extui %w : i1 to i32
    %next = arith.addi %sum, %wrong : i32
    scf.yield %next : i32
  }
  return %count : i32
}

func.func @main() {
  // CHECK: [0, 4, 0]
  %a = call @count_e4m3_changes() : () -> i32
  %b = call @count_e5m2_changes() : () -> i32
  %c = call @count_e4m3_misrounded() : () -> i32
  %counts = tensor.from_elements %a, %b, %c : tensor<3xi32>
  %unranked = tensor.cast %counts : tensor<3xi32> to tensor<*xi32>
  call @printMemrefI32(%unranked) : (tensor<*xi32>) -> ()

  // 0, the least subnormal 2^-9, the least normal 2^-6, 1, 1.125, 448, NaN, -1.
  // CHECK: [0, 0.00195312, 0.015625, 1, 1.125, 448, nan, -1]
  %codes = arith.constant dense<[0, 1, 8, 56, 57, 126, 127, -72]> : tensor<8xi8>
  %init = tensor.empty() : tensor<8xf32>
  %values = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%codes : tensor<8xi8>) outs(%init : tensor<8xf32>) {
  ^bb0(%code: i8, %old: f32):
    %f8 = arith.bitcast %code : i8 to f8E4M3FN
    %f32 = arith.extf %f8 : f8E4M3FN to f32
    linalg.yield %f32 : f32
  } -> tensor<8xf32>
  %valuesU = tensor.cast %values : tensor<8xf32> to tensor<*xf32>
  call @printMemrefF32(%valuesU) : (tensor<*xf32>) -> ()

  // 464 is the tie between 448 and what would be 480, 465 is past it: without saturation, NaN. 2^-10 is the tie between
  // 0 and the least subnormal. 1e30 overflows; -0 keeps its sign.
  // CHECK: [126, 127, 0, 1, 127, 128]
  %inputs = arith.constant dense<[464.0, 465.0, 0.0009765625, 0.00097656256, 1.0e30, -0.0]> : tensor<6xf32>
  %init32 = tensor.empty() : tensor<6xi32>
  %bits = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%inputs : tensor<6xf32>) outs(%init32 : tensor<6xi32>) {
  ^bb0(%x: f32, %old: i32):
    %f8 = arith.truncf %x : f32 to f8E4M3FN
    %code = arith.bitcast %f8 : f8E4M3FN to i8
    %wide = arith.extui %code : i8 to i32
    linalg.yield %wide : i32
  } -> tensor<6xi32>
  %bitsU = tensor.cast %bits : tensor<6xi32> to tensor<*xi32>
  call @printMemrefI32(%bitsU) : (tensor<*xi32>) -> ()
  return
}
