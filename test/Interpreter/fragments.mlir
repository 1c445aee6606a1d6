// RUN: sage-interpret %s --print-buffer=sums:f32 --print-buffer=trees:f32 --print-buffer=packed:i8 --print-buffer=product:i32 \
// RUN:   --print-buffer=parts:f32 | FileCheck %s
// REQUIRES: sage-interpret

// One program that uses every operation on fragments once; buffers are printed row by row.

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#acc16 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#acc8 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#a8 = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#column = #sage_tile.layout<lane = [4:(0, 2), 8:(0, 0)], reg = [2:(0, 1), 4:(0, 8)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!acc = !sage_tile.fragment<16x32xf32, #acc>
!row = !sage_tile.fragment<16x1xf32, #row>

sage_tile.program @p {} {
  sage_tile.workspace "sums" bytes affine_map<() -> (64)>
  sage_tile.workspace "trees" bytes affine_map<() -> (128)>
  sage_tile.workspace "packed" bytes affine_map<() -> (512)>
  sage_tile.workspace "product" bytes affine_map<() -> (512)>
  sage_tile.workspace "parts" bytes affine_map<() -> (128)>
  sage_tile.launch @k grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"sums">, #sage_tile.pointer<"trees">, #sage_tile.pointer<"packed">, #sage_tile.pointer<"product">,
    #sage_tile.pointer<"parts">]
  // An empty grid is not launched.
  sage_tile.launch @k grid affine_map<() -> (0)> args [
    #sage_tile.pointer<"sums">, #sage_tile.pointer<"trees">, #sage_tile.pointer<"packed">, #sage_tile.pointer<"product">,
    #sage_tile.pointer<"parts">]
}

sage_tile.kernel @k(%sums: memref<16xf32>, %trees: memref<32xf32>, %packed: memref<16x32xi8>, %product: memref<16x8xi32>,
                    %parts: memref<1x32xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1 : i32
  %offset = arith.constant 2.0 : f32
  // x[r, c] = r - 2 + c / 32, an outer scalar being captured.
  %x = sage_tile.map positions to !acc {
  ^bb0(%r: i32, %c: i32):
    %inverse = arith.constant 0.03125 : f32
    %0 = arith.sitofp %r : i32 to f32
    %1 = arith.sitofp %c : i32 to f32
    %2 = math.fma %1, %inverse, %0 : f32
    %3 = arith.subf %2, %offset : f32
    sage_tile.yield %3 : f32
  }
  %m = sage_tile.reduce <maximumf> %x : !acc to !row
  // Stores stop at the limit: the last four rows keep the workspace's NaN.
  %limit = arith.constant 12 : index
  // CHECK: sums = [-1.03125, -0.03125, 0.96875, 1.96875, 2.96875, 3.96875, 4.96875, 5.96875, 6.96875, 7.96875, 8.96875, 9.96875, {{-?}}nan, {{-?}}nan, {{-?}}nan, {{-?}}nan]
  sage_tile.store %m, %sums[%c0] limit(%limit) : !row to memref<16xf32>

  // Column sums of 16 rows: 88 + c / 2.
  %t = sage_tile.reduce <addf> %x : !acc to !sage_tile.fragment<1x32xf32, #column>
  // CHECK: trees = [88, 88.5, 89, 89.5, 90,
  sage_tile.store %t, %trees[%c0] : !sage_tile.fragment<1x32xf32, #column> to memref<32xf32>

  // Rounded to nearest even in storage order: row 0 holds -2 + c / 32 at c = 0, 1, 8, 9, 2, 3, 10, 11, ...
  %q = sage_tile.map ins(%x : !acc) to !acc {
  ^bb0(%e: f32):
    %thirty_two = arith.constant 32.0 : f32
    %0 = arith.mulf %e, %thirty_two : f32
    sage_tile.yield %0 : f32
  }
  %p = sage_tile.convert %q order #order : !acc to !sage_tile.fragment<16x32xi8, #a8>
  // CHECK: packed = [-64, -63, -56, -55, -62, -61, -54, -53, -60, -59, -52, -51, -58, -57, -50, -49, -48, -47,
  // The last row saturates.
  // CHECK-SAME: 127, 127, 127, 127]
  sage_tile.store %p, %packed[%c0, %c0] : !sage_tile.fragment<16x32xi8, #a8> to memref<16x32xi8>

  // The product with a matrix of ones is a row sum, plus the accumulator: -64 + ... - 33 + 1.
  %ones = sage_tile.alloc : !sage_tile.shared<8x32xi8>
  sage_tile.fill %ones with 1 : i8 : !sage_tile.shared<8x32xi8>
  %z = sage_tile.splat %one : i32 to !sage_tile.fragment<16x8xi32, #acc8>
  %s = sage_tile.mma %p, %ones, %z : !sage_tile.fragment<16x32xi8, #a8>, !sage_tile.shared<8x32xi8> to !sage_tile.fragment<16x8xi32, #acc8>
  // CHECK: product = [-1551, -1551, -1551, -1551, -1551, -1551, -1551, -1551, -527,
  sage_tile.store %s, %product[%c0, %c0] : !sage_tile.fragment<16x8xi32, #acc8> to memref<16x8xi32>

  // The halves change places; row 0 is written.
  %lo = sage_tile.slice %q[0] : !acc to !sage_tile.fragment<16x16xf32, #acc16>
  %hi = sage_tile.slice %q[16] : !acc to !sage_tile.fragment<16x16xf32, #acc16>
  %swapped = sage_tile.concat %hi, %lo : !sage_tile.fragment<16x16xf32, #acc16>, !sage_tile.fragment<16x16xf32, #acc16> to !acc
  %later = sage_tile.order_after %swapped, %x : !acc, !acc
  %c1 = arith.constant 1 : index
  // CHECK: parts = [-48, -47, -46, -45, -44, -43, -42, -41, -40, -39, -38, -37, -36, -35, -34, -33, -64, -63,
  sage_tile.store %later, %parts[%c0, %c0] limit(%c1) : !acc to memref<1x32xf32>
  sage_tile.return
}
