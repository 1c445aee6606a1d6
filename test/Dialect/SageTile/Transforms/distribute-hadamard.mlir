// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute,cse,canonicalize)))' --split-input-file --verify-diagnostics | FileCheck %s

// Two columns in registers and two in lanes: a sum and a difference, then an exchange with the neighbour, whose lane with
// the bit set has the second column of the pair.
#rows = #sage_tile.layout<lane = [2:(0, 2), 2:(1, 0), 2:(2, 0), 2:(4, 0), 2:(8, 0)], reg = [2:(0, 1)]>
gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @pairs
// CHECK-DAG:   %[[PLUS:.+]] = arith.constant 1.0{{.*}} : f32
// CHECK-DAG:   %[[MINUS:.+]] = arith.constant -1.0{{.*}} : f32
// CHECK:       %[[X:.+]] = sage_tile.lane_load
// CHECK-DAG:   %[[A:.+]] = vector.extract %[[X]][0]
// CHECK-DAG:   %[[B:.+]] = vector.extract %[[X]][1]
// CHECK-DAG:   %[[SUM:.+]] = arith.addf %[[A]], %[[B]] : f32
// CHECK-DAG:   %[[DIFFERENCE:.+]] = arith.subf %[[A]], %[[B]] : f32
// CHECK:       %[[SIGN:.+]] = arith.select %{{.+}}, %[[PLUS]], %[[MINUS]] : f32
// CHECK:       %[[OTHER:.+]], %{{.+}} = gpu.shuffle xor %[[SUM]], %
// CHECK:       math.fma %[[SUM]], %[[SIGN]], %[[OTHER]] : f32
// CHECK:       gpu.shuffle xor %[[DIFFERENCE]], %
// CHECK-NOT:   gpu.shuffle
sage_tile.kernel @pairs(%x: memref<?x4xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x4xf32> to !sage_tile.fragment<16x4xf32, #rows>
  %r = sage_tile.hadamard %v {block = 4} : !sage_tile.fragment<16x4xf32, #rows>
  sage_tile.store %r, %x[%c0, %c0] : !sage_tile.fragment<16x4xf32, #rows> to memref<?x4xf32>
  sage_tile.return
}
}

// -----

#warps = #sage_tile.layout<warp = [4:(0, 1)], lane = [32:(1, 0)], reg = [2:(32, 0)]>
gpu.module @kernels {
sage_tile.kernel @warps(%x: memref<?x4xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x4xf32> to !sage_tile.fragment<64x4xf32, #warps>
  // expected-error@+2 {{columns at distance 1 must be in two registers of a lane or in two lanes of a warp, but the layout is}}
  // expected-error@+1 {{failed to legalize}}
  %r = sage_tile.hadamard %v {block = 4} : !sage_tile.fragment<64x4xf32, #warps>
  sage_tile.store %r, %x[%c0, %c0] : !sage_tile.fragment<64x4xf32, #warps> to memref<?x4xf32>
  sage_tile.return
}
}
