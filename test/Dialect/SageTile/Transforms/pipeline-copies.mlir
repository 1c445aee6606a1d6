// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-pipeline-copies{stages=3})))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-pipeline-copies{stages=1})))" | FileCheck %s --check-prefix=ONE

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 5:(0, 8)]>
#quad = #sage_tile.layout<lane = [4:(0, 1), 8:(0, 0)], reg = []>
!query = !sage_tile.shared<16x32xi8, swizzle = 32>
!key = !sage_tile.shared<40x32xi8, swizzle = 32>
!copied = !sage_tile.shared<32x32xi8, swizzle = 32>
!filled = !sage_tile.shared<8x32xi8, swizzle = 32>
!scales = !sage_tile.shared<4xf32>
!scores = !sage_tile.fragment<16x40xi32, #acc>

gpu.module @kernels {
// Copy groups: two iterations ahead.
// CHECK-LABEL: sage_tile.kernel @groups
// ONE-LABEL: sage_tile.kernel @groups
sage_tile.kernel @groups(%q: memref<?x32xi8>, %k: memref<?x32xi8>, %ks: memref<?xf32>, %out: memref<?x40xi32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0 : i32
  %tiles = arith.index_cast %n : i32 to index
  // CHECK: %[[K:.+]] = sage_tile.alloc : <3x40x32xi8, swizzle = 32>
  // CHECK: %[[KS:.+]] = sage_tile.alloc : <3x4xf32>
  // CHECK-COUNT-3: sage_tile.fill {{.*}} : <8x32xi8, swizzle = 32>
  // CHECK-NOT: sage_tile.fill
  %query_tile = sage_tile.alloc : !query
  %key_tile = sage_tile.alloc : !key
  %scales = sage_tile.alloc : !scales
  %rest = sage_tile.subtile %key_tile[%c32] : !key to !filled
  sage_tile.fill %rest with 1 : i8 : !filled
  // A copy outside of loops is complete at once.
  // CHECK: sage_tile.sync
  // CHECK-NEXT: sage_tile.copy_async
  // CHECK-NEXT: sage_tile.commit_group
  // CHECK-NEXT: sage_tile.wait_group 0
  // CHECK-NEXT: sage_tile.sync
  sage_tile.copy %q[%c0, %c0] to %query_tile : memref<?x32xi8> to !query
  %fresh = sage_tile.splat %zero : i32 to !scores
  // CHECK: arith.cmpi slt
  // CHECK: scf.if
  // CHECK: sage_tile.copy_async
  // CHECK: sage_tile.copy_async
  // CHECK: sage_tile.commit_group
  // CHECK: scf.if
  // CHECK: sage_tile.commit_group
  // CHECK: scf.for %[[I:.+]] = %{{.+}} to %[[TILES:.+]] step
  // CHECK: %[[SLOT:.+]] = arith.remui %[[I]], %{{.+}}
  // CHECK-NEXT: sage_tile.wait_group 1
  // CHECK-NEXT: sage_tile.sync
  // CHECK: %[[AHEAD:.+]] = arith.addi %[[I]], %{{.+}}
  // CHECK: %[[AHEAD_SLOT:.+]] = arith.remui
  // CHECK: %[[INSIDE:.+]] = arith.cmpi slt, %[[AHEAD]], %[[TILES]]
  // CHECK-NEXT: scf.if %[[INSIDE]] {
  // CHECK: %[[ROW:.+]] = arith.muli %[[AHEAD]]
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[K]][%[[AHEAD_SLOT]]]
  // CHECK: %[[TARGET:.+]] = sage_tile.subtile %[[STAGE]][%{{.+}}] : <40x32xi8, swizzle = 32> to <32x32xi8, swizzle = 32>
  // CHECK: sage_tile.copy_async %{{.+}}[%[[ROW]], %{{.+}}] to %[[TARGET]]
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[KS]][%[[AHEAD_SLOT]]] : <3x4xf32> to <4xf32>
  // CHECK: sage_tile.copy_async %{{.+}}[%[[AHEAD]]] to %[[STAGE]]
  // CHECK: }
  // CHECK-NEXT: sage_tile.commit_group
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[K]][%[[SLOT]]]
  // CHECK-NOT: sage_tile.copy
  // CHECK: sage_tile.mma %{{.+}}, %[[STAGE]],

  // ONE: scf.for
  // ONE: sage_tile.sync
  // ONE: sage_tile.copy_async
  // ONE-NEXT: sage_tile.copy_async
  // ONE-NEXT: sage_tile.commit_group
  // ONE-NEXT: sage_tile.wait_group 0
  // ONE-NEXT: sage_tile.sync
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%s = %fresh) -> (!scores) {
    %row = arith.muli %i, %c32 : index
    %target = sage_tile.subtile %key_tile[%c0] : !key to !copied
    sage_tile.copy %k[%row, %c0] to %target : memref<?x32xi8> to !copied
    sage_tile.copy %ks[%i] to %scales : memref<?xf32> to !scales
    %scale = sage_tile.load %scales[%c0] : !scales to !sage_tile.fragment<1x4xf32, #quad>
    sage_tile.store %scale, %ks[%i] : !sage_tile.fragment<1x4xf32, #quad> to memref<?xf32>
    %next = sage_tile.mma %query_tile, %key_tile, %s : !query, !key to !scores
    scf.yield %next : !scores
  }
  sage_tile.store %sum, %out[%c0, %c0] : !scores to memref<?x40xi32>
  sage_tile.return
}

