// RUN: sage-interpret %s --print-buffer=sums:f32 > %t.sequential
// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation,sage-tile-issue-mma-async,sage-tile-specialize-warps,sage-tile-pipeline-copies{stages=2},sage-tile-peel-masks)))' > %t.mlir
// RUN: sage-interpret %t.mlir --print-buffer=sums:f32 > %t.scheduled
// RUN: sage-interpret %t.mlir --print-buffer=sums:f32 --schedule-seed=7 > %t.interleaved
// RUN: diff %t.sequential %t.scheduled
// RUN: diff %t.sequential %t.interleaved
// RUN: FileCheck %s --input-file=%t.mlir
// RUN: FileCheck %s --input-file=%t.sequential --check-prefix=NUMBERS
// REQUIRES: sage-interpret

// Kernels whose tiles are split in panels, as head dims above 128 bytes need them: the panels of a tile and its small
// vectors arrive on one barrier.

// CHECK-LABEL: sage_tile.kernel @attend
// CHECK:       sage_tile.specialize producer
// CHECK:       sage_tile.barrier_expect %{{.*}} bytes(8192)
// CHECK-COUNT-2: sage_tile.copy_async
// CHECK:       scf.for
// CHECK:       sage_tile.barrier_expect %{{.*}} bytes(4368)
// CHECK-COUNT-4: sage_tile.copy_async
// CHECK:       sage_tile.barrier_expect %{{.*}} bytes(1024)
// CHECK-COUNT-2: sage_tile.copy_async
// CHECK:       consumer
// CHECK:       scf.for
// CHECK:       sage_tile.mma_async
// CHECK-NEXT:  sage_tile.mma_async {{.*}} to !sage_tile.async<
// CHECK:       sage_tile.wait
// NUMBERS: sums = [-426.5, 167, 259.5, -426.5, 167, 259.5, -426.5, 167, 259.5, -426.5, 167, 259.5, -426.5, 167, 259.5, -426.5,
// NUMBERS-SAME: 142, 142, 142, 142, 142, 142, 142, 142, 169.5, -414, 244.5,

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 8:(0, 8)]>
#acc24 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 3:(0, 8)]>
#a64 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 2:(0, 32)]>
#a32 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#row = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#quad = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 1), 8:(0, 0)], reg = []>
#column = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 2), 8:(0, 0)], reg = [2:(0, 1), 8:(0, 8)]>
#data = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 8:(0, 8), 16:(8, 0)]>
#vector = #sage_tile.layout<lane = [32:(0, 1)], reg = [4:(0, 32)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!data = !sage_tile.fragment<128x64xf32, #data>
!query = !sage_tile.shared<64x32xi8, swizzle = 32>
!operand8 = !sage_tile.fragment<64x32xi8, #a32>
!key = !sage_tile.shared<64x32xi8, swizzle = 32>
!value = !sage_tile.shared<24x32xf8E4M3FN, swizzle = 32>
!channels = !sage_tile.shared<16x32xf8E4M3FN, swizzle = 32>
!ones = !sage_tile.shared<8x32xf8E4M3FN, swizzle = 32>
!integers = !sage_tile.fragment<64x64xi32, #acc>
!scores = !sage_tile.fragment<64x64xf32, #acc>
!packed = !sage_tile.fragment<64x32xf8E4M3FN, #a32>
!output = !sage_tile.fragment<64x24xf32, #acc24>
!row = !sage_tile.fragment<64x1xf32, #row>

