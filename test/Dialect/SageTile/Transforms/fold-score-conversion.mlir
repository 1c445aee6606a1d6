// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-fold-score-conversion)))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-fold-score-conversion{conversion=convert})))" | FileCheck %s --check-prefix=CONVERT
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-fold-score-conversion{conversion=cast})))" 2>&1 | FileCheck %s --check-prefix=ERROR

// ERROR: error: conversion must be magic or convert, but got cast

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#acc4 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#grouped = #sage_tile.layout<lane = [4:(0, 1), 8:(1, 0)], reg = [2:(8, 0)]>
#identity = affine_map<(r, c) -> (r, c)>
#toRow = affine_map<(r, c) -> (r, 0)>
#toGroup = affine_map<(r, c) -> (r, c floordiv 2)>
!query = !sage_tile.shared<16x32xi8, swizzle = 32>
!key = !sage_tile.shared<8x32xi8, swizzle = 32>
!integers = !sage_tile.fragment<16x8xi32, #acc>
!scores = !sage_tile.fragment<16x8xf32, #acc>
!row = !sage_tile.fragment<16x1xf32, #row>
!grouped = !sage_tile.fragment<16x4xf32, #grouped>

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @masked
// CONVERT-LABEL: sage_tile.kernel @masked
sage_tile.kernel @masked(%p: memref<?x8xf32>, %maxima: memref<?x4xf32>, %factors: memref<?x4xf32>, %offsets: memref<?xf32>, %end: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %minus_infinity = arith.constant 0xFF800000 : f32
  %q = sage_tile.alloc : !query
  %k = sage_tile.alloc : !key
  %a = sage_tile.load %factors[%c0, %c0] : memref<?x4xf32> to !grouped
  %b = sage_tile.load %offsets[%c0] : memref<?xf32> to !row
  // CHECK: %[[MAGIC:.+]] = arith.constant 1262485504 : i32
  // CHECK: %[[START:.+]] = sage_tile.splat %[[MAGIC]] : i32
  // CHECK: %[[S:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[START]]
  // CHECK-NOT: arith.sitofp
  // CONVERT: %[[S:.+]] = sage_tile.mma
  // CONVERT: %[[X:.+]] = sage_tile.map ins(%[[S]]
  %fresh = sage_tile.splat %zero : i32 to !integers
  %s = sage_tile.mma %q, %k, %fresh : !query, !key to !integers
  %x = sage_tile.map ins(%s : !integers) to !scores {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  // Masked scores are the bits of -infinity, or the smallest integer.
  // CHECK: %[[XM:.+]] = scf.if {{.*}} -> (!sage_tile.fragment<16x8xi32, #{{.+}}>) {
  // CHECK: sage_tile.map positions ins(%[[S]] : {{.*}}) to <16x8xi32
  // CHECK: %[[LOWEST:.+]] = arith.constant -8388608 : i32
  // CHECK: arith.select %{{.+}}, %{{.+}}, %[[LOWEST]] : i32
  // CHECK: scf.yield %[[S]]
  // CONVERT: %[[XM:.+]]:2 = scf.if {{.*}} -> (!sage_tile.fragment<16x8xf32, #{{.+}}>, !sage_tile.fragment<16x8xi32, #{{.+}}>) {
  // CONVERT: %[[LOWEST:.+]] = arith.constant -2147483648 : i32
  // CONVERT: arith.select %{{.+}}, %{{.+}}, %[[LOWEST]] : i32
  // CONVERT: scf.yield %[[X]], %[[S]]
  %is_masked = arith.cmpi slt, %end, %zero : i32
  %xm = scf.if %is_masked -> (!scores) {
    %t = sage_tile.map positions ins(%x : !scores) to !scores {
    ^bb0(%r: i32, %c: i32, %e: f32):
      %0 = arith.cmpi slt, %c, %end : i32
      %1 = arith.select %0, %e, %minus_infinity : f32
      sage_tile.yield %1 : f32
    }
    scf.yield %t : !scores
  } else {
    scf.yield %x : !scores
  }
  // CHECK: %[[MAX:.+]] = sage_tile.reduce <maxsi> %[[XM]] map #{{.+}} : <16x8xi32
  // CHECK: sage_tile.map ins(%[[MAX]]
  // CHECK-DAG: %[[C:.+]] = arith.constant 0x4B400000 : f32
  // CHECK-DAG: %[[BITS:.+]] = arith.bitcast
  // CHECK: arith.subf %[[BITS]], %[[C]]
  // CONVERT: sage_tile.reduce <maxsi> %[[XM]]#1 map #{{.+}} : <16x8xi32
  // CONVERT: %[[F:.+]] = arith.sitofp
  // CONVERT: arith.select %{{.+}}, %{{.+}}, %[[F]] : f32
  %m = sage_tile.reduce <maximumf> %xm map #toGroup : !scores to !grouped
  sage_tile.store %m, %maxima[%c0, %c0] : !grouped to memref<?x4xf32>

  // The subtraction of the magic number moves to the constant.
  // CHECK: %[[FOLDED:.+]] = sage_tile.map ins(%[[A:.+]], %{{.+}} : {{.*}}) to <16x4xf32
  // CHECK: %[[NEGATIVE:.+]] = arith.constant 0xCB400000 : f32
  // CHECK: math.fma %[[NEGATIVE]]
  // CHECK: sage_tile.map ins(%[[XM]], %[[A]], %[[FOLDED]] : {{.*}}) maps [#[[ID:.+]], #[[GROUP:.+]], #[[GROUP]]] to <16x8xf32
  // CHECK: ^bb0(%[[E:.+]]: i32, %[[EA:.+]]: f32, %[[EB:.+]]: f32):
  // CHECK: %[[F:.+]] = arith.bitcast %[[E]]
  // CHECK: math.fma %[[F]], %[[EA]], %[[EB]]
  // CONVERT: sage_tile.map ins(%[[XM]]#0,
  %y = sage_tile.map ins(%xm, %a, %b : !scores, !grouped, !row) maps [#identity, #toGroup, #toRow] to !scores {
  ^bb0(%e: f32, %ea: f32, %eb: f32):
    %0 = math.fma %e, %ea, %eb : f32
    %1 = math.exp2 %0 : f32
    sage_tile.yield %1 : f32
  }
  sage_tile.store %y, %p[%c0, %c0] : !scores to memref<?x8xf32>
  sage_tile.return
}

// A use that is no multiply-add subtracts.
// CHECK-LABEL: sage_tile.kernel @warpgroup
sage_tile.kernel @warpgroup(%p: memref<?x8xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[START:.+]] = sage_tile.splat %c1262485504_i32 : i32 to !sage_tile.fragment<64x8xi32
  // CHECK: sage_tile.mma %{{.+}}, %{{.+}}, %[[START]]
  // CHECK: arith.subf
  // CHECK: sage_tile.store
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q = sage_tile.alloc : !sage_tile.shared<64x32xi8, swizzle = 32>
  %k = sage_tile.alloc : !key
  %fresh = sage_tile.splat %zero : i32 to !sage_tile.fragment<64x8xi32, #acc4>
  %s = sage_tile.mma %q, %k, %fresh : !sage_tile.shared<64x32xi8, swizzle = 32>, !key to !sage_tile.fragment<64x8xi32, #acc4>
  %x = sage_tile.map ins(%s : !sage_tile.fragment<64x8xi32, #acc4>) to !sage_tile.fragment<64x8xf32, #acc4> {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  sage_tile.store %x, %p[%c0, %c0] : !sage_tile.fragment<64x8xf32, #acc4> to memref<?x8xf32>
  sage_tile.return
}

// 512 · 127² does not fit 22 bits: nothing changes.
// CHECK-LABEL: sage_tile.kernel @too_deep
// CHECK: arith.sitofp
sage_tile.kernel @too_deep(%p: memref<?x8xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q = sage_tile.alloc : !sage_tile.shared<16x512xi8>
  %k = sage_tile.alloc : !sage_tile.shared<8x512xi8>
  %fresh = sage_tile.splat %zero : i32 to !integers
  %s = sage_tile.mma %q, %k, %fresh : !sage_tile.shared<16x512xi8>, !sage_tile.shared<8x512xi8> to !integers
  %x = sage_tile.map ins(%s : !integers) to !scores {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  sage_tile.store %x, %p[%c0, %c0] : !scores to memref<?x8xf32>
  sage_tile.return
}

// The products of a head dim in panels add to one another: the first starts at the magic number.
// CHECK-LABEL: sage_tile.kernel @panels
// CHECK: %[[MAGIC:.+]] = arith.constant 1262485504 : i32
// CHECK: %[[START:.+]] = sage_tile.splat %[[MAGIC]] : i32
// CHECK: %[[S0:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[START]] int4
// CHECK: %[[S1:.+]] = sage_tile.mma %{{.+}}, %{{.+}}, %[[S0]] int4
// CHECK-NOT: arith.sitofp
// CHECK: sage_tile.reduce <maxsi> %[[S1]]
sage_tile.kernel @panels(%maxima: memref<?x1xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q0 = sage_tile.alloc : !query
  %q1 = sage_tile.alloc : !query
  %k0 = sage_tile.alloc : !key
  %k1 = sage_tile.alloc : !key
  %fresh = sage_tile.splat %zero : i32 to !integers
  %s0 = sage_tile.mma %q0, %k0, %fresh int4 : !query, !key to !integers
  %s1 = sage_tile.mma %q1, %k1, %s0 int4 : !query, !key to !integers
  %x = sage_tile.map ins(%s1 : !integers) to !scores {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  %m = sage_tile.reduce <maximumf> %x : !scores to !row
  sage_tile.store %m, %maxima[%c0, %c0] : !row to memref<?x1xf32>
  sage_tile.return
}
}
