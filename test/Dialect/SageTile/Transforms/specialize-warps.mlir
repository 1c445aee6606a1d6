// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-specialize-warps)))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-specialize-warps{producer-registers=40 consumer-registers=0})))" | FileCheck %s --check-prefix=REGISTERS

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#quad = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 1), 8:(0, 0)], reg = []>
!query = !sage_tile.shared<192x128xi8, swizzle = 128>
!part = !sage_tile.shared<64x128xi8, swizzle = 128>
!key = !sage_tile.shared<8x128xi8, swizzle = 128>
!scales = !sage_tile.shared<4xf32>
!query_map = !sage_tile.tensor_map<192x128xi8, swizzle = 128>
!key_map = !sage_tile.tensor_map<8x128xi8, swizzle = 128>
!scores = !sage_tile.fragment<64x8xi32, #acc>

// The kernel's 512 threads start with 128 registers each.
// REGISTERS: sage_tile.specialize producer registers(40)
// REGISTERS: consumer registers(0)

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @attention
sage_tile.kernel @attention(%q: !query_map, %k: !key_map, %ks: memref<?xf32>, %out: memref<?x8xi32>, %n: i32, %rows: memref<?x128xf16>) attributes {unit = #sage_tile.unit<warpgroup>, units = 3 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0 : i32
  // CHECK: %[[TILES:.+]] = arith.index_cast
  %tiles = arith.index_cast %n : i32 to index
  // CHECK: %[[Q:.+]] = sage_tile.alloc : <192x128xi8
  // CHECK: %[[K:.+]] = sage_tile.alloc : <8x128xi8
  // CHECK: %[[KS:.+]] = sage_tile.alloc : <4xf32>
  %query_tile = sage_tile.alloc : !query
  %key_tile = sage_tile.alloc : !key
  %scales = sage_tile.alloc : !scales
  %aligned = arith.cmpi eq, %tiles, %c0 : index
  sage_tile.prefetch %rows[%tiles, %c0] rows(%c8) columns(128) aligned(%aligned) : memref<?x128xf16>
  sage_tile.copy %q[%c0, %c0] to %query_tile : !query_map to !query
  %unit = sage_tile.unit_id
  %row = arith.muli %unit, %c64 : index
  %part = sage_tile.subtile %query_tile[%row] : !query to !part
  %fresh = sage_tile.splat %zero : i32 to !scores
  // CHECK: %[[QFULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <1>
  // CHECK: %[[FULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <1>
  // CHECK: %[[EMPTY:.+]] = sage_tile.barrier_alloc arrivals(3) : <1>
  // CHECK-NOT: sage_tile.barrier_alloc
  // CHECK: sage_tile.specialize producer registers(32) {
  // CHECK-NEXT: sage_tile.prefetch %{{.+}}[%[[TILES]], %{{.+}}]
  // CHECK: sage_tile.barrier_expect %[[QFULL]][%{{.+}}] bytes(24576)
  // CHECK-NEXT: sage_tile.copy_async %{{.+}} to %[[Q]] arrive %[[QFULL]]
  // CHECK-NEXT: scf.for %[[I:.+]] = %{{.+}} to %[[TILES]] step %{{.+}} {
  // CHECK: %[[NEXT:.+]] = arith.addi %[[I]], %{{.+}}
  // CHECK: %[[PARITY:.+]] = arith.remui %[[NEXT]]
  // CHECK-NEXT: sage_tile.barrier_wait %[[EMPTY]][%{{.+}}] parity(%[[PARITY]])
  // CHECK-NEXT: sage_tile.barrier_expect %[[FULL]][%{{.+}}] bytes(1040)
  // CHECK: %[[KEY:.+]] = arith.muli %[[I]]
  // CHECK: sage_tile.copy_async %{{.+}}[%[[KEY]], %{{.+}}] to %[[K]] arrive %[[FULL]]
  // CHECK-NEXT: sage_tile.copy_async %{{.+}}[%[[I]]] to %[[KS]] arrive %[[FULL]]
  // CHECK-NEXT: }

  // CHECK-NEXT: } consumer registers(160) {
  // CHECK: sage_tile.unit_id
  // CHECK: sage_tile.barrier_wait %[[QFULL]]
  // CHECK-NEXT: scf.for %[[I:.+]] = %{{.+}} to %[[TILES]]
  // CHECK: %[[PARITY:.+]] = arith.remui %[[I]]
  // CHECK-NEXT: sage_tile.barrier_wait %[[FULL]][%{{.+}}] parity(%[[PARITY]])
  // CHECK-NEXT: sage_tile.load
  // CHECK: sage_tile.mma_async
  // CHECK-NEXT: sage_tile.wait
  // CHECK-NEXT: sage_tile.barrier_arrive %[[EMPTY]]
  // CHECK-NOT: sage_tile.copy
  // CHECK: sage_tile.store
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%s = %fresh) -> (!scores) {
    %key = arith.muli %i, %c8 : index
    sage_tile.copy %k[%key, %c0] to %key_tile : !key_map to !key
    sage_tile.copy %ks[%i] to %scales : memref<?xf32> to !scales
    %scale = sage_tile.load %scales[%c0] : !scales to !sage_tile.fragment<1x4xf32, #quad>
    sage_tile.store %scale, %ks[%i] : !sage_tile.fragment<1x4xf32, #quad> to memref<?xf32>
    %async = sage_tile.mma_async %part, %key_tile, %s : !part, !key to !scores
    %next = sage_tile.wait %async pending(0) : !sage_tile.async<!scores>
    scf.yield %next : !scores
  }
  sage_tile.store %sum, %out[%row, %c0] : !scores to memref<?x8xi32>
  sage_tile.return
}

// One scale for a whole tile is too small for a bulk copy.
// CHECK-LABEL: sage_tile.kernel @small
// CHECK-SAME:    %[[KS:.+]]: memref<?xf32>, %[[OUT:.+]]: memref<?x4xf32>
// CHECK-NOT:   sage_tile.alloc : <1xf32>
// CHECK:       sage_tile.specialize
// CHECK-COUNT-1: sage_tile.copy_async
// CHECK:       consumer
// CHECK:       scf.for %[[I:.+]] = %
// CHECK:         sage_tile.barrier_wait
// CHECK:         %[[AT:.+]] = arith.addi %[[I]], %
// CHECK:         sage_tile.load %[[KS]][%[[AT]]] map #{{.+}} : memref<?xf32>
sage_tile.kernel @small(%ks: memref<?xf32>, %out: memref<?x4xf32>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tiles = arith.index_cast %n : i32 to index
  %one = sage_tile.alloc : !sage_tile.shared<1xf32>
  %four = sage_tile.alloc : !scales
  scf.for %i = %c0 to %tiles step %c1 {
    sage_tile.copy %ks[%i] to %one : memref<?xf32> to !sage_tile.shared<1xf32>
    sage_tile.copy %ks[%c0] to %four : memref<?xf32> to !scales
    %y = sage_tile.load %four[%c0] : !scales to !sage_tile.fragment<1x4xf32, #quad>
    %x = sage_tile.load %one[%c0] map affine_map<(r, c) -> (0)> : !sage_tile.shared<1xf32> to !sage_tile.fragment<1x4xf32, #quad>
    sage_tile.store %x, %out[%i, %c0] : !sage_tile.fragment<1x4xf32, #quad> to memref<?x4xf32>
    sage_tile.store %y, %out[%i, %c0] : !sage_tile.fragment<1x4xf32, #quad> to memref<?x4xf32>
  }
  sage_tile.return
}
}
