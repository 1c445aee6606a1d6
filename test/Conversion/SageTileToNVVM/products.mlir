// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

gpu.module @kernels {

// Two steps of 32 bytes; in each, two column blocks share an ldmatrix and the third has its own. In depth the
// swizzled address changes by an exclusive or.
// CHECK-LABEL: llvm.func @mma_sync
// CHECK:         nvvm.ldmatrix
// CHECK:         nvvm.ldmatrix %[[AT:.*]] {{{.*}}num = 4
// CHECK:         %[[S:.*]] = nvvm.mma.sync A[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}]  B[%{{.*}}, %{{.*}}]  C[{{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>
// CHECK:         nvvm.mma.sync
// CHECK:         llvm.getelementptr %[[AT]][1024]
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 2
// CHECK:         nvvm.mma.sync
// CHECK:         arith.xori %{{.*}}, %c32_i32
// CHECK:         nvvm.ldmatrix
// CHECK:         nvvm.mma.sync
sage_tile.kernel @mma_sync(%z: i32, %y: memref<?x4xi32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %q = sage_tile.alloc : !sage_tile.shared<16x64xi8, swizzle = 64>
  %k = sage_tile.alloc : !sage_tile.shared<24x64xi8, swizzle = 64>
  %lane = sage_tile.lane_id
  %a0 = sage_tile.load_matrix %q[%lane, %c0] : !sage_tile.shared<16x64xi8, swizzle = 64> to vector<4xi32>
  %a = vector.shuffle %a0, %a0 [0, 1, 2, 3, 4, 5, 6, 7] : vector<4xi32>, vector<4xi32>
  %s = vector.broadcast %z : i32 to vector<12xi32>
  %p = sage_tile.mma %a, %k, %s : vector<8xi32>, !sage_tile.shared<24x64xi8, swizzle = 64> to vector<12xi32>
  %r = vector.extract_strided_slice %p {offsets = [0], sizes = [4], strides = [1]} : vector<12xi32> to vector<4xi32>
  sage_tile.lane_store %r, %y[%lane, %c0] : vector<4xi32> to memref<?x4xi32>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @e4m3
// CHECK:         %[[LOW:.*]] = nvvm.convert.f32x2.to.f8x2
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 2
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"
sage_tile.kernel @e4m3(%z: f32, %y: memref<?x4xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.alloc : !sage_tile.shared<8x32xf8E4M3FN, swizzle = 32>
  %lane = sage_tile.lane_id
  %x = vector.broadcast %z : f32 to vector<16xf32>
  %a = sage_tile.pack %x as f8E4M3FN : vector<16xf32> to vector<4xi32>
  %s = vector.broadcast %z : f32 to vector<4xf32>
  %p = sage_tile.mma %a, %v, %s : vector<4xi32>, !sage_tile.shared<8x32xf8E4M3FN, swizzle = 32> to vector<4xf32>
  sage_tile.lane_store %p, %y[%lane, %c0] : vector<4xf32> to memref<?x4xf32>
  sage_tile.return
}

// 40 columns of s8 are 32 and 8. Descriptors: address and leading offset in the low word; stride (8 rows of 64 bytes: 32)
// and mode (2: 64 bytes) in the high one. The second unit's rows are 4096 bytes further on.
// CHECK-LABEL: llvm.func @wgmma
// CHECK:         %[[ROWS:.*]] = arith.muli %{{.*}}, %c256_i32 : i32
// CHECK:         %[[Q:[0-9]+]] = arith.addi %{{.*}}, %[[ROWS]] : i32
// CHECK:         nvvm.wgmma.fence.aligned
// CHECK:         vector.from_elements %[[Q]], %c-2147483616_i32 : vector<2xi32>
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n32k32.s32.s8.s8
// CHECK:         arith.addi %[[Q]], %c2_i32
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n32k32.s32.s8.s8
// CHECK:         llvm.inline_asm {{.*}}m64n8k32.s32.s8.s8
// CHECK:         llvm.inline_asm {{.*}}m64n8k32.s32.s8.s8
// CHECK:         nvvm.wgmma.commit.group.sync.aligned
// CHECK:         llvm.inline_asm {{.*}}wgmma.wait_group.sync.aligned 0;
// An A operand in registers is kept until its product has been waited for.
// CHECK:         nvvm.wgmma.fence.aligned
// CHECK:         llvm.inline_asm {{.*}}m64n16k32.f32.e4m3.e4m3{{.*}}, p, 1, 1; }"
// CHECK:         nvvm.wgmma.commit.group.sync.aligned
// CHECK:         llvm.inline_asm {{.*}}wgmma.wait_group.sync.aligned 0;", "=f,=f,=f,=f,=f,=f,=f,=f,r,r,r,r,0,1,2,3,4,5,6,7"
sage_tile.kernel @wgmma(%z: f32, %y: memref<?x4xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %q = sage_tile.alloc : !sage_tile.shared<128x64xi8, swizzle = 64>
  %k = sage_tile.alloc : !sage_tile.shared<40x64xi8, swizzle = 64>
  %v = sage_tile.alloc : !sage_tile.shared<16x32xf8E4M3FN, swizzle = 32>
  %unit = sage_tile.unit_id
  %row = arith.muli %unit, %c64 : index
  %lane = sage_tile.lane_id
  %mine = sage_tile.subtile %q[%row] : !sage_tile.shared<128x64xi8, swizzle = 64> to !sage_tile.shared<64x64xi8, swizzle = 64>
  %zero = arith.constant dense<0> : vector<20xi32>
  %s0 = sage_tile.mma_async %mine, %k, %zero : !sage_tile.shared<64x64xi8, swizzle = 64>, !sage_tile.shared<40x64xi8, swizzle = 64> to vector<20xi32>
  %s = sage_tile.wait %s0 pending(0) : !sage_tile.async<vector<20xi32>>
  %f = arith.sitofp %s : vector<20xi32> to vector<20xf32>
  %g = vector.extract_strided_slice %f {offsets = [0], sizes = [16], strides = [1]} : vector<20xf32> to vector<16xf32>
  %a = sage_tile.pack %g as f8E4M3FN : vector<16xf32> to vector<4xi32>
  %start = vector.broadcast %z : f32 to vector<8xf32>
  %o0 = sage_tile.mma_async %a, %v, %start : vector<4xi32>, !sage_tile.shared<16x32xf8E4M3FN, swizzle = 32> to vector<8xf32>
  %o = sage_tile.wait %o0 pending(0) : !sage_tile.async<vector<8xf32>>
  %r = vector.extract_strided_slice %o {offsets = [0], sizes = [4], strides = [1]} : vector<8xf32> to vector<4xf32>
  sage_tile.lane_store %r, %y[%lane, %c0] : vector<4xf32> to memref<?x4xf32>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @pack
// CHECK:         llvm.call_intrinsic "llvm.nvvm.lg2.approx.f"
// CHECK:         llvm.call_intrinsic "llvm.nvvm.f2i.rn"
// CHECK:         arith.maxsi %{{.*}}, %c-127_i32
// CHECK:         %[[HIGH:.*]] = llvm.inline_asm asm_dialect = att "cvt.pack.sat.s8.s32.b32 $0, $1, $2, $3;", "=r,r,r,r" %{{.*}}, %{{.*}}, %c0_i32
// CHECK:         llvm.inline_asm asm_dialect = att "cvt.pack.sat.s8.s32.b32 $0, $1, $2, $3;", "=r,r,r,r" %{{.*}}, %{{.*}}, %[[HIGH]]
sage_tile.kernel @pack(%y: memref<?x4xf32>, %z: memref<?x4xi8>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %lane = sage_tile.lane_id
  %x = sage_tile.lane_load %y[%lane, %c0] : memref<?x4xf32> to vector<4xf32>
  %l = math.log2 %x : vector<4xf32>
  %w = sage_tile.pack %l as i8 : vector<4xf32> to vector<1xi32>
  sage_tile.lane_store %w, %z[%lane, %c0] : vector<1xi32> to memref<?x4xi8>
  sage_tile.return
}
}
