// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-issue-mma-async)))" | FileCheck %s

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#acc32 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#operand = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#warp_acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!query = !sage_tile.shared<64x32xi8, swizzle = 32>
!key = !sage_tile.shared<8x32xi8, swizzle = 32>
!value = !sage_tile.shared<8x32xf8E4M3FN, swizzle = 32>
!scores = !sage_tile.fragment<64x8xi32, #acc>
!output = !sage_tile.fragment<64x8xf32, #acc>
!probabilities = !sage_tile.fragment<64x32xf32, #acc32>
!packed = !sage_tile.fragment<64x32xf8E4M3FN, #operand>

gpu.module @kernels {
// Both products are issued before the first is waited for, each directly before its first use.
// CHECK-LABEL: sage_tile.kernel @neighbours
sage_tile.kernel @neighbours(%out: memref<?x8xf32>, %p8: memref<?x32xf8E4M3FN>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[A:.+]] = sage_tile.mma_async
  // CHECK: %[[B:.+]] = sage_tile.mma_async
  // CHECK: %[[X:.+]] = sage_tile.wait %[[A]] pending(1)
  // CHECK-NEXT: sage_tile.store %[[X]]
  // CHECK: %[[Y:.+]] = sage_tile.wait %[[B]] pending(0)
  // CHECK-NEXT: sage_tile.store %[[Y]]
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  %v = sage_tile.alloc : !value
  %w = sage_tile.alloc : !value
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %fresh0 = sage_tile.splat %zero : f32 to !output
  %x = sage_tile.mma %p, %v, %fresh0 : !packed, !value to !output
  %fresh1 = sage_tile.splat %zero : f32 to !output
  %y = sage_tile.mma %p, %w, %fresh1 : !packed, !value to !output
  sage_tile.store %x, %out[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.store %y, %out[%c0, %c8] : !output to memref<?x8xf32>
  sage_tile.return
}

// Products of two panels that add to one another: nothing waits between them.
// CHECK-LABEL: sage_tile.kernel @panels
sage_tile.kernel @panels(%out: memref<?x8xi32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[A:.+]] = sage_tile.mma_async {{.*}} to !sage_tile.fragment<
  // CHECK-NEXT: %[[B:.+]] = sage_tile.mma_async %{{.+}}, %{{.+}}, %[[A]] : {{.*}} to !sage_tile.async<
  // CHECK-NEXT: %[[X:.+]] = sage_tile.wait %[[B]] pending(0)
  // CHECK-NEXT: sage_tile.store %[[X]]
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q0 = sage_tile.alloc : !query
  %q1 = sage_tile.alloc : !query
  %k0 = sage_tile.alloc : !key
  %k1 = sage_tile.alloc : !key
  %fresh = sage_tile.splat %zero : i32 to !scores
  %half = sage_tile.mma %q0, %k0, %fresh : !query, !key to !scores
  %s = sage_tile.mma %q1, %k1, %half : !query, !key to !scores
  sage_tile.store %s, %out[%c0, %c0] : !scores to memref<?x8xi32>
  sage_tile.return
}

// Products that are added to one sum after the other have one fragment: the second is issued after the first sum.
// CHECK-LABEL: sage_tile.kernel @intervals
sage_tile.kernel @intervals(%out: memref<?x8xf32>, %p8: memref<?x32xf8E4M3FN>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[A:.+]] = sage_tile.mma_async
  // CHECK-NEXT: %[[X:.+]] = sage_tile.wait %[[A]] pending(0)
  // CHECK-NEXT: %[[SUM:.+]] = sage_tile.map ins(%{{.+}}, %[[X]]
  // CHECK: %[[B:.+]] = sage_tile.mma_async
  // CHECK-NEXT: %[[Y:.+]] = sage_tile.wait %[[B]] pending(0)
  // CHECK-NEXT: sage_tile.map ins(%[[SUM]], %[[Y]]
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0.0 : f32
  %v = sage_tile.alloc : !value
  %w = sage_tile.alloc : !value
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %r = sage_tile.load %p8[%c0, %c32] : memref<?x32xf8E4M3FN> to !packed
  %old = sage_tile.load %out[%c0, %c0] : memref<?x8xf32> to !output
  %fresh0 = sage_tile.splat %zero : f32 to !output
  %x = sage_tile.mma %p, %v, %fresh0 : !packed, !value to !output
  %sum = sage_tile.map ins(%old, %x : !output, !output) to !output {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    sage_tile.yield %0 : f32
  }
  %fresh1 = sage_tile.splat %zero : f32 to !output
  %y = sage_tile.mma %r, %w, %fresh1 : !packed, !value to !output
  %new = sage_tile.map ins(%sum, %y : !output, !output) to !output {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    sage_tile.yield %0 : f32
  }
  sage_tile.store %new, %out[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.return
}

