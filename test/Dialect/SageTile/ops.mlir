// RUN: sage-opt %s | sage-opt | FileCheck %s
// RUN: sage-opt %s --mlir-print-op-generic | sage-opt | FileCheck %s

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
#half = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 8:(0, 8)]>
#row = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#a8 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 4:(0, 32)]>
#quad = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 1), 8:(0, 0)], reg = []>
#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>
!k = !sage_tile.shared<128x128xi8, swizzle = 128>
!v = !sage_tile.shared<128x128xf8E4M3FN, swizzle = 128>
!acc = !sage_tile.fragment<64x128xf32, #acc>

// CHECK-LABEL: sage_tile.program @attention
// CHECK: sage_tile.workspace "key8" bytes #{{.*}}
// CHECK: sage_tile.launch @kernels::@attention grid #{{.*}} args [#sage_tile.tensor_map<"key8", i8, extents = ()[{{.*}}] -> (128, {{.*}}), strides = () -> (128), box = [128, 128], swizzle = 128>, #sage_tile.pointer<"output">, #sage_tile.integer<i64, ()[{{.*}}] -> (s3)>, #sage_tile.integer<i32, ()[{{.*}}] -> (s3)>, #sage_tile.scale<1.442695{{.*}} : f64>]
sage_tile.program @attention {head_dim = 128} {
  sage_tile.workspace "key8" bytes affine_map<()[b, hq, hkv, nq, nk] -> (b * hkv * nk * 128)>
  sage_tile.launch @kernels::@attention grid affine_map<()[b, hq, hkv, nq] -> (b * hq * (nq ceildiv 64))> args [
    #sage_tile.tensor_map<"key8", i8, extents = ()[b, hq, hkv, nq, nk] -> (128, b * hkv * nk),
      strides = () -> (128), box = [128, 128], swizzle = 128>,
    #sage_tile.pointer<"output">, #sage_tile.integer<i64, ()[b, hq, hkv, nq] -> (nq)>,
    #sage_tile.integer<i32, ()[b, hq, hkv, nq] -> (nq)>,
    #sage_tile.scale<1.4426950408889634 : f64>]
}

gpu.module @kernels {
  // CHECK: sage_tile.kernel @empty(%{{.*}}: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32}
  sage_tile.kernel @empty(%n: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    sage_tile.return
  }

  // CHECK: sage_tile.kernel @attention
  sage_tile.kernel @attention(%map: !sage_tile.tensor_map<128x128xi8, swizzle = 128>,
                              %out: memref<?x?x128xf32, strided<[?, 128, 1]>>, %n: i32, %scale: f32)
      attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
    %c0 = arith.constant 0 : index
    %c8 = arith.constant 8 : index
    %zero = arith.constant 0 : i32
    %one = arith.constant 1.0 : f32
    // CHECK: sage_tile.block_id
    %block = sage_tile.block_id
    // CHECK: sage_tile.alloc : <2x128x128xi8, swizzle = 128>
    %ring = sage_tile.alloc : !sage_tile.shared<2x128x128xi8, swizzle = 128>
    %vs = sage_tile.alloc : !v
    // CHECK: sage_tile.fill %{{.*}} with 1.000000e+00 : f8E4M3FN
    sage_tile.fill %vs with 1.0 : f8E4M3FN : !v
    // CHECK: sage_tile.barrier_alloc arrivals(1) : <2>
    %full = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<2>
    // CHECK: sage_tile.specialize producer registers(32) {
    sage_tile.specialize producer registers(32) {
      // CHECK: sage_tile.barrier_expect %{{.*}}[%{{.*}}] bytes(16384)
      sage_tile.barrier_expect %full[%c0] bytes(16384) : !sage_tile.barrier<2>
      %k = sage_tile.stage %ring[%c0] : !sage_tile.shared<2x128x128xi8, swizzle = 128> to !k
      // CHECK: sage_tile.copy_async %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}} arrive %{{.*}}[%{{.*}}]
      sage_tile.copy_async %map[%block, %c0] to %k arrive %full[%c0]
        : !sage_tile.tensor_map<128x128xi8, swizzle = 128> to !k, !sage_tile.barrier<2>
    // CHECK: } consumer registers(160) {
    } consumer registers(160) {
      // CHECK: sage_tile.unit_id
      %unit = sage_tile.unit_id
      // CHECK: sage_tile.stage
      %k = sage_tile.stage %ring[%c0] : !sage_tile.shared<2x128x128xi8, swizzle = 128> to !k
      // CHECK: sage_tile.subtile %{{.*}}[%{{.*}}] : <128x128xi8, swizzle = 128> to <64x128xi8, swizzle = 128>
      %q = sage_tile.subtile %k[%c8] : !k to !sage_tile.shared<64x128xi8, swizzle = 128>
      // CHECK: sage_tile.barrier_wait %{{.*}}[%{{.*}}] parity(%{{.*}})
      sage_tile.barrier_wait %full[%c0] parity(%c0) : !sage_tile.barrier<2>
      // CHECK: sage_tile.splat
      %z = sage_tile.splat %zero : i32 to !sage_tile.fragment<64x128xi32, #acc>
      // CHECK: sage_tile.mma
      %s = sage_tile.mma %q, %k, %z : !sage_tile.shared<64x128xi8, swizzle = 128>, !k to !sage_tile.fragment<64x128xi32, #acc>
      // CHECK: sage_tile.map positions ins(
      %x = sage_tile.map positions ins(%s : !sage_tile.fragment<64x128xi32, #acc>) to !acc {
      ^bb0(%r: i32, %c: i32, %e: i32):
        %0 = arith.sitofp %e : i32 to f32
        %1 = arith.mulf %0, %scale : f32
        sage_tile.yield %1 : f32
      }
      // CHECK: sage_tile.reduce <maximumf>
      %m = sage_tile.reduce <maximumf> %x : !acc to !sage_tile.fragment<64x1xf32, #row>
      // CHECK: sage_tile.reduce <addf> %{{.*}} map #{{.*}} :
      %t = sage_tile.reduce <addf> %x map affine_map<(r, c) -> (0, (c mod 8) floordiv 2)> : !acc to !sage_tile.fragment<1x4xf32, #quad>
      // CHECK: sage_tile.map ins(
      // CHECK-SAME: maps [
      %p = sage_tile.map ins(%x, %m, %t : !acc, !sage_tile.fragment<64x1xf32, #row>, !sage_tile.fragment<1x4xf32, #quad>)
          maps [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, 0)>, affine_map<(r, c) -> (0, (c mod 8) floordiv 2)>]
          to !acc {
      ^bb0(%e: f32, %f: f32, %g: f32):
        %0 = arith.subf %e, %f : f32
        %1 = arith.mulf %0, %g : f32
        %2 = math.exp2 %1 : f32
        sage_tile.yield %2 : f32
      }
      // CHECK: sage_tile.schedule_barrier
      sage_tile.schedule_barrier
      // CHECK: sage_tile.order_after
      %po = sage_tile.order_after %p, %x : !acc, !acc
      // CHECK: sage_tile.convert %{{.*}} order #{{.*}} :
      %p8 = sage_tile.convert %po order affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
          : !acc to !sage_tile.fragment<64x128xf8E4M3FN, #a8>
      // CHECK: sage_tile.slice %{{.*}}[64]
      %lo = sage_tile.slice %x[0] : !acc to !sage_tile.fragment<64x64xf32, #half>
      %hi = sage_tile.slice %x[64] : !acc to !sage_tile.fragment<64x64xf32, #half>
      // CHECK: sage_tile.concat
      %both = sage_tile.concat %lo, %hi : !sage_tile.fragment<64x64xf32, #half>, !sage_tile.fragment<64x64xf32, #half> to !acc
      // CHECK: sage_tile.mma_async
      %async = sage_tile.mma_async %p8, %vs, %both : !sage_tile.fragment<64x128xf8E4M3FN, #a8>, !v to !acc
      // CHECK: sage_tile.wait %{{.*}} pending(0)
      %o = sage_tile.wait %async pending(0) : !sage_tile.async<!acc>
      // CHECK: sage_tile.sync
      sage_tile.sync
      // CHECK: sage_tile.sync unit
      sage_tile.sync unit
      %limit = arith.index_cast %n : i32 to index
      // CHECK: sage_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] limit(%{{.*}})
      sage_tile.store %o, %out[%block, %c0, %c0] limit(%limit) : !acc to memref<?x?x128xf32, strided<[?, 128, 1]>>
      // CHECK: sage_tile.barrier_arrive
      sage_tile.barrier_arrive %full[%c0] : !sage_tile.barrier<2>
    }
    sage_tile.return
  }

  // CHECK: sage_tile.kernel @rows
  sage_tile.kernel @rows(%x: memref<?x?x72xf16, strided<[?, ?, 1]>>, %n: i32)
      attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    %c0 = arith.constant 0 : index
    %rows = arith.index_cast %n : i32 to index
    %aligned = arith.cmpi eq, %rows, %c0 : index
    // CHECK: sage_tile.prefetch %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] rows(%{{.*}}) columns(72) aligned(%{{.*}}) : memref<?x?x72xf16
    sage_tile.prefetch %x[%c0, %rows, %c0] rows(%rows) columns(72) aligned(%aligned) : memref<?x?x72xf16, strided<[?, ?, 1]>>
    sage_tile.return
  }

  // CHECK: sage_tile.kernel @groups
  sage_tile.kernel @groups(%x: memref<?x128xf16>, %scales: memref<?xf32>)
      attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    %c0 = arith.constant 0 : index
    %tile = sage_tile.alloc : !sage_tile.shared<16x128xf16>
    // CHECK: sage_tile.copy %
    sage_tile.copy %x[%c0, %c0] to %tile : memref<?x128xf16> to !sage_tile.shared<16x128xf16>
    // CHECK: sage_tile.copy_async %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}} :
    sage_tile.copy_async %x[%c0, %c0] to %tile : memref<?x128xf16> to !sage_tile.shared<16x128xf16>
    // CHECK: sage_tile.commit_group
    sage_tile.commit_group
    // CHECK: sage_tile.wait_group 0
    sage_tile.wait_group 0
    sage_tile.sync
    // CHECK: sage_tile.load %{{.*}}[%{{.*}}, %{{.*}}] :
    %f = sage_tile.load %tile[%c0, %c0] : !sage_tile.shared<16x128xf16> to !sage_tile.fragment<2x128xf16, #rows>
    // CHECK: sage_tile.load %{{.*}}[%{{.*}}] map #{{.*}} :
    %g = sage_tile.load %scales[%c0] map affine_map<(r, c) -> (c floordiv 64)> : memref<?xf32> to !sage_tile.fragment<2x128xf32, #rows>
    sage_tile.return
  }

  // CHECK: sage_tile.kernel @counters(%{{.*}}: memref<?xi32>, %{{.*}}: memref<?xf16> {sage_tile.input})
  sage_tile.kernel @counters(%counters: memref<?xi32>, %x: memref<?xf16> {sage_tile.input})
      attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    %c0 = arith.constant 0 : index
    // CHECK: sage_tile.grid_wait
    sage_tile.grid_wait
    // CHECK: %[[TICKET:.*]] = sage_tile.count %{{.*}}[%{{.*}}] : memref<?xi32>
    %ticket = sage_tile.count %counters[%c0] : memref<?xi32>
    // CHECK: sage_tile.grid_release
    sage_tile.grid_release
    // CHECK: sage_tile.await %{{.*}}[%{{.*}}] reaches %[[TICKET]] : memref<?xi32>
    sage_tile.await %counters[%c0] reaches %ticket : memref<?xi32>
    sage_tile.return
  }
}

// CHECK: sage_tile.launch @kernels::@counters grid #{{.*}} args [#sage_tile.pointer<"counters">, #sage_tile.pointer<"query">] overlaps
sage_tile.program @overlapping {} {
  sage_tile.workspace "counters" bytes affine_map<() -> (4)>
  sage_tile.launch @kernels::@counters grid affine_map<() -> (8)> args [
    #sage_tile.pointer<"counters">, #sage_tile.pointer<"query">] overlaps
}
