// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// Tiles lie at fixed offsets of one external array: a swizzled tile first, at a multiple of 1024 bytes.
// CHECK: llvm.mlir.global external @sage_shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
gpu.module @kernels {

// A memref is a pointer and its dynamic strides; memory that is only read says so.
// CHECK-LABEL: llvm.func @arguments
// CHECK-SAME:    (%[[X:[a-z0-9]+]]: !llvm.ptr<1> {llvm.noalias, llvm.readonly}, %[[STRIDE:[a-z0-9]+]]: i64,
// CHECK-SAME:     %[[Y:[a-z0-9]+]]: !llvm.ptr<1> {llvm.noalias},
// CHECK-SAME:     %{{[a-z0-9]+}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}, %{{[a-z0-9]+}}: i32)
// CHECK-SAME:    attributes {
// CHECK-SAME:      denormal_fp_math_f32 = "preserve-sign,preserve-sign"
// CHECK-SAME:      gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 128>, nvvm.minctasm = 1 : i32,
// CHECK-SAME:      passthrough = ["noimplicitfloat"], sage.shared_bytes = 0 : i64}
// CHECK-DAG:     %[[BLOCK:.*]] = nvvm.read.ptx.sreg.ctaid.x : i32
// CHECK-DAG:     %[[ROW:.*]] = arith.extsi %[[BLOCK]] : i32 to i64
// CHECK:         arith.muli %[[ROW]], %[[STRIDE]] : i64
// CHECK:         %[[V:.*]] = llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xf16>
// CHECK:         llvm.store %[[V]], %{{.*}} {alignment = 16 : i64} : vector<8xf16>, !llvm.ptr<1>
sage_tile.kernel @arguments(%x: memref<?x?xf16, strided<[?, 1]>>, %y: memref<?x64xf16>, %m: !sage_tile.tensor_map<64x128xi8, swizzle = 128>, %n: i32)
    attributes {unit = #sage_tile.unit<warp>, units = 4 : i32, flush_denormals} {
  %c0 = arith.constant 0 : index
  %b = sage_tile.block_id
  %v = sage_tile.lane_load %x[%b, %c0] : memref<?x?xf16, strided<[?, 1]>> to vector<8xf16>
  sage_tile.lane_store %v, %y[%b, %c0] : vector<8xf16> to memref<?x64xf16>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @shared
// CHECK-SAME:    sage.shared_bytes = 8208 : i64
// CHECK-DAG:     %[[TILE:.*]] = llvm.mlir.addressof @sage_shared : !llvm.ptr<3>
// CHECK-DAG:     llvm.getelementptr %[[TILE]][8192] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
// A stage lies 4096 bytes after the one before; 16-byte pieces of a row are XORed with its number in eight.
// CHECK:         %[[STAGE:.*]] = llvm.getelementptr %[[TILE]][%{{.*}}] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
// CHECK:         %[[ROW:.*]] = arith.muli %{{.*}}, %c128_i32 : i32
// CHECK:         %[[SHIFTED:.*]] = arith.shrui %[[ROW]], %c3_i32 : i32
// CHECK:         %[[PATTERN:.*]] = arith.andi %[[SHIFTED]], %c112_i32 : i32
// CHECK:         %[[AT:.*]] = arith.addi %[[ROW]], %[[PATTERN]] : i32
// CHECK:         %[[POINTER:.*]] = llvm.getelementptr %[[STAGE]][%[[AT]]]
// CHECK:         llvm.load volatile %[[POINTER]] {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK:         llvm.getelementptr %[[STAGE]][144]
// CHECK-NOT:     index
sage_tile.kernel @shared(%n: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %c1 = arith.constant 1 : index
  %c0 = arith.constant 0 : index
  %vector = sage_tile.alloc : !sage_tile.shared<4xf32>
  %tiles = sage_tile.alloc : !sage_tile.shared<2x32x128xi8, swizzle = 128>
  %lane = sage_tile.lane_id
  %i = arith.index_cast %n : i32 to index
  %tile = sage_tile.stage %tiles[%i] : !sage_tile.shared<2x32x128xi8, swizzle = 128> to !sage_tile.shared<32x128xi8, swizzle = 128>
  %v = sage_tile.lane_load volatile %tile[%lane, %c0] : !sage_tile.shared<32x128xi8, swizzle = 128> to vector<4xi32>
  sage_tile.lane_store %v, %tile[%c1, %c0] : vector<4xi32> to !sage_tile.shared<32x128xi8, swizzle = 128>
  %s = sage_tile.lane_load %vector[%c0] : !sage_tile.shared<4xf32> to vector<1xf32>
  sage_tile.lane_store %s, %vector[%c1] : vector<1xf32> to !sage_tile.shared<4xf32>
  sage_tile.return
}
}