// The second product moves up to the first, over arithmetic that it does not need.
// CHECK-LABEL: sage_tile.kernel @moves_up
sage_tile.kernel @moves_up(%out: memref<?x8xf32>, %scale: f32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[A:.+]] = sage_tile.mma_async
  // CHECK: %[[B:.+]] = sage_tile.mma_async
  // CHECK: sage_tile.wait %[[A]] pending(1)
  // CHECK-NEXT: sage_tile.map
  // CHECK: sage_tile.wait %[[B]] pending(0)
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q = sage_tile.alloc : !query
  %k = sage_tile.alloc : !key
  %fresh = sage_tile.splat %zero : i32 to !scores
  %s = sage_tile.mma %q, %k, %fresh : !query, !key to !scores
  %x = sage_tile.map ins(%s : !scores) to !output {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  %fresh1 = sage_tile.splat %zero : i32 to !scores
  %t = sage_tile.mma %q, %k, %fresh1 : !query, !key to !scores
  %y = sage_tile.map ins(%t, %x : !scores, !output) to !output {
  ^bb0(%e: i32, %f: f32):
    %0 = arith.sitofp %e : i32 to f32
    %1 = arith.addf %0, %f : f32
    sage_tile.yield %1 : f32
  }
  sage_tile.store %y, %out[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.return
}

// A copy into a tile that a product reads, and packing while a product reads registers, come after its wait.
// CHECK-LABEL: sage_tile.kernel @hazards
sage_tile.kernel @hazards(%out: memref<?x8xf32>, %p8: memref<?x32xf8E4M3FN>, %y: memref<?x32xf32>, %next: memref<?x32xi8>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: %[[A:.+]] = sage_tile.mma_async
  // CHECK-NEXT: sage_tile.wait %[[A]] pending(0)
  // CHECK-NEXT: sage_tile.copy
  // CHECK: %[[B:.+]] = sage_tile.mma_async
  // CHECK: sage_tile.wait %[[B]] pending(0)
  // CHECK-NEXT: sage_tile.convert
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %zero_i = arith.constant 0 : i32
  %q = sage_tile.alloc : !query
  %k = sage_tile.alloc : !key
  %v = sage_tile.alloc : !value
  %fresh = sage_tile.splat %zero_i : i32 to !scores
  %s = sage_tile.mma %q, %k, %fresh : !query, !key to !scores
  sage_tile.copy %next[%c0, %c0] to %k : memref<?x32xi8> to !key
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %start = sage_tile.map ins(%s : !scores) to !output {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  %o = sage_tile.mma %p, %v, %start : !packed, !value to !output
  %next_y = sage_tile.load %y[%c0, %c0] : memref<?x32xf32> to !probabilities
  %next_p = sage_tile.convert %next_y order #order : !probabilities to !packed
  sage_tile.store %o, %out[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.store %next_p, %p8[%c0, %c0] : !packed to memref<?x32xf8E4M3FN>
  sage_tile.return
}

// What is loaded for the users of a product is loaded behind the wait.
// CHECK-LABEL: sage_tile.kernel @loads
sage_tile.kernel @loads(%out: memref<?x8xf32>, %p8: memref<?x32xf8E4M3FN>, %x: memref<?x8xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // CHECK: sage_tile.mma_async
  // CHECK-NEXT: %[[S:.+]] = sage_tile.wait
  // CHECK-NEXT: %[[Y:.+]] = sage_tile.load
  // CHECK-NEXT: sage_tile.map ins(%[[S]], %[[Y]]
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %v = sage_tile.alloc : !value
  %p = sage_tile.load %p8[%c0, %c0] : memref<?x32xf8E4M3FN> to !packed
  %fresh = sage_tile.splat %zero : f32 to !output
  %s = sage_tile.mma %p, %v, %fresh : !packed, !value to !output
  %y = sage_tile.load %x[%c0, %c0] : memref<?x8xf32> to !output
  %sum = sage_tile.map ins(%s, %y : !output, !output) to !output {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    sage_tile.yield %0 : f32
  }
  sage_tile.store %sum, %out[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.return
}

// Warps have no products in flight.
// CHECK-LABEL: sage_tile.kernel @warp
// CHECK: sage_tile.mma %
sage_tile.kernel @warp(%out: memref<?x8xi32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q = sage_tile.alloc : !sage_tile.shared<16x32xi8, swizzle = 32>
  %k = sage_tile.alloc : !key
  %fresh = sage_tile.splat %zero : i32 to !sage_tile.fragment<16x8xi32, #warp_acc>
  %s = sage_tile.mma %q, %k, %fresh : !sage_tile.shared<16x32xi8, swizzle = 32>, !key to !sage_tile.fragment<16x8xi32, #warp_acc>
  sage_tile.store %s, %out[%c0, %c0] : !sage_tile.fragment<16x8xi32, #warp_acc> to memref<?x8xi32>
  sage_tile.return
}
}
