// RUN: sage-interpret %s --shape=2,3 --print-buffer=rows:f32 --print-buffer=columns:f32 --print-buffer=static:f32 \
// RUN:   --print-buffer=scalars:i32 --print-buffer=nibbles:i8 --print-buffer=int4:i32 --print-buffer=e5m2:f32 | FileCheck %s
// REQUIRES: sage-interpret

// Limits of loads and stores, scalars of device memory, nibbles, 4-bit and e5m2 products, repetitions.

#wide = #sage_tile.layout<lane = [2:(0, 1), 2:(0, 2), 2:(0, 4), 2:(1, 0), 2:(2, 0)], reg = []>
#row32 = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#row16 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#acc8 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#acc32 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
#flat = #sage_tile.layout<lane = [8:(0, 1), 4:(1, 0)], reg = []>
!wide = !sage_tile.fragment<4x8xf32, #wide>

sage_tile.program @p {} {
  sage_tile.workspace "source" bytes affine_map<() -> (128)>
  sage_tile.workspace "rows" bytes affine_map<() -> (128)>
  sage_tile.workspace "columns" bytes affine_map<() -> (128)>
  sage_tile.workspace "static" bytes affine_map<() -> (128)>
  sage_tile.workspace "numbers" bytes affine_map<() -> (32)>
  sage_tile.workspace "scalars" bytes affine_map<() -> (24)>
  sage_tile.workspace "nibbles" bytes affine_map<() -> (256)>
  sage_tile.workspace "int4" bytes affine_map<() -> (512)>
  sage_tile.workspace "e5m2" bytes affine_map<() -> (512)>
  sage_tile.launch @fill grid affine_map<() -> (1)> args [#sage_tile.pointer<"source">, #sage_tile.pointer<"numbers">]
  sage_tile.launch @limits grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"source">, #sage_tile.pointer<"rows">, #sage_tile.pointer<"columns">, #sage_tile.pointer<"static">]
  sage_tile.launch @products grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"nibbles">, #sage_tile.pointer<"int4">, #sage_tile.pointer<"e5m2">]
  // B * Hq = 6 turns, each of one block that writes element `step`.
  sage_tile.repeat affine_map<()[b, hq] -> (b * hq)> {
    sage_tile.launch @step grid affine_map<() -> (1)> args [
      #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step] -> (step)>,
      #sage_tile.pointer<"numbers">, #sage_tile.pointer<"scalars">]
  }
}

// source[r, c] = 8 r + c + 1; numbers[i] = 10 i.
sage_tile.kernel @fill(%source: memref<4x8xf32>, %numbers: memref<1x8xi32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %x = sage_tile.map positions to !wide {
  ^bb0(%r: i32, %c: i32):
    %eight = arith.constant 8 : i32
    %one = arith.constant 1 : i32
    %0 = arith.muli %r, %eight : i32
    %1 = arith.addi %0, %c : i32
    %2 = arith.addi %1, %one : i32
    %3 = arith.sitofp %2 : i32 to f32
    sage_tile.yield %3 : f32
  }
  sage_tile.store %x, %source[%c0, %c0] : !wide to memref<4x8xf32>
  %c1 = arith.constant 1 : index
  %n = sage_tile.map positions to !sage_tile.fragment<4x8xi32, #flat> {
  ^bb0(%r: i32, %c: i32):
    %ten = arith.constant 10 : i32
    %0 = arith.muli %c, %ten : i32
    sage_tile.yield %0 : i32
  }
  sage_tile.store %n, %numbers[%c0, %c0] limit(%c1) : !sage_tile.fragment<4x8xi32, #flat> to memref<1x8xi32>
  sage_tile.return
}

sage_tile.kernel @limits(%source: memref<4x8xf32>, %rows: memref<4x8xf32>, %columns: memref<4x8xf32>, %static: memref<4x8xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c5 = arith.constant 5 : index
  %true = arith.constant true
  // Two rows and five columns are read; the rest is zero.
  %a = sage_tile.load %source[%c0, %c0] limit(%c2) column_limit(%c5) aligned(%true) : memref<4x8xf32> to !wide
  // CHECK: rows = [1, 2, 3, 4, 5, 0, 0, 0, 9, 10, 11, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  sage_tile.store %a, %rows[%c0, %c0] : !wide to memref<4x8xf32>
  // The limit counts from the memref's start: columns 3 and 4 are below 5.
  %b = sage_tile.load %source[%c0, %c3] column_limit(%c5) : memref<4x8xf32> to !wide
  // CHECK: columns = [4, 5, 0, 0, 0, 0, 0, {{-?}}nan, 12, 13, 0, 0, 0, 0, 0, {{-?}}nan, 20,
  sage_tile.store %b, %columns[%c0, %c0] columns(7) : !wide to memref<4x8xf32>
  // Columns of the fragment, wherever they lie in memory: columns 2 and 3 are loaded as 0 and 1.
  %s = sage_tile.load %source[%c0, %c2] columns(2) : memref<4x8xf32> to !wide
  // CHECK: static = [3, 4, 0, 0, 0, {{-?}}nan, {{-?}}nan, {{-?}}nan, 11, 12, 0, 0, 0, {{-?}}nan,
  sage_tile.store %s, %static[%c0, %c0] column_limit(%c5) : !wide to memref<4x8xf32>
  sage_tile.return
}

// CHECK: scalars = [0, 10, 20, 30, 40, 50]
sage_tile.kernel @step(%step: i32, %numbers: memref<8xi32>, %scalars: memref<6xi32>)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %i = arith.index_cast %step : i32 to index
  %x = sage_tile.read %numbers[%i] : memref<8xi32> to i32
  %f = sage_tile.splat %x : i32 to !sage_tile.fragment<1x1xi32, #sage_tile.layout<lane = [32:(0, 0)], reg = []>>
  sage_tile.store %f, %scalars[%i] : !sage_tile.fragment<1x1xi32, #sage_tile.layout<lane = [32:(0, 0)], reg = []>> to memref<6xi32>
  sage_tile.return
}

