// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-sink-conversions)))" | FileCheck %s

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#operand = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#sum = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!integers = !sage_tile.fragment<64x32xi32, #acc>
!scores = !sage_tile.fragment<64x32xf32, #acc>
!packed = !sage_tile.fragment<64x32xf8E4M3FN, #operand>
!output = !sage_tile.fragment<64x8xf32, #sum>
!value = !sage_tile.shared<8x32xf8E4M3FN, swizzle = 32>

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @both
sage_tile.kernel @both(%in: memref<?x32xi32>, %factors: memref<?x32xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %v = sage_tile.alloc : !value
  %full = sage_tile.barrier_alloc arrivals(1) : <1>
  // CHECK: %[[S:.+]] = sage_tile.load %{{.+}} to <64x32xi32
  // CHECK: %[[A:.+]] = sage_tile.load %{{.+}} to <64x32xf32
  // CHECK-NEXT: %[[X:.+]] = sage_tile.map ins(%[[S]]
  // CHECK: arith.sitofp
  // CHECK: %[[Y:.+]] = sage_tile.map ins(%[[X]], %[[A]]
  // CHECK-NOT: sage_tile.convert
  // CHECK: sage_tile.barrier_wait
  // CHECK: %[[P:.+]] = sage_tile.convert %[[Y]]
  // CHECK: sage_tile.mma_async %[[P]]
  %s = sage_tile.load %in[%c0, %c0] : memref<?x32xi32> to !integers
  %x = sage_tile.map ins(%s : !integers) to !scores {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  %a = sage_tile.load %factors[%c0, %c0] : memref<?x32xf32> to !scores
  %y = sage_tile.map ins(%x, %a : !scores, !scores) to !scores {
  ^bb0(%e: f32, %f: f32):
    %0 = arith.mulf %e, %f : f32
    sage_tile.yield %0 : f32
  }
  %p = sage_tile.convert %y order #order : !scores to !packed
  %fresh = sage_tile.splat %zero : f32 to !output
  sage_tile.barrier_wait %full[%c0] parity(%c0) : <1>
  %t = sage_tile.mma_async %p, %v, %fresh : !packed, !value to !output
  %w = sage_tile.wait %t pending(0) : <!output>
  sage_tile.return
}

// Something else reads the packed elements: they are needed where they are.
// CHECK-LABEL: sage_tile.kernel @stored
sage_tile.kernel @stored(%in: memref<?x32xf32>, %out: memref<?x32xf8E4M3FN>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %v = sage_tile.alloc : !value
  %full = sage_tile.barrier_alloc arrivals(1) : <1>
  // CHECK: sage_tile.convert
  // CHECK: sage_tile.barrier_wait
  %y = sage_tile.load %in[%c0, %c0] : memref<?x32xf32> to !scores
  %p = sage_tile.convert %y order #order : !scores to !packed
  %fresh = sage_tile.splat %zero : f32 to !output
  sage_tile.barrier_wait %full[%c0] parity(%c0) : <1>
  %t = sage_tile.mma_async %p, %v, %fresh : !packed, !value to !output
  %w = sage_tile.wait %t pending(0) : <!output>
  sage_tile.store %p, %out[%c0, %c0] : !packed to memref<?x32xf8E4M3FN>
  sage_tile.return
}
}
