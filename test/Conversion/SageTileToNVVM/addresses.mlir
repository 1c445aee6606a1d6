// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// Neighbouring rows share all of an address but a constant, or a constant multiple of a stride. Loads of what nobody writes are invariant.
gpu.module @kernels {
// CHECK-LABEL: llvm.func @neighbours
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: !llvm.ptr<1> {{{.*}}}, %[[Y:[a-z0-9]+]]: !llvm.ptr<1> {{{.*}}}, %[[STRIDE:[a-z0-9]+]]: i64, %[[Z:[a-z0-9]+]]:
// CHECK-DAG:     %[[C12:.*]] = arith.constant 12 : i64
// A constant of more than 31 bits stays whole.
// CHECK-DAG:     %[[FAR:.*]] = arith.constant 4800000000 : i64
// CHECK:         %[[ROW:.*]] = llvm.getelementptr %[[X]][%{{.*}}]
// CHECK-NEXT:    %[[NEXT:.*]] = llvm.getelementptr %[[ROW]][48]
// CHECK-NEXT:    llvm.load %[[NEXT]] invariant
// CHECK:         %[[STRIDED:.*]] = llvm.getelementptr %[[Y]][%{{.*}}]
// CHECK-NEXT:    %[[MULTIPLE:.*]] = arith.muli %[[STRIDE]], %[[C12]]
// CHECK-NEXT:    %[[TARGET:.*]] = llvm.getelementptr %[[STRIDED]][%[[MULTIPLE]]]
// CHECK-NEXT:    llvm.store %{{.*}}, %[[TARGET]]
// CHECK:         %[[WRITTEN:.*]] = llvm.getelementptr %[[Z]][%[[FAR]]]
// CHECK-NEXT:    llvm.load %[[WRITTEN]] {
sage_tile.kernel @neighbours(%x: memref<?x4xf32>, %y: memref<?x4xf32, strided<[?, 1]>>, %z: memref<?x4xf32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %far = arith.constant 300000000 : index
  %i = arith.index_cast %n : i32 to index
  %row = arith.addi %i, %c3 : index
  %v = sage_tile.lane_load %x[%row, %c0] : memref<?x4xf32> to vector<4xf32>
  sage_tile.lane_store %v, %y[%row, %c0] : vector<4xf32> to memref<?x4xf32, strided<[?, 1]>>
  %u = sage_tile.lane_load %z[%far, %c0] : memref<?x4xf32> to vector<4xf32>
  sage_tile.lane_store %u, %z[%far, %c0] : vector<4xf32> to memref<?x4xf32>
  sage_tile.return
}
}
