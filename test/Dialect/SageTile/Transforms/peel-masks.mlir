// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-peel-masks)))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-peel-masks{drop-guards=true})))" | FileCheck %s --check-prefix=GUARDS

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
!scores = !sage_tile.fragment<16x8xf32, #acc>

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @masked
// GUARDS-LABEL: sage_tile.kernel @masked
sage_tile.kernel @masked(%in: memref<?x8xf32>, %out: memref<?x8xf32>, %n: i32, %m: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %minus_infinity = arith.constant 0xFF800000 : f32
  // CHECK: %[[T:.+]] = arith.index_cast %{{.+}} : i32 to index
  // CHECK: %[[M:.+]] = arith.index_cast %{{.+}} : i32 to index
  %tiles = arith.index_cast %n : i32 to index
  %masked_tiles = arith.index_cast %m : i32 to index
  %first = sage_tile.splat %zero : f32 to !scores
  // CHECK: %[[SPLIT:.+]] = arith.minui %[[M]], %[[T]]
  // CHECK: %[[MASKED:.+]] = scf.for %{{.+}} = %{{.+}} to %[[SPLIT]] step
  // CHECK-NOT: scf.if
  // CHECK: sage_tile.map positions
  // CHECK: arith.select
  // CHECK: scf.yield
  // CHECK: %[[ALL:.+]] = scf.for %{{.+}} = %[[SPLIT]] to %[[T]] step %{{.+}} iter_args(%{{.+}} = %[[MASKED]])
  // CHECK-NOT: scf.if
  // CHECK-NOT: sage_tile.map positions
  // CHECK: arith.cmpf oeq
  // CHECK: scf.yield
  // CHECK: sage_tile.store %[[ALL]]

  // GUARDS: scf.for
  // GUARDS: arith.cmpf oeq
  // GUARDS: scf.for
  // GUARDS-NOT: arith.cmpf oeq
  // GUARDS: sage_tile.store
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%s = %first) -> (!scores) {
    %x = sage_tile.load %in[%i, %c0] : memref<?x8xf32> to !scores
    %is_masked = arith.cmpi ult, %i, %masked_tiles : index
    %y = scf.if %is_masked -> (!scores) {
      %t = sage_tile.map positions ins(%x : !scores) to !scores {
      ^bb0(%r: i32, %c: i32, %e: f32):
        %0 = arith.cmpi slt, %c, %r : i32
        %1 = arith.select %0, %e, %minus_infinity : f32
        sage_tile.yield %1 : f32
      }
      scf.yield %t : !scores
    } else {
      scf.yield %x : !scores
    }
    %guarded = sage_tile.map ins(%y : !scores) to !scores {
    ^bb0(%e: f32):
      %0 = arith.cmpf oeq, %e, %minus_infinity : f32
      %1 = arith.select %0, %zero, %e : f32
      sage_tile.yield %1 : f32
    }
    %next = sage_tile.map ins(%s, %guarded : !scores, !scores) to !scores {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.addf %a, %b : f32
      sage_tile.yield %0 : f32
    }
    scf.yield %next : !scores
  }
  sage_tile.store %sum, %out[%c0, %c0] : !scores to memref<?x8xf32>
  sage_tile.return
}

// Both ends of a window: the iterations between have no mask.
// CHECK-LABEL: sage_tile.kernel @window
// CHECK: %[[T:.+]] = arith.index_cast %{{.+}} : i32 to index
// CHECK: %[[M:.+]] = arith.index_cast %{{.+}} : i32 to index
// CHECK: %[[L:.+]] = arith.index_cast %{{.+}} : i32 to index
// CHECK: %[[SPLIT:.+]] = arith.minui %[[M]], %[[T]]
// CHECK: %[[HEAD:.+]] = scf.for %{{.+}} = %{{.+}} to %[[SPLIT]] step
// CHECK-NOT: scf.if
// CHECK: sage_tile.map positions
// CHECK: %[[INSIDE:.+]] = arith.minsi %[[L]], %[[T]]
// CHECK: %[[END:.+]] = arith.maxsi %[[INSIDE]], %[[SPLIT]]
// CHECK: %[[MIDDLE:.+]] = scf.for %{{.+}} = %[[SPLIT]] to %[[END]] step %{{.+}} iter_args(%{{.+}} = %[[HEAD]])
// CHECK-NOT: sage_tile.map positions
// CHECK: %[[TAIL:.+]] = scf.for %{{.+}} = %[[END]] to %[[T]] step %{{.+}} iter_args(%{{.+}} = %[[MIDDLE]])
// CHECK-NOT: scf.if
// CHECK: sage_tile.map positions
// CHECK: sage_tile.store %[[TAIL]]
sage_tile.kernel @window(%in: memref<?x8xf32>, %out: memref<?x8xf32>, %n: i32, %m: i32, %l: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %tiles = arith.index_cast %n : i32 to index
  %right = arith.index_cast %m : i32 to index
  %left = arith.index_cast %l : i32 to index
  %first = sage_tile.splat %zero : f32 to !scores
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%s = %first) -> (!scores) {
    %x = sage_tile.load %in[%i, %c0] : memref<?x8xf32> to !scores
    %is_right = arith.cmpi ult, %i, %right : index
    %is_left = arith.cmpi sge, %i, %left : index
    %is_masked = arith.ori %is_left, %is_right : i1
    %y = scf.if %is_masked -> (!scores) {
      %t = sage_tile.map positions ins(%x : !scores) to !scores {
      ^bb0(%r: i32, %c: i32, %e: f32):
        %0 = arith.cmpi slt, %c, %r : i32
        %1 = arith.select %0, %e, %zero : f32
        sage_tile.yield %1 : f32
      }
      scf.yield %t : !scores
    } else {
      scf.yield %x : !scores
    }
    %next = sage_tile.map ins(%s, %y : !scores, !scores) to !scores {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.addf %a, %b : f32
      sage_tile.yield %0 : f32
    }
    scf.yield %next : !scores
  }
  sage_tile.store %sum, %out[%c0, %c0] : !scores to memref<?x8xf32>
  sage_tile.return
}

// A condition on neither end stays.
// CHECK-LABEL: sage_tile.kernel @neither
// CHECK: scf.for
// CHECK: scf.if
// CHECK-NOT: scf.for
sage_tile.kernel @neither(%out: memref<?x8xf32>, %n: i32, %m: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %tiles = arith.index_cast %n : i32 to index
  %special = arith.index_cast %m : i32 to index
  %x = sage_tile.splat %zero : f32 to !scores
  scf.for %i = %c0 to %tiles step %c1 {
    %is = arith.cmpi eq, %i, %special : index
    scf.if %is {
      sage_tile.store %x, %out[%i, %c0] : !scores to memref<?x8xf32>
    }
  }
  sage_tile.return
}
}