sage_tile.kernel @products(%nibbles: memref<16x16xi8>, %int4: memref<16x8xi32>, %e5m2: memref<16x8xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %zerof = arith.constant 0.0 : f32
  // x[r, c] = c mod 8 - 3 - (r mod 2).
  %x = sage_tile.map positions to !sage_tile.fragment<16x32xf32, #acc32> {
  ^bb0(%r: i32, %c: i32):
    %seven = arith.constant 7 : i32
    %three = arith.constant 3 : i32
    %one = arith.constant 1 : i32
    %0 = arith.andi %c, %seven : i32
    %1 = arith.subi %0, %three : i32
    %2 = arith.andi %r, %one : i32
    %3 = arith.subi %1, %2 : i32
    %4 = arith.sitofp %3 : i32 to f32
    sage_tile.yield %4 : f32
  }
  %narrow = sage_tile.convert %x : !sage_tile.fragment<16x32xf32, #acc32> to !sage_tile.fragment<16x32xi8, #acc32>
  %packed = sage_tile.pack_nibbles %narrow : !sage_tile.fragment<16x32xi8, #acc32> to !sage_tile.fragment<16x16xi8, #sage_tile.layout<lane = [4:(0, 1), 8:(1, 0)], reg = [2:(8, 0), 4:(0, 4)]>>
  // Row 0: (-3, -2) is 0xED = -19, (-1, 0) is 0x0F, (1, 2) is 0x21 = 33, (3, 4) is 0x43 = 67. Row 1: (-4, -3) is 0xDC = -36.
  // CHECK: nibbles = [-19, 15, 33, 67, -19, 15, 33, 67, -19, 15, 33, 67, -19, 15, 33, 67, -36, -2,
  sage_tile.store %packed, %nibbles[%c0, %c0] : !sage_tile.fragment<16x16xi8, #sage_tile.layout<lane = [4:(0, 1), 8:(1, 0)], reg = [2:(8, 0), 4:(0, 4)]>> to memref<16x16xi8>

  // A row of 64 values, 0x2F = (-1, 2) in every byte, times 0xE3 = (3, -2): 32 · (-3 - 4) = -224.
  %a = arith.constant 47 : i8
  %ones = sage_tile.splat %a : i8 to !sage_tile.fragment<16x32xi8, #row32>
  %k = sage_tile.alloc : !sage_tile.shared<8x32xi8>
  sage_tile.fill %k with -29 : i8 : !sage_tile.shared<8x32xi8>
  %fresh = sage_tile.splat %zero : i32 to !sage_tile.fragment<16x8xi32, #acc8>
  %s = sage_tile.mma %ones, %k, %fresh int4 : !sage_tile.fragment<16x32xi8, #row32>, !sage_tile.shared<8x32xi8> to !sage_tile.fragment<16x8xi32, #acc8>
  // CHECK: int4 = [-224, -224,
  sage_tile.store %s, %int4[%c0, %c0] : !sage_tile.fragment<16x8xi32, #acc8> to memref<16x8xi32>

  // Row 0 of p holds 4 times -3 .. 4, in sum 16, times 1.25 in e5m2; row 1 holds -4 .. 3, in sum -16.
  %p = sage_tile.convert %x order #order : !sage_tile.fragment<16x32xf32, #acc32> to !sage_tile.fragment<16x32xf8E5M2, #row32>
  %v = sage_tile.alloc : !sage_tile.shared<8x32xf8E5M2>
  sage_tile.fill %v with 1.25 : f8E5M2 : !sage_tile.shared<8x32xf8E5M2>
  %start = sage_tile.splat %zerof : f32 to !sage_tile.fragment<16x8xf32, #acc8>
  %o = sage_tile.mma %p, %v, %start : !sage_tile.fragment<16x32xf8E5M2, #row32>, !sage_tile.shared<8x32xf8E5M2> to !sage_tile.fragment<16x8xf32, #acc8>
  // CHECK: e5m2 = [20, 20, 20, 20, 20, 20, 20, 20, -20,
  sage_tile.store %o, %e5m2[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc8> to memref<16x8xf32>
  sage_tile.return
}
