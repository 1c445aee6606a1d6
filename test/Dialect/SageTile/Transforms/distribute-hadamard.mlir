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
// CHECK:       %[[BOTH:.+]] = vector.from_elements %[[SUM]], %[[DIFFERENCE]] : vector<2xf32>
// CHECK:       %[[R:.+]] = sage_tile.lane_butterfly %[[BOTH]] distances [1] factors(%[[SIGN]]) : vector<2xf32>
// CHECK-NOT:   sage_tile.lane_butterfly
// CHECK:       sage_tile.lane_store %[[R]]
sage_tile.kernel @pairs(%x: memref<?x4xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x4xf32> to !sage_tile.fragment<16x4xf32, #rows>
  %r = sage_tile.hadamard %v {block = 4} : !sage_tile.fragment<16x4xf32, #rows>
  sage_tile.store %r, %x[%c0, %c0] : !sage_tile.fragment<16x4xf32, #rows> to memref<?x4xf32>
  sage_tile.return
}
}

// -----

// Lanes before and behind a register: what comes first is exchanged first, two distances between lanes by one op.
#mixed = #sage_tile.layout<lane = [2:(0, 1), 2:(0, 2), 2:(0, 8), 2:(1, 0), 2:(2, 0)], reg = [2:(0, 4)]>
gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @mixed
// CHECK:       %[[FIRST:.+]] = sage_tile.lane_butterfly %{{.+}} distances [1, 2] factors(%{{.+}}, %{{.+}}) : vector<2xf32>
// CHECK:       %[[X:.+]]:2 = vector.to_elements %[[FIRST]]
// CHECK-DAG:   %[[SUM:.+]] = arith.addf %[[X]]#0, %[[X]]#1 : f32
// CHECK-DAG:   %[[DIFFERENCE:.+]] = arith.subf %[[X]]#0, %[[X]]#1 : f32
// CHECK:       %[[BOTH:.+]] = vector.from_elements %[[SUM]], %[[DIFFERENCE]] : vector<2xf32>
// CHECK:       sage_tile.lane_butterfly %[[BOTH]] distances [4] factors(%{{.+}}) : vector<2xf32>
sage_tile.kernel @mixed(%x: memref<?x16xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x16xf32> to !sage_tile.fragment<4x16xf32, #mixed>
  %r = sage_tile.hadamard %v {block = 16} : !sage_tile.fragment<4x16xf32, #mixed>
  sage_tile.store %r, %x[%c0, %c0] : !sage_tile.fragment<4x16xf32, #mixed> to memref<?x16xf32>
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