// Rings: slot i mod 3, parity (i / 3) mod 2, inverted for the producer.
// CHECK-LABEL: sage_tile.kernel @ring
// ONE-LABEL: sage_tile.kernel @ring
sage_tile.kernel @ring(%ks: memref<?xf32>, %out: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %tiles = arith.index_cast %n : i32 to index
  // CHECK: %[[TILE:.+]] = sage_tile.alloc : <3x4xf32>
  // CHECK: %[[FULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <3>
  // CHECK: %[[EMPTY:.+]] = sage_tile.barrier_alloc arrivals(1) : <3>
  // ONE: sage_tile.alloc : <4xf32>
  %tile = sage_tile.alloc : !scales
  %full = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<1>
  %empty = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<1>
  // CHECK: producer
  // CHECK: scf.for %[[I:.+]] =
  // CHECK: %[[ROUND:.+]] = arith.divui %[[I]]
  // CHECK: %[[NEXT:.+]] = arith.addi %[[ROUND]]
  // CHECK: %[[PARITY:.+]] = arith.remui %[[NEXT]]
  // CHECK: %[[SLOT:.+]] = arith.remui %[[I]]
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[TILE]][%[[SLOT]]]
  // CHECK: sage_tile.barrier_wait %[[EMPTY]][%[[SLOT]]] parity(%[[PARITY]])
  // CHECK: sage_tile.barrier_expect %[[FULL]][%[[SLOT]]]
  // CHECK: sage_tile.copy_async {{.*}} to %[[STAGE]] arrive %[[FULL]][%[[SLOT]]]
  // CHECK: consumer
  // CHECK: scf.for %[[I:.+]] =
  // CHECK: %[[ROUND:.+]] = arith.divui %[[I]]
  // CHECK: %[[PARITY:.+]] = arith.remui %[[ROUND]]
  // CHECK: %[[SLOT:.+]] = arith.remui %[[I]]
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[TILE]][%[[SLOT]]]
  // CHECK: sage_tile.barrier_wait %[[FULL]][%[[SLOT]]] parity(%[[PARITY]])
  // CHECK: sage_tile.load %[[STAGE]]
  // CHECK: sage_tile.barrier_arrive %[[EMPTY]][%[[SLOT]]]
  sage_tile.specialize producer registers(0) {
    scf.for %i = %c0 to %tiles step %c1 {
      %next = arith.addi %i, %c1 : index
      %parity = arith.remui %next, %c2 : index
      sage_tile.barrier_wait %empty[%c0] parity(%parity) : !sage_tile.barrier<1>
      sage_tile.barrier_expect %full[%c0] bytes(16) : !sage_tile.barrier<1>
      sage_tile.copy_async %ks[%i] to %tile arrive %full[%c0] : memref<?xf32> to !scales, !sage_tile.barrier<1>
    }
  } consumer registers(0) {
    scf.for %i = %c0 to %tiles step %c1 {
      %parity = arith.remui %i, %c2 : index
      sage_tile.barrier_wait %full[%c0] parity(%parity) : !sage_tile.barrier<1>
      %x = sage_tile.load %tile[%c0] : !scales to !sage_tile.fragment<1x4xf32, #quad>
      sage_tile.barrier_arrive %empty[%c0] : !sage_tile.barrier<1>
      sage_tile.store %x, %out[%i] : !sage_tile.fragment<1x4xf32, #quad> to memref<?xf32>
    }
  }
  sage_tile.return
}
}
