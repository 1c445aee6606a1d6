// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

gpu.module @kernels [#nvvm.target<chip = "sm_90a">] {

// What the kernel's launches overlap with may write what it reads, but for the caller's memory.
// CHECK-LABEL: llvm.func @overlapping
// CHECK-SAME:    (%[[C:[a-z0-9]+]]: !llvm.ptr<1>, %{{[a-z0-9]+}}: !llvm.ptr<1> {llvm.noalias, llvm.readonly}, %{{[a-z0-9]+}}: !llvm.ptr<1>, %{{.*}}: !llvm.ptr<1>)
// CHECK:         llvm.inline_asm has_side_effects {{.*}} "griddepcontrol.wait;"
// Nothing was written yet: there is nothing to release.
// CHECK:         nvvm.barrier0
// CHECK:         scf.if
// CHECK-NOT:       llvm.fence
// CHECK:           %[[T:.*]] = llvm.atomicrmw add %[[C]], %{{.*}} syncscope("device") monotonic : !llvm.ptr<1>, i32
// CHECK:           llvm.store %[[T]], %[[PLACE:.*]] {alignment = 4 : i64} : i32, !llvm.ptr<3>
// CHECK:         nvvm.barrier0
// CHECK:         %[[TICKET:.*]] = llvm.load %[[PLACE]]
// CHECK:         nvvm.shfl.sync  idx %{{.*}}, %[[TICKET]]
// CHECK:         llvm.inline_asm has_side_effects {{.*}} "griddepcontrol.launch_dependents;"
// CHECK:         llvm.store %{{.*}}, %{{.*}} : vector<4xf32>, !llvm.ptr<1>
// CHECK:         nvvm.barrier0
// CHECK:         scf.if
// CHECK:           llvm.fence syncscope("device") acq_rel
// CHECK:           llvm.atomicrmw add
// CHECK:         scf.if
// CHECK:           scf.while
// CHECK:             llvm.load %{{.*}} atomic syncscope("device") acquire {alignment = 4 : i64}
// CHECK:         nvvm.barrier0
sage_tile.kernel @overlapping(%counters: memref<?xi32>, %x: memref<?xf32> {sage_tile.input}, %y: memref<?xf32>, %z: memref<?xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %c0 = arith.constant 0 : index
  sage_tile.grid_wait
  %ticket = sage_tile.count %counters[%c0] : memref<?xi32>
  sage_tile.grid_release
  %v = sage_tile.lane_load %x[%c0] : memref<?xf32> to vector<4xf32>
  %w = sage_tile.lane_load %z[%c0] : memref<?xf32> to vector<4xf32>
  %sum = arith.addf %v, %w : vector<4xf32>
  sage_tile.lane_store %sum, %y[%ticket] : vector<4xf32> to memref<?xf32>
  %done = sage_tile.count %counters[%ticket] : memref<?xi32>
  sage_tile.await %counters[%c0] reaches %done : memref<?xi32>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @resident
// CHECK-SAME:    nvvm.minctasm = 3 : i32
sage_tile.kernel @resident() attributes {unit = #sage_tile.unit<warp>, units = 4 : i32, blocks_per_multiprocessor = 3 : i32} {
  sage_tile.return
}
}
