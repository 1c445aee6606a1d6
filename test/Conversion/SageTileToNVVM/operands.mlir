// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute),convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// Every type of operands and accumulators of mma.sync, from fragments.

#a8 = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#a16 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>

gpu.module @kernels {
// A lane's 16 bytes of A hold 8 nibbles a word.
// CHECK-LABEL: llvm.func @int4
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 4
// CHECK:         nvvm.mma.sync {{.*}}multiplicandAPtxType = #nvvm.mma_type<s4>, multiplicandBPtxType = #nvvm.mma_type<s4>, shape = #nvvm.shape<m = 16, n = 8, k = 64>
sage_tile.kernel @int4(%y: memref<16x8xi32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %q = sage_tile.alloc : !sage_tile.shared<16x32xi8, swizzle = 32>
  %k = sage_tile.alloc : !sage_tile.shared<8x32xi8, swizzle = 32>
  %a = sage_tile.load %q[%c0, %c0] : !sage_tile.shared<16x32xi8, swizzle = 32> to !sage_tile.fragment<16x32xi8, #a8>
  %s = sage_tile.splat %zero : i32 to !sage_tile.fragment<16x8xi32, #acc>
  %p = sage_tile.mma %a, %k, %s int4 : !sage_tile.fragment<16x32xi8, #a8>, !sage_tile.shared<8x32xi8, swizzle = 32> to !sage_tile.fragment<16x8xi32, #acc>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<16x8xi32, #acc> to memref<16x8xi32>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @e5m2
// CHECK:         nvvm.convert.f32x2.to.f8x2 {{.*}}(f8E5M2)
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32"
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f16.e5m2.e5m2.f16"
sage_tile.kernel @e5m2(%x: memref<16x32xf32>, %y: memref<16x8xf32>, %h: memref<16x8xf16>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : f16
  %v = sage_tile.alloc : !sage_tile.shared<8x32xf8E5M2, swizzle = 32>
  %f = sage_tile.load %x[%c0, %c0] : memref<16x32xf32> to !sage_tile.fragment<16x32xf32, #a8>
  %a = sage_tile.convert %f : !sage_tile.fragment<16x32xf32, #a8> to !sage_tile.fragment<16x32xf8E5M2, #a8>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<16x8xf32, #acc>
  %p = sage_tile.mma %a, %v, %s : !sage_tile.fragment<16x32xf8E5M2, #a8>, !sage_tile.shared<8x32xf8E5M2, swizzle = 32> to !sage_tile.fragment<16x8xf32, #acc>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc> to memref<16x8xf32>
  %t = sage_tile.splat %half : f16 to !sage_tile.fragment<16x8xf16, #acc>
  %o = sage_tile.mma %a, %v, %t : !sage_tile.fragment<16x32xf8E5M2, #a8>, !sage_tile.shared<8x32xf8E5M2, swizzle = 32> to !sage_tile.fragment<16x8xf16, #acc>
  sage_tile.store %o, %h[%c0, %c0] : !sage_tile.fragment<16x8xf16, #acc> to memref<16x8xf16>
  sage_tile.return
}

// Rounded to f16 and bf16, an accumulator's 16 columns are an A operand as they are.
// CHECK-LABEL: llvm.func @halves
// CHECK:         arith.truncf %{{.*}} : vector<8xf32> to vector<8xf16>
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f16.f16"
// CHECK:         arith.truncf %{{.*}} : vector<8xf32> to vector<8xbf16>
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
sage_tile.kernel @halves(%x: memref<16x16xf32>, %y: memref<16x8xf32>, %h: memref<16x8xf16>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : f16
  %v = sage_tile.alloc : !sage_tile.shared<8x16xf16, swizzle = 32>
  %w = sage_tile.alloc : !sage_tile.shared<8x16xbf16, swizzle = 32>
  %f = sage_tile.load %x[%c0, %c0] : memref<16x16xf32> to !sage_tile.fragment<16x16xf32, #a16>
  %a = sage_tile.convert %f : !sage_tile.fragment<16x16xf32, #a16> to !sage_tile.fragment<16x16xf16, #a16>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<16x8xf32, #acc>
  %p = sage_tile.mma %a, %v, %s : !sage_tile.fragment<16x16xf16, #a16>, !sage_tile.shared<8x16xf16, swizzle = 32> to !sage_tile.fragment<16x8xf32, #acc>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc> to memref<16x8xf32>
  %t = sage_tile.splat %half : f16 to !sage_tile.fragment<16x8xf16, #acc>
  %o = sage_tile.mma %a, %v, %t : !sage_tile.fragment<16x16xf16, #a16>, !sage_tile.shared<8x16xf16, swizzle = 32> to !sage_tile.fragment<16x8xf16, #acc>
  sage_tile.store %o, %h[%c0, %c0] : !sage_tile.fragment<16x8xf16, #acc> to memref<16x8xf16>
  %b = sage_tile.convert %f : !sage_tile.fragment<16x16xf32, #a16> to !sage_tile.fragment<16x16xbf16, #a16>
  %r = sage_tile.mma %b, %w, %p : !sage_tile.fragment<16x16xbf16, #a16>, !sage_tile.shared<8x16xbf16, swizzle = 32> to !sage_tile.fragment<16x8xf32, #acc>
  sage_tile.store %r, %y[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc> to memref<16x8xf32>
  sage_tile.return
}

// A in shared memory is loaded step by step.
// CHECK-LABEL: llvm.func @shared
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 4
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 2
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 4
// CHECK:         nvvm.ldmatrix %{{.*}} {{{.*}}num = 2
// CHECK:         llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
sage_tile.kernel @shared(%y: memref<16x8xf32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %q = sage_tile.alloc : !sage_tile.shared<32x32xf16, swizzle = 64>
  %k = sage_tile.alloc : !sage_tile.shared<8x32xf16, swizzle = 64>
  %unit = sage_tile.unit_id
  %row = arith.muli %unit, %c16 : index
  %mine = sage_tile.subtile %q[%row] : !sage_tile.shared<32x32xf16, swizzle = 64> to !sage_tile.shared<16x32xf16, swizzle = 64>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<16x8xf32, #acc>
  %p = sage_tile.mma %mine, %k, %s : !sage_tile.shared<16x32xf16, swizzle = 64>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<16x8xf32, #acc>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc> to memref<16x8xf32>
  sage_tile.return
}

// One scalar for all lanes; only marked divisions are approximate.
// CHECK-LABEL: llvm.func @scalars
// CHECK:         %[[X:.*]] = llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> i32
// CHECK:         nvvm.shfl.sync idx %{{.*}}, %[[X]], %c0_i32, %c31_i32
// CHECK:         llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"
// CHECK:         arith.divf
sage_tile.kernel @scalars(%x: memref<?xi32>, %y: memref<16x8xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32, flush_denormals} {
  %i = sage_tile.block_id
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %n = sage_tile.read %x[%i] : memref<?xi32> to i32
  %f = arith.sitofp %n : i32 to f32
  %v = sage_tile.load %y[%c0, %c0] : memref<16x8xf32> to !sage_tile.fragment<16x8xf32, #acc>
  %w = sage_tile.map ins(%v : !sage_tile.fragment<16x8xf32, #acc>) to !sage_tile.fragment<16x8xf32, #acc> {
  ^bb0(%e: f32):
    %0 = arith.divf %f, %e fastmath<arcp> : f32
    %1 = arith.divf %0, %f : f32
    sage_tile.yield %1 : f32
  }
  sage_tile.store %w, %y[%c0, %c0] : !sage_tile.fragment<16x8xf32, #acc> to memref<16x8xf32>
  sage_tile.return
}
}
