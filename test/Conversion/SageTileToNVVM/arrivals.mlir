// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute),convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// A stage is given back by lane 0 of each warp. What lanes have read by ordinary loads must have happened then: the wait for a
// product, which stands between, orders the product's own reads only.

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#each = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 0), 8:(0, 0)], reg = [4:(0, 1)]>

gpu.module @kernels {

// CHECK-LABEL: llvm.func @scales_then_product
// CHECK:         wgmma.wait_group.sync.aligned 0;
// CHECK:         nvvm.bar.warp.sync
// CHECK:         mbarrier.arrive.shared::cta
// Nothing but a product has read the second stage.
// CHECK:         wgmma.wait_group.sync.aligned 0;
// CHECK-NOT:     nvvm.bar.warp.sync
// CHECK:         mbarrier.arrive.shared::cta
// Loads in a branch count as well.
// CHECK:         scf.if
// CHECK:         nvvm.bar.warp.sync
// CHECK:         mbarrier.arrive.shared::cta
// CHECK-NOT:     nvvm.bar.warp.sync
sage_tile.kernel @scales_then_product(%k: !sage_tile.tensor_map<8x32xf16, swizzle = 64>, %s: memref<?xf32>, %y: memref<64x8xf32>, %z: memref<1x4xf32>, %n: i32)
    attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %q = sage_tile.alloc : !sage_tile.shared<64x32xf16, swizzle = 64>
  %tile = sage_tile.alloc : !sage_tile.shared<8x32xf16, swizzle = 64>
  %scales = sage_tile.alloc : !sage_tile.shared<1x4xf32>
  %full = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<1>
  %empty = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<1>
  %i = arith.index_cast %n : i32 to index
  %some = arith.cmpi slt, %c0, %i : index
  sage_tile.specialize producer registers(24) {
    sage_tile.barrier_wait %empty[%c0] parity(%c1) : !sage_tile.barrier<1>
    sage_tile.barrier_expect %full[%c0] bytes(512) : !sage_tile.barrier<1>
    sage_tile.copy_async %k[%i, %c0] to %tile arrive %full[%c0] : !sage_tile.tensor_map<8x32xf16, swizzle = 64> to !sage_tile.shared<8x32xf16, swizzle = 64>, !sage_tile.barrier<1>
  } consumer registers(240) {
    sage_tile.barrier_wait %full[%c0] parity(%c0) : !sage_tile.barrier<1>
    %v = sage_tile.load %scales[%c0, %c0] : !sage_tile.shared<1x4xf32> to !sage_tile.fragment<1x4xf32, #each>
    %acc = sage_tile.splat %zero : f32 to !sage_tile.fragment<64x8xf32, #acc>
    %a0 = sage_tile.mma_async %q, %tile, %acc : !sage_tile.shared<64x32xf16, swizzle = 64>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<64x8xf32, #acc>
    %a = sage_tile.wait %a0 pending(0) : !sage_tile.async<!sage_tile.fragment<64x8xf32, #acc>>
    sage_tile.barrier_arrive %empty[%c0] : !sage_tile.barrier<1>
    %b0 = sage_tile.mma_async %q, %tile, %a : !sage_tile.shared<64x32xf16, swizzle = 64>, !sage_tile.shared<8x32xf16, swizzle = 64> to !sage_tile.fragment<64x8xf32, #acc>
    %b = sage_tile.wait %b0 pending(0) : !sage_tile.async<!sage_tile.fragment<64x8xf32, #acc>>
    sage_tile.barrier_arrive %empty[%c0] : !sage_tile.barrier<1>
    scf.if %some {
      %w = sage_tile.load %scales[%c0, %c0] : !sage_tile.shared<1x4xf32> to !sage_tile.fragment<1x4xf32, #each>
      sage_tile.store %w, %z[%c0, %c0] : !sage_tile.fragment<1x4xf32, #each> to memref<1x4xf32>
    }
    sage_tile.barrier_arrive %empty[%c0] : !sage_tile.barrier<1>
    sage_tile.store %b, %y[%c0, %c0] : !sage_tile.fragment<64x8xf32, #acc> to memref<64x8xf32>
    sage_tile.store %v, %z[%c0, %c0] : !sage_tile.fragment<1x4xf32, #each> to memref<1x4xf32>
  }
  sage_tile.return
}
}