sage_tile.program @p {} {
  sage_tile.workspace "k" bytes affine_map<() -> (8192)>
  sage_tile.workspace "q" bytes affine_map<() -> (8192)>
  sage_tile.workspace "v" bytes affine_map<() -> (2048)>
  sage_tile.workspace "scales" bytes affine_map<() -> (32)>
  sage_tile.workspace "corrections" bytes affine_map<() -> (512)>
  sage_tile.workspace "sums" bytes affine_map<() -> (12288)>
  sage_tile.launch @kernels::@fill grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"k">, #sage_tile.pointer<"q">, #sage_tile.pointer<"v">, #sage_tile.pointer<"scales">,
    #sage_tile.pointer<"corrections">]
  sage_tile.launch @kernels::@attend grid affine_map<() -> (1)> args [
    #sage_tile.tensor_map<"q", i8, extents = () -> (64, 128), strides = () -> (64), box = [32, 128], swizzle = 32>,
    #sage_tile.tensor_map<"k", i8, extents = () -> (64, 128), strides = () -> (64), box = [32, 64], swizzle = 32>,
    #sage_tile.tensor_map<"v", f8E4M3FN, extents = () -> (128, 16), strides = () -> (128), box = [32, 16], swizzle = 32>,
    #sage_tile.pointer<"scales">, #sage_tile.pointer<"corrections">, #sage_tile.pointer<"sums">,
    #sage_tile.integer<i32, () -> (2)>]
}

gpu.module @kernels {
// k[n, d] = (n + d) mod 3 - 1, q[n, d] = (n + 2 d) mod 3 - 1, v[c, t] = (c + t) mod 3 - 1; corrections are n mod 4,
// scales 0.5 or 1: all sums are exact.
sage_tile.kernel @fill(%k: memref<128x64xi8>, %q: memref<128x64xi8>, %v: memref<16x128xf8E4M3FN>, %scales: memref<8xf32>,
                       %corrections: memref<128xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %three = arith.constant 3 : i32
  %one = arith.constant 1 : i32
  %half = arith.constant 0.5 : f32
  %kf = sage_tile.map positions to !data {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.addi %r, %c : i32
    %1 = arith.remui %0, %three : i32
    %2 = arith.subi %1, %one : i32
    %3 = arith.sitofp %2 : i32 to f32
    sage_tile.yield %3 : f32
  }
  %k8 = sage_tile.convert %kf : !data to !sage_tile.fragment<128x64xi8, #data>
  sage_tile.store %k8, %k[%c0, %c0] : !sage_tile.fragment<128x64xi8, #data> to memref<128x64xi8>
  %qf = sage_tile.map positions to !data {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.addi %r, %c : i32
    %1 = arith.addi %0, %c : i32
    %2 = arith.remui %1, %three : i32
    %3 = arith.subi %2, %one : i32
    %4 = arith.sitofp %3 : i32 to f32
    sage_tile.yield %4 : f32
  }
  %q8 = sage_tile.convert %qf : !data to !sage_tile.fragment<128x64xi8, #data>
  sage_tile.store %q8, %q[%c0, %c0] : !sage_tile.fragment<128x64xi8, #data> to memref<128x64xi8>
  %vf = sage_tile.convert %kf : !data to !sage_tile.fragment<128x64xf8E4M3FN, #data>
  sage_tile.store %vf, %v[%c0, %c0] columns(16) map affine_map<(r, c) -> (c, r)>
    : !sage_tile.fragment<128x64xf8E4M3FN, #data> to memref<16x128xf8E4M3FN>
  %n = sage_tile.map positions to !sage_tile.fragment<1x128xf32, #vector> {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.andi %c, %three : i32
    %1 = arith.sitofp %0 : i32 to f32
    sage_tile.yield %1 : f32
  }
  sage_tile.store %n, %corrections[%c0] : !sage_tile.fragment<1x128xf32, #vector> to memref<128xf32>
  %s = sage_tile.map positions to !sage_tile.fragment<1x128xf32, #vector> {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.andi %c, %one : i32
    %1 = arith.addi %0, %one : i32
    %2 = arith.sitofp %1 : i32 to f32
    %3 = arith.mulf %2, %half : f32
    sage_tile.yield %3 : f32
  }
  sage_tile.store %s, %scales[%c0] columns(8) : !sage_tile.fragment<1x128xf32, #vector> to memref<8xf32>
  sage_tile.return
}

