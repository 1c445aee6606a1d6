// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute),convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// Types of operands and accumulators of wgmma, from fragments.

#a8 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 2:(0, 32)]>
#a16 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#acc264 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 33:(0, 8)]>

gpu.module @kernels {
// Halves name the direction of operands in shared memory; a step in depth is 32 bytes (16 halves), 2 in the descriptor.
// CHECK-LABEL: llvm.func @f16
// CHECK:         llvm.inline_asm {{.*}}m64n8k16.f32.f16.f16 {$0,$1,$2,$3}, $4, $5, p, 1, 1, 0, 0; }"
// CHECK:         arith.addi %{{.*}}, %c2_i32
// CHECK:         llvm.inline_asm {{.*}}m64n8k16.f32.f16.f16
// CHECK:         llvm.inline_asm {{.*}}m64n8k16.f32.f16.f16 {$0,$1,$2,$3}, {$4,$5,$6,$7}, $8, p, 1, 1, 0; }"
// The accumulator of 64x8 halves is two words.
// CHECK:         llvm.inline_asm {{.*}}m64n8k16.f16.f16.f16 {$0,$1}, $2, $3, p, 1, 1, 0, 0; }"
sage_tile.kernel @f16(%x: memref<64x32xf16>, %y: memref<64x8xf32>, %h: memref<64x8xf16>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : f16
  %q = sage_tile.alloc : !sage_tile.shared<64x32xf16, swizzle = 64>
  %k = sage_tile.alloc : !sage_tile.shared<8x32xf16, swizzle = 64>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<64x8xf32, #acc>
  %p = sage_tile.mma %q, %k, %s : !sage_tile.shared<64x32xf16, swizzle = 64>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<64x8xf32, #acc>
  %a = sage_tile.load %x[%c0, %c0] : memref<64x32xf16> to !sage_tile.fragment<64x32xf16, #a16>
  %o = sage_tile.mma %a, %k, %p : !sage_tile.fragment<64x32xf16, #a16>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<64x8xf32, #acc>
  sage_tile.store %o, %y[%c0, %c0] : !sage_tile.fragment<64x8xf32, #acc> to memref<64x8xf32>
  %t = sage_tile.splat %half : f16 to !sage_tile.fragment<64x8xf16, #acc>
  %u = sage_tile.mma %q, %k, %t : !sage_tile.shared<64x32xf16, swizzle = 64>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<64x8xf16, #acc>
  sage_tile.store %u, %h[%c0, %c0] : !sage_tile.fragment<64x8xf16, #acc> to memref<64x8xf16>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @f8
// CHECK:         llvm.inline_asm {{.*}}m64n8k32.f32.e5m2.e5m2 {$0,$1,$2,$3}, {$4,$5,$6,$7}, $8, p, 1, 1; }"
// CHECK:         llvm.inline_asm {{.*}}m64n8k32.f16.e5m2.e5m2 {$0,$1}, $2, $3, p, 1, 1; }"
sage_tile.kernel @f8(%x: memref<64x64xf8E5M2>, %y: memref<64x8xf32>, %h: memref<64x8xf16>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.0 : f16
  %q = sage_tile.alloc : !sage_tile.shared<64x64xf8E5M2, swizzle = 64>
  %k = sage_tile.alloc : !sage_tile.shared<8x64xf8E5M2, swizzle = 64>
  %a = sage_tile.load %x[%c0, %c0] : memref<64x64xf8E5M2> to !sage_tile.fragment<64x64xf8E5M2, #a8>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<64x8xf32, #acc>
  %o = sage_tile.mma %a, %k, %s : !sage_tile.fragment<64x64xf8E5M2, #a8>, !sage_tile.shared<8x64xf8E5M2, swizzle = 64> to !sage_tile.fragment<64x8xf32, #acc>
  sage_tile.store %o, %y[%c0, %c0] : !sage_tile.fragment<64x8xf32, #acc> to memref<64x8xf32>
  %t = sage_tile.splat %half : f16 to !sage_tile.fragment<64x8xf16, #acc>
  %u = sage_tile.mma %q, %k, %t : !sage_tile.shared<64x64xf8E5M2, swizzle = 64>, !sage_tile.shared<8x64xf8E5M2, swizzle = 64> to !sage_tile.fragment<64x8xf16, #acc>
  sage_tile.store %u, %h[%c0, %c0] : !sage_tile.fragment<64x8xf16, #acc> to memref<64x8xf16>
  sage_tile.return
}

// 264 columns are 256 and 8. The second panel adds to the registers of the first without a wait between.
// CHECK-LABEL: llvm.func @panels
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16
// CHECK:         nvvm.wgmma.commit.group.sync.aligned
// CHECK-NOT:     wgmma.wait_group
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// CHECK:         llvm.inline_asm {{.*}}setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16
// CHECK:         nvvm.wgmma.commit.group.sync.aligned
// CHECK:         llvm.inline_asm {{.*}}wgmma.wait_group.sync.aligned 0;
sage_tile.kernel @panels(%y: memref<64x264xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %q = sage_tile.alloc : !sage_tile.shared<64x16xbf16, swizzle = 32>
  %k0 = sage_tile.alloc : !sage_tile.shared<264x16xbf16, swizzle = 32>
  %k1 = sage_tile.alloc : !sage_tile.shared<264x16xbf16, swizzle = 32>
  %s = sage_tile.splat %zero : f32 to !sage_tile.fragment<64x264xf32, #acc264>
  %p0 = sage_tile.mma_async %q, %k0, %s : !sage_tile.shared<64x16xbf16, swizzle = 32>, !sage_tile.shared<264x16xbf16, swizzle = 32> to !sage_tile.fragment<64x264xf32, #acc264>
  %p1 = sage_tile.mma_async %q, %k1, %p0 : !sage_tile.shared<64x16xbf16, swizzle = 32>, !sage_tile.shared<264x16xbf16, swizzle = 32> to !sage_tile.async<!sage_tile.fragment<64x264xf32, #acc264>>
  %p = sage_tile.wait %p1 pending(0) : !sage_tile.async<!sage_tile.fragment<64x264xf32, #acc264>>
  sage_tile.store %p, %y[%c0, %c0] : !sage_tile.fragment<64x264xf32, #acc264> to memref<64x264xf32>
  sage_tile.return
}
}
