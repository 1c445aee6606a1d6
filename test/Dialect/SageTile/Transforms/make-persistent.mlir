// RUN: sage-opt %s --pass-pipeline="builtin.module(sage_tile.kernel(sage-tile-specialize-warps,sage-tile-pipeline-copies{stages=2},sage-tile-make-persistent))" -o %t
// RUN: FileCheck %s --input-file=%t
// RUN: sage-interpret %s --print-buffer=out:f32 | FileCheck %s --check-prefix=OUT
// RUN: sage-interpret %t --print-buffer=out:f32 | FileCheck %s --check-prefix=OUT
// RUN: sage-interpret %t --print-buffer=out:f32 --schedule-seed=3 | FileCheck %s --check-prefix=OUT
// RUN: sage-interpret %t --print-buffer=counters:i32 | FileCheck %s --check-prefix=COUNTER
// REQUIRES: sage-interpret

// Id i adds i + 1 vectors of 2 to its own of 1. Three blocks take seven ids, and leave the counter as it was.
// OUT: out = [3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7, 9, 9, 9, 9, 11, 11, 11, 11, 13, 13, 13, 13, 15, 15, 15, 15]
// COUNTER: counters = [0]

#four = #sage_tile.layout<lane = [4:(0, 1), 8:(0, 0)], reg = []>
#all = #sage_tile.layout<lane = [32:(0, 1)], reg = []>
!vector = !sage_tile.fragment<1x4xf32, #four>