// Two panels of Q and K (head dim), two of V (tokens), four key scales and a correction for each key.
sage_tile.kernel @attend(%q: !sage_tile.tensor_map<128x32xi8, swizzle = 32>, %k: !sage_tile.tensor_map<64x32xi8, swizzle = 32>,
                         %v: !sage_tile.tensor_map<16x32xf8E4M3FN, swizzle = 32>, %scales: memref<8xf32>, %corrections: memref<1x128xf32>,
                         %out: memref<128x24xf32>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c64u = arith.constant 64 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0 : i32
  %zerof = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %visible = arith.constant 40 : i32
  %q0s = sage_tile.alloc : !sage_tile.shared<128x32xi8, swizzle = 32>
  %q1s = sage_tile.alloc : !sage_tile.shared<128x32xi8, swizzle = 32>
  %k0 = sage_tile.alloc : !key
  %k1 = sage_tile.alloc : !key
  %ks = sage_tile.alloc : !sage_tile.shared<4xf32>
  %cs = sage_tile.alloc : !sage_tile.shared<64xf32>
  %v0 = sage_tile.alloc : !value
  %v1 = sage_tile.alloc : !value
  %ones0 = sage_tile.subtile %v0[%c16] : !value to !ones
  %ones1 = sage_tile.subtile %v1[%c16] : !value to !ones
  sage_tile.fill %ones0 with 1.0 : f8E4M3FN : !ones
  sage_tile.fill %ones1 with 1.0 : f8E4M3FN : !ones
  %tiles = arith.index_cast %n : i32 to index
  sage_tile.copy %q[%c0, %c0] to %q0s : !sage_tile.tensor_map<128x32xi8, swizzle = 32> to !sage_tile.shared<128x32xi8, swizzle = 32>
  sage_tile.copy %q[%c0, %c32] to %q1s : !sage_tile.tensor_map<128x32xi8, swizzle = 32> to !sage_tile.shared<128x32xi8, swizzle = 32>
  %unit = sage_tile.unit_id
  %row = arith.muli %unit, %c64u : index
  %q0u = sage_tile.subtile %q0s[%row] : !sage_tile.shared<128x32xi8, swizzle = 32> to !query
  %q1u = sage_tile.subtile %q1s[%row] : !sage_tile.shared<128x32xi8, swizzle = 32> to !query
  %start = sage_tile.splat %zerof : f32 to !output
  %alpha = sage_tile.splat %half : f32 to !row
  %result = scf.for %i = %c0 to %tiles step %c1 iter_args(%o = %start) -> (!output) {
    %last = arith.subi %tiles, %c1 : index
    %tile = arith.subi %last, %i : index
    %first = arith.muli %tile, %c64 : index
    %middle = arith.addi %first, %c32 : index
    sage_tile.copy %k[%first, %c0] to %k0 : !sage_tile.tensor_map<64x32xi8, swizzle = 32> to !key
    sage_tile.copy %k[%first, %c32] to %k1 : !sage_tile.tensor_map<64x32xi8, swizzle = 32> to !key
    %group = arith.muli %tile, %c4 : index
    sage_tile.copy %scales[%group] to %ks : memref<8xf32> to !sage_tile.shared<4xf32>
    sage_tile.copy %corrections[%c0, %first] to %cs : memref<1x128xf32> to !sage_tile.shared<64xf32>
    %fresh = sage_tile.splat %zero : i32 to !integers
    %s0 = sage_tile.mma %q0u, %k0, %fresh : !query, !key to !integers
    %s1 = sage_tile.mma %q1u, %k1, %s0 : !query, !key to !integers
    %correction = sage_tile.load %cs[%c0] : !sage_tile.shared<64xf32> to !sage_tile.fragment<1x64xf32, #column>
    %x = sage_tile.map ins(%s1, %correction : !integers, !sage_tile.fragment<1x64xf32, #column>) to !scores {
    ^bb0(%e: i32, %c: f32):
      %0 = arith.sitofp %e : i32 to f32
      %1 = arith.addf %0, %c : f32
      sage_tile.yield %1 : f32
    }
    %is = arith.cmpi ult, %i, %c1 : index
    %y = scf.if %is -> (!scores) {
      %m = sage_tile.map positions ins(%x : !scores) to !scores {
      ^bb0(%r: i32, %c: i32, %e: f32):
        %0 = arith.cmpi slt, %c, %visible : i32
        %1 = arith.select %0, %e, %zerof : f32
        sage_tile.yield %1 : f32
      }
      scf.yield %m : !scores
    } else {
      scf.yield %x : !scores
    }
    %scale = sage_tile.load %ks[%c0] : !sage_tile.shared<4xf32> to !sage_tile.fragment<1x4xf32, #quad>
    %p = sage_tile.map ins(%y, %scale : !scores, !sage_tile.fragment<1x4xf32, #quad>)
        maps [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (0, (c mod 8) floordiv 2)>] to !scores {
    ^bb0(%e: f32, %f: f32):
      %0 = arith.mulf %e, %f : f32
      sage_tile.yield %0 : f32
    }
    %packed = sage_tile.convert %p order #order : !scores to !sage_tile.fragment<64x64xf8E4M3FN, #a64>
    %p0 = sage_tile.slice %packed[0] : !sage_tile.fragment<64x64xf8E4M3FN, #a64> to !packed
    %p1 = sage_tile.slice %packed[32] : !sage_tile.fragment<64x64xf8E4M3FN, #a64> to !packed
    %t0 = sage_tile.subtile %v0[%c0] : !value to !channels
    %t1 = sage_tile.subtile %v1[%c0] : !value to !channels
    sage_tile.copy %v[%c0, %first] to %t0 : !sage_tile.tensor_map<16x32xf8E4M3FN, swizzle = 32> to !channels
    sage_tile.copy %v[%c0, %middle] to %t1 : !sage_tile.tensor_map<16x32xf8E4M3FN, swizzle = 32> to !channels
    %rescaled = sage_tile.map ins(%o, %alpha : !output, !row) to !output {
    ^bb0(%e: f32, %f: f32):
      %0 = arith.mulf %e, %f : f32
      sage_tile.yield %0 : f32
    }
    %o0 = sage_tile.mma %p0, %v0, %rescaled : !packed, !value to !output
    %o1 = sage_tile.mma %p1, %v1, %o0 : !packed, !value to !output
    scf.yield %o1 : !output
  }
  sage_tile.store %result, %out[%row, %c0] : !output to memref<128x24xf32>
  sage_tile.return
}
}
