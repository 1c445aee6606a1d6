// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute,cse,canonicalize)))' | FileCheck %s

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(1, 0), 2:(2, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4), 2:(4, 0)]>
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#quad = #sage_tile.layout<lane = [4:(0, 1), 8:(0, 0)], reg = []>
#a = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 2:(0, 32)]>

gpu.module @kernels {

// Rows below the limit are read in 16-byte pieces, one branch for each row of the lane; four bytes are a word.
// CHECK-LABEL: sage_tile.kernel @rows
// CHECK:       %[[BELOW:.*]] = arith.cmpi slt, %[[ROW:.*]], %[[LIMIT:.*]] : index
// CHECK:       scf.if %[[BELOW]] -> (vector<8xf16>)
// CHECK:         sage_tile.lane_load %{{.*}}[%[[ROW]], %[[COLUMN:.*]]] : memref<?x64xf16> to vector<8xf16>
// CHECK:       %[[NEXT:.*]] = arith.addi %[[ROW]], %c4 overflow<nsw>
// CHECK:       arith.cmpi slt, %[[NEXT]], %[[LIMIT]] : index
// CHECK:         sage_tile.lane_load %{{.*}}[%[[NEXT]], %[[COLUMN]]] : memref<?x64xf16> to vector<8xf16>
// CHECK:       sage_tile.lane_store %{{.*}}, %{{.*}}[%[[ROW]], %[[COLUMN]]] : vector<2xi32> to memref<?x64xi8>
sage_tile.kernel @rows(%x: memref<?x64xf16>, %y: memref<?x64xi8>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %i = sage_tile.block_id
  %limit = arith.index_cast %n : i32 to index
  %v = sage_tile.load %x[%i, %c0] limit(%limit) : memref<?x64xf16> to !sage_tile.fragment<8x64xf16, #rows>
  %q = sage_tile.convert %v : !sage_tile.fragment<8x64xf16, #rows> to !sage_tile.fragment<8x64xi8, #rows>
  sage_tile.store %q, %y[%i, %c0] limit(%limit) : !sage_tile.fragment<8x64xi8, #rows> to memref<?x64xi8>
  sage_tile.return
}

// Nothing is known about the alignment of a vector's element; replicated elements are stored by one lane of the quad.
// CHECK-LABEL: sage_tile.kernel @vectors
// CHECK:       sage_tile.lane_load %{{.*}}[%{{.*}}] : memref<?xf32> to vector<1xf32>
// CHECK:       sage_tile.lane_load %{{.*}}[%{{.*}}] : memref<?xf32> to vector<1xf32>
// CHECK:       %[[BITS:.*]] = arith.andi %{{.*}}, %c3
// CHECK:       %[[FIRST:.*]] = arith.cmpi eq, %[[BITS]], %c0
// CHECK:       scf.if %[[FIRST]]
// CHECK:         sage_tile.lane_store
sage_tile.kernel @vectors(%x: memref<?xf32>, %y: memref<?xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %i = sage_tile.block_id
  %v = sage_tile.load %x[%i] map affine_map<(r, c) -> (r)> : memref<?xf32> to !sage_tile.fragment<16x1xf32, #row>
  sage_tile.store %v, %y[%i] map affine_map<(r, c) -> (r)> : !sage_tile.fragment<16x1xf32, #row> to memref<?xf32>
  sage_tile.return
}

// A operands of shared tiles are four 8x16-byte matrices for each 32 bytes of depth.
// CHECK-LABEL: sage_tile.kernel @operand
// CHECK:       sage_tile.lane_load %{{.*}}[%{{.*}}] : !sage_tile.shared<4xf32> to vector<1xf32>
// CHECK-COUNT-2: sage_tile.load_matrix %{{.*}}[%{{.*}}, %{{.*}}] : {{.*}}<16x64xi8, swizzle = 64> to vector<4xi32>
// CHECK-NOT:   sage_tile.load_matrix
// CHECK:       sage_tile.mma %{{.*}}, %{{.*}}, %{{.*}} : vector<8xi32>, {{.*}} to vector<8xi32>
sage_tile.kernel @operand() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %scales = sage_tile.alloc : !sage_tile.shared<4xf32>
  %tile = sage_tile.alloc : !sage_tile.shared<16x64xi8, swizzle = 64>
  %s = sage_tile.load %scales[%c0] : !sage_tile.shared<4xf32> to !sage_tile.fragment<1x4xf32, #quad>
  sage_tile.store %s, %scales[%c0] : !sage_tile.fragment<1x4xf32, #quad> to !sage_tile.shared<4xf32>
  %q = sage_tile.load %tile[%c0, %c0] : !sage_tile.shared<16x64xi8, swizzle = 64> to !sage_tile.fragment<16x64xi8, #a>
  %start = sage_tile.splat %zero : i32 to !sage_tile.fragment<16x16xi32, #acc>
  %p = sage_tile.mma %q, %tile, %start : !sage_tile.fragment<16x64xi8, #a>, !sage_tile.shared<16x64xi8, swizzle = 64> to !sage_tile.fragment<16x16xi32, #acc>
  %f = sage_tile.map ins(%p : !sage_tile.fragment<16x16xi32, #acc>) to !sage_tile.fragment<16x16xf32, #acc> {
  ^bb0(%x: i32):
    %0 = arith.sitofp %x : i32 to f32
    sage_tile.yield %0 : f32
  }
  %t = sage_tile.alloc : !sage_tile.shared<16x16xf32>
  // CHECK: sage_tile.lane_store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : vector<2xf32> to !sage_tile.shared<16x16xf32>
  sage_tile.store %f, %t[%c0, %c0] : !sage_tile.fragment<16x16xf32, #acc> to !sage_tile.shared<16x16xf32>
  sage_tile.return
}
}