sage_tile.program @p {} {
  sage_tile.workspace "counters" bytes affine_map<() -> (4)>
  sage_tile.workspace "q" bytes affine_map<() -> (128)>
  sage_tile.workspace "x" bytes affine_map<() -> (128)>
  sage_tile.workspace "out" bytes affine_map<() -> (112)>
  sage_tile.launch @prepare grid affine_map<() -> (1)> args [#sage_tile.pointer<"counters">, #sage_tile.pointer<"q">, #sage_tile.pointer<"x">]
  sage_tile.launch @sum grid affine_map<() -> (7)> args [#sage_tile.pointer<"counters">, #sage_tile.pointer<"q">, #sage_tile.pointer<"x">, #sage_tile.pointer<"out">]
}

sage_tile.kernel @prepare(%counters: memref<?xi32>, %q: memref<?xf32>, %x: memref<?xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i32
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %zeros = sage_tile.splat %zero : i32 to !sage_tile.fragment<1x32xi32, #all>
  %ones = sage_tile.splat %one : f32 to !sage_tile.fragment<1x32xf32, #all>
  %twos = sage_tile.splat %two : f32 to !sage_tile.fragment<1x32xf32, #all>
  sage_tile.store %zeros, %counters[%c0] limit(%c1) : !sage_tile.fragment<1x32xi32, #all> to memref<?xi32>
  sage_tile.store %ones, %q[%c0] : !sage_tile.fragment<1x32xf32, #all> to memref<?xf32>
  sage_tile.store %twos, %x[%c0] : !sage_tile.fragment<1x32xf32, #all> to memref<?xf32>
  sage_tile.return
}

// CHECK-LABEL: sage_tile.kernel @sum
// CHECK-SAME: persistent
sage_tile.kernel @sum(%counters: memref<?xi32>, %q: memref<?xf32>, %x: memref<?xf32>, %out: memref<?xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %ids = arith.constant 7 : index
  %block = sage_tile.block_id
  %first = arith.muli %block, %c4 : index
  %count = arith.addi %block, %c1 : index
  // CHECK-NOT: sage_tile.tickets
  sage_tile.tickets %counters[%c0] ids %ids : memref<?xi32>
  // CHECK: %[[TILE:.+]] = sage_tile.alloc : <2x4xf32>
  // CHECK: %[[OWN:.+]] = sage_tile.alloc : <2x4xf32>
  // CHECK: %[[NUMBERS:.+]] = sage_tile.alloc : <4xi32>
  // CHECK: %[[FULL:.+]] = sage_tile.barrier_alloc arrivals(1) : <2>
  // CHECK-NEXT: %[[EMPTY:.+]] = sage_tile.barrier_alloc arrivals(2) : <2>
  %own = sage_tile.alloc : !sage_tile.shared<4xf32>
  %tile = sage_tile.alloc : !sage_tile.shared<4xf32>
  // CHECK: producer
  // CHECK: %[[FIRST:.+]] = sage_tile.block_id
  // CHECK: scf.while (%[[ID:.+]] = %[[FIRST]], %[[STATE:.+]] = %{{.+}})
  // CHECK: %[[SLOT:.+]] = arith.remui %[[STATE]], %{{.+}}
  // CHECK: %[[IS:.+]] = arith.cmpi ult, %[[ID]], %{{.+}}
  // CHECK: sage_tile.barrier_wait %[[EMPTY]][%[[SLOT]]]
  // CHECK: %[[HANDED:.+]] = arith.select %[[IS]], %[[ID]], %c-1
  // CHECK: sage_tile.put %[[HANDED]] in %[[NUMBERS]][%[[SLOT]]]
  // CHECK: sage_tile.barrier_arrive %[[FULL]][%[[SLOT]]]
  // CHECK: scf.condition(%[[IS]])
  // CHECK: ^bb0(%[[ID:.+]]: index, %[[STATE:.+]]: index)
  // CHECK: %[[TICKET:.+]] = sage_tile.count %{{.+}}[%{{.+}}] wraps %c7
  // CHECK: %[[OWN_SLOT:.+]] = arith.remui %[[STATE]], %{{.+}}
  // CHECK: %[[STAGE:.+]] = sage_tile.stage %[[OWN]][%[[OWN_SLOT]]]
  // CHECK: arith.muli %[[ID]]
  // CHECK: sage_tile.copy_async {{.*}} to %[[STAGE]]
  // CHECK: scf.for %[[I:.+]] = %[[STATE]] to %{{.+}} step %c4
  // CHECK: %[[RING:.+]] = arith.divui %[[I]], %{{.+}}
  // CHECK: sage_tile.barrier_wait
  // CHECK: sage_tile.copy_async
  // CHECK: %[[BLOCKS:.+]] = sage_tile.block_count
  // CHECK: %[[NEXT:.+]] = arith.addi %[[TICKET]], %[[BLOCKS]]
  // CHECK: scf.yield %[[NEXT]], %{{.+}} : index, index
  sage_tile.copy %q[%first] to %own : memref<?xf32> to !sage_tile.shared<4xf32>
  // CHECK: consumer
  // CHECK: scf.while
  // CHECK: sage_tile.barrier_wait %[[FULL]]
  // CHECK: %[[ID:.+]] = sage_tile.get %[[NUMBERS]]
  // CHECK: arith.cmpi sge, %[[ID]]
  %start = sage_tile.load %own[%c0] : !sage_tile.shared<4xf32> to !vector
  // CHECK: scf.for %{{.+}} = %{{.+}} to %[[END:[^ ]+]] step %c4
  %sum = scf.for %i = %c0 to %count step %c1 iter_args(%s = %start) -> (!vector) {
    %at = arith.muli %i, %c4 : index
    sage_tile.copy %x[%at] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
    %v = sage_tile.load %tile[%c0] : !sage_tile.shared<4xf32> to !vector
    %t = sage_tile.map ins(%s, %v : !vector, !vector) to !vector {
    ^bb0(%a: f32, %b: f32):
      %c = arith.addf %a, %b : f32
      sage_tile.yield %c : f32
    }
    scf.yield %t : !vector
  }
  // The id is read again, and the slot freed after that.
  // CHECK: }
  // CHECK: %[[LAST:.+]] = arith.remui %[[END]], %{{.+}}
  // CHECK: sage_tile.get %[[NUMBERS]][%[[LAST]]]
  // CHECK: sage_tile.barrier_arrive %[[EMPTY]][%[[LAST]]]
  %again = sage_tile.block_id reload
  %to = arith.muli %again, %c4 : index
  sage_tile.store %sum, %out[%to] : !vector to memref<?xf32>
  sage_tile.return
}
