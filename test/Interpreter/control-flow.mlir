// RUN: sage-interpret %s --shape=3,2 --print-buffer=out:f32 | FileCheck %s
// RUN: sage-interpret %s --shape=3,2 --print-buffer=out:f32 --schedule-seed=5 --block-threads=1 | FileCheck %s
// REQUIRES: sage-interpret

// Loops and branches over the blocks of a grid; expressions of the program see the shape's symbols.
// Block b writes 10 b + 3 + (2 if b is even).

#one = #sage_tile.layout<lane = [32:(0, 0)], reg = []>

sage_tile.program @p {} {
  sage_tile.workspace "out" bytes affine_map<()[b, hq] -> (b * hq * 4)>
  sage_tile.launch @k grid affine_map<()[b, hq] -> (b * hq)> args [
    #sage_tile.pointer<"out">, #sage_tile.integer<i64, ()[b] -> (1)>, #sage_tile.integer<i32, ()[b] -> (b)>,
    #sage_tile.scale<2.0>]
}

// CHECK: out = [5, 13, 25, 33, 45, 53]
sage_tile.kernel @k(%out: memref<?xf32, strided<[?]>>, %n: i32, %scale: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %f0 = arith.constant 0.0 : f32
  %f1 = arith.constant 1.0 : f32
  %f10 = arith.constant 10.0 : f32
  %block = sage_tile.block_id
  %n_index = arith.index_cast %n : i32 to index
  %count = scf.for %i = %c0 to %n_index step %c1 iter_args(%sum = %f0) -> f32 {
    %next = arith.addf %sum, %f1 : f32
    scf.yield %next : f32
  }
  %half = affine.apply affine_map<(d) -> (d mod 2)>(%block)
  %even = arith.cmpi eq, %half, %c0 : index
  %extra = scf.if %even -> f32 {
    scf.yield %scale : f32
  } else {
    scf.yield %f0 : f32
  }
  %left, %tens = scf.while (%i = %block, %t = %f0) : (index, f32) -> (index, f32) {
    %more = arith.cmpi sgt, %i, %c0 : index
    scf.condition(%more) %i, %t : index, f32
  } do {
  ^bb0(%i: index, %t: f32):
    %j = arith.subi %i, %c1 : index
    %u = arith.addf %t, %f10 : f32
    scf.yield %j, %u : index, f32
  }
  %0 = arith.addf %count, %extra : f32
  %1 = arith.addf %0, %tens : f32
  %v = sage_tile.splat %1 : f32 to !sage_tile.fragment<1x1xf32, #one>
  sage_tile.store %v, %out[%block] : !sage_tile.fragment<1x1xf32, #one> to memref<?xf32, strided<[?]>>
  sage_tile.return
}
