// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute,cse,canonicalize)))' | FileCheck %s

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>
#packed = #sage_tile.layout<lane = [2:(0, 4), 2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2)]>
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#acc4 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
!x = memref<?x?xf16, strided<[?, 1]>>

gpu.module @kernels {

// 72 of 128 columns: the lane's eight columns are inside together. An unaligned row is read element by element.
// CHECK-LABEL: sage_tile.kernel @rows
// CHECK-SAME:    %[[X:arg0]]
// CHECK:       %[[INSIDE:[0-9]+]] = arith.cmpi slt, %[[COLUMN:[0-9]+]], %c72 : index
// CHECK:       scf.if %[[INSIDE]] -> (vector<8xf16>)
// CHECK:         scf.if %[[WIDE:[0-9]+]] -> (vector<8xf16>)
// CHECK:           sage_tile.lane_load %[[X]][%{{.*}}, %[[COLUMN]]] : {{.*}} to vector<8xf16>
// CHECK:         } else {
// CHECK-COUNT-8:   sage_tile.lane_load %[[X]][%{{.*}}, %{{.*}}] : {{.*}} to vector<1xf16>
// CHECK:         scf.yield %{{.*}} : vector<8xf16>
// CHECK:       } else {
// CHECK:         scf.yield %cst{{.*}} : vector<8xf16>
// CHECK:       arith.cmpi slt, %[[COLUMN]], %c80 : index
// CHECK:         scf.if %[[WIDE]] {
// CHECK:           sage_tile.lane_store {{.*}} : vector<8xf16> to
// CHECK:         } else {
// CHECK-COUNT-8:   sage_tile.lane_store {{.*}} : vector<1xf16> to
sage_tile.kernel @rows(%x: !x, %y: !x, %align: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %sixteen = arith.constant 16 : i32
  %wide = arith.cmpi eq, %align, %sixteen : i32
  %v = sage_tile.load %x[%c0, %c0] aligned(%wide) columns(72) : !x to !sage_tile.fragment<2x128xf16, #rows>
  sage_tile.store %v, %y[%c0, %c0] aligned(%wide) columns(80) : !sage_tile.fragment<2x128xf16, #rows> to !x
  sage_tile.return
}

// A dynamic limit of columns splits accesses; the second block of columns is outside in every lane.
// CHECK-LABEL: sage_tile.kernel @columns
// CHECK-COUNT-4: sage_tile.lane_load {{.*}} to vector<1xf16>
// CHECK-NOT:   sage_tile.lane_load
// A limit that is a multiple of the access does not.
// CHECK:       sage_tile.lane_store {{.*}} : vector<2xf16> to
sage_tile.kernel @columns(%x: !x, %y: !x, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %limit = arith.index_cast %n : i32 to index
  %v = sage_tile.load %x[%c0, %c0] column_limit(%limit) columns(8) : !x to !sage_tile.fragment<16x16xf16, #acc>
  %limit4 = arith.muli %limit, %c4 : index
  sage_tile.store %v, %y[%c0, %c0] column_limit(%limit4) : !sage_tile.fragment<16x16xf16, #acc> to !x
  sage_tile.return
}

// Bytes of a mask are elements of their own.
// CHECK-LABEL: sage_tile.kernel @booleans
// CHECK:       sage_tile.lane_load {{.*}} : memref<?x32xi1> to vector<2xi8>
// CHECK:       arith.cmpi ne, %{{.*}}, %{{.*}} : vector<16xi8>
// CHECK:       sage_tile.lane_store %{{.*}}, {{.*}} : vector<2xi8> to memref<?x32xi1>
sage_tile.kernel @booleans(%x: memref<?x32xi1>, %y: memref<?x32xi1>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x32xi1> to !sage_tile.fragment<16x32xi1, #acc4>
  sage_tile.store %v, %y[%c0, %c0] : !sage_tile.fragment<16x32xi1, #acc4> to memref<?x32xi1>
  sage_tile.return
}

// Two words of bytes become one of nibbles. A transposed store splits words into bytes.
// CHECK-LABEL: sage_tile.kernel @nibbles
// CHECK:       %[[X:.*]] = sage_tile.lane_load {{.*}} to vector<2xi32>
// CHECK:       %[[N:.*]] = arith.andi %[[X]], %{{.*}} : vector<2xi32>
// CHECK:       arith.shrui %[[N]]
// CHECK:       arith.shrui
// CHECK:       arith.shli
// CHECK:       %[[P:.*]] = arith.ori %{{.*}}, %{{.*}} : vector<1xi32>
// CHECK:       sage_tile.lane_store %[[P]], {{.*}} : vector<1xi32> to memref<?x64xi8>
// CHECK:       vector.bitcast %[[P]] : vector<1xi32> to vector<4xi8>
// CHECK-COUNT-4: sage_tile.lane_store {{.*}} : vector<1xi8> to memref<64x2xi8>
sage_tile.kernel @nibbles(%x: memref<?x128xi8>, %y: memref<?x64xi8>, %t: memref<64x2xi8>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.load %x[%c0, %c0] : memref<?x128xi8> to !sage_tile.fragment<2x128xi8, #rows>
  %p = sage_tile.pack_nibbles %v : !sage_tile.fragment<2x128xi8, #rows> to !sage_tile.fragment<2x64xi8, #packed>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<2x64xi8, #packed> to memref<?x64xi8>
  sage_tile.store %p, %t[%c0, %c0] map affine_map<(r, c) -> (c, r)> : !sage_tile.fragment<2x64xi8, #packed> to memref<64x2xi8>
  sage_tile.return
}
}
