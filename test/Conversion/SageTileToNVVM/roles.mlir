// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

gpu.module @kernels {

// One thread initializes the barriers before anything else. The producer's arrive once, units once for each warp.
// CHECK-LABEL: llvm.func @specialized
// CHECK-SAME:    nvvm.maxntid = array<i32: 384>
// CHECK-DAG:     %[[THREAD:.*]] = nvvm.read.ptx.sreg.tid.x : i32
// CHECK-DAG:     %[[GROUP:.*]] = nvvm.shfl.sync idx %c-1_i32, %{{.*}}, %c0_i32, %c31_i32 : i32 -> i32
// CHECK-DAG:     %[[FULL:.*]] = llvm.getelementptr %{{.*}}[8208]
// CHECK-DAG:     %[[EMPTY:.*]] = llvm.getelementptr %{{.*}}[8224]
// CHECK:         %[[ELECTED:.*]] = arith.cmpi eq, %[[THREAD]], %c0_i32
// CHECK:         scf.if %[[ELECTED]]
// CHECK:           nvvm.mbarrier.init %[[FULL]], %c1_i32
// CHECK:           nvvm.mbarrier.init %[[EMPTY]], %c8_i32
// CHECK:           nvvm.fence.mbarrier.init
// CHECK:         nvvm.barrier0
// A fill is seen by bulk copies and wgmma.
// CHECK:         scf.for %{{.*}} = %[[THREAD]] to %c1_i32 step %c384_i32
// CHECK:         nvvm.fence.proxy
// CHECK:         nvvm.barrier0
// CHECK:         %[[PRODUCER:.*]] = arith.cmpi eq, %[[GROUP]], %c0_i32
// CHECK:         scf.if %[[PRODUCER]]
// CHECK:           nvvm.setmaxregister decrease 24
// CHECK:           scf.if %[[ELECTED]]
// CHECK:             llvm.inline_asm {{.*}}mbarrier.try_wait.parity
// CHECK:             nvvm.mbarrier.arrive.expect_tx %[[SLOT:.*]], %c8208_i32
// CHECK:             nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %{{.*}}, %[[SLOT]], box[%c0_i32, %{{.*}}] {isCTAOnly = true}
// CHECK:             nvvm.cp.async.bulk.shared.cluster.global %{{.*}}, %{{.*}}, %[[SLOT]], %c16_i32
// CHECK:         } else {
// CHECK:           nvvm.setmaxregister increase 240
// CHECK:           arith.subi %[[GROUP]], %c1_i32
// Lane 0 arrives for its warp, after the other lanes' reads.
// CHECK:           nvvm.bar.warp.sync
// CHECK:           nvvm.inline_ptx "mbarrier.arrive.shared::cta.b64 _, [$0];" ro(%[[EMPTY]] : !llvm.ptr<3>), predicate = %{{.*}}
// CHECK:           nvvm.barrier id = %c1_i32 number_of_threads = %c256_i32
sage_tile.kernel @specialized(%k: !sage_tile.tensor_map<64x128xi8, swizzle = 128>, %s: memref<?xf32>, %y: memref<?xf32>, %n: i32)
    attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tile = sage_tile.alloc : !sage_tile.shared<64x128xi8, swizzle = 128>
  %scales = sage_tile.alloc : !sage_tile.shared<4xf32>
  sage_tile.fill %scales with 1.0 : f32 : !sage_tile.shared<4xf32>
  %full = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<2>
  %empty = sage_tile.barrier_alloc arrivals(2) : !sage_tile.barrier<1>
  %i = arith.index_cast %n : i32 to index
  sage_tile.specialize producer registers(24) {
    sage_tile.barrier_wait %empty[%c0] parity(%c1) : !sage_tile.barrier<1>
    sage_tile.barrier_expect %full[%c1] bytes(8208) : !sage_tile.barrier<2>
    sage_tile.copy_async %k[%i, %c0] to %tile arrive %full[%c1] : !sage_tile.tensor_map<64x128xi8, swizzle = 128> to !sage_tile.shared<64x128xi8, swizzle = 128>, !sage_tile.barrier<2>
    sage_tile.copy_async %s[%i] to %scales arrive %full[%c1] : memref<?xf32> to !sage_tile.shared<4xf32>, !sage_tile.barrier<2>
  } consumer registers(240) {
    %u = sage_tile.unit_id
    %lane = sage_tile.lane_id
    sage_tile.barrier_wait %full[%c1] parity(%c0) : !sage_tile.barrier<2>
    %v = sage_tile.lane_load %scales[%c0] : !sage_tile.shared<4xf32> to vector<1xf32>
    sage_tile.barrier_arrive %empty[%c0] : !sage_tile.barrier<1>
    sage_tile.sync
    sage_tile.lane_store %v, %y[%u] : vector<1xf32> to memref<?xf32>
  }
  sage_tile.return
}

// 192 pieces of 16 bytes by 128 threads: the second round is for half of them.
// CHECK-LABEL: llvm.func @copies
// CHECK:         nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg
// CHECK:         scf.if
// CHECK:           nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg
// CHECK:         nvvm.cp.async.commit.group
// CHECK-NEXT:    nvvm.cp.async.wait.group 0
// CHECK-NEXT:    nvvm.barrier0
// CHECK:           nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 4, cache = ca
// CHECK:         nvvm.cp.async.wait.group 0
// CHECK-NEXT:    nvvm.barrier0
sage_tile.kernel @copies(%k: memref<?x64xi8>, %s: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<48x64xi8, swizzle = 64>
  %scales = sage_tile.alloc : !sage_tile.shared<4xf32>
  %i = arith.index_cast %n : i32 to index
  sage_tile.copy_async %k[%i, %c0] to %tile : memref<?x64xi8> to !sage_tile.shared<48x64xi8, swizzle = 64>
  sage_tile.commit_group
  sage_tile.wait_group 0
  sage_tile.sync
  sage_tile.copy %s[%i] to %scales : memref<?xf32> to !sage_tile.shared<4xf32>
  sage_tile.return
}

// The lanes of a warpgroup meet at a barrier of their own, behind the block's and the consumers', and products see what they
// stored; those of a warp need no such barrier.
// CHECK-LABEL: llvm.func @unit_sync
// CHECK:         %[[UNIT:.*]] = nvvm.shfl.sync idx
// CHECK:         nvvm.fence.proxy
// CHECK-NEXT:    %[[ID:.*]] = arith.addi %[[UNIT]], %c1_i32
// CHECK-NEXT:    nvvm.barrier id = %[[ID]] number_of_threads = %c128_i32
sage_tile.kernel @unit_sync(%y: memref<?xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %u = sage_tile.unit_id
  %x = sage_tile.lane_load volatile %y[%u] : memref<?xf32> to vector<1xf32>
  sage_tile.sync unit
  sage_tile.lane_store %x, %y[%u] : vector<1xf32> to memref<?xf32>
  sage_tile.return
}

// CHECK-LABEL: llvm.func @warp_sync
// CHECK-NOT:     nvvm.barrier
// CHECK:         nvvm.bar.warp.sync
sage_tile.kernel @warp_sync() attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  sage_tile.sync unit
  sage_tile.return
}

// One thread asks once for all rows, where they begin at 16 bytes and follow each other.
// CHECK-LABEL: llvm.func @prefetch
// CHECK:         %[[ASKS:.*]] = arith.andi
// CHECK:         scf.if %{{.*}} {
// CHECK:           %[[BYTES:.*]] = arith.muli %{{.*}}, %c144_i32
// CHECK:           nvvm.cp.async.bulk.prefetch %{{.*}}, %[[BYTES]]
sage_tile.kernel @prefetch(%q: memref<?x?x72xf16, strided<[?, ?, 1]>>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %i = arith.index_cast %n : i32 to index
  %aligned = arith.cmpi eq, %i, %c0 : index
  sage_tile.prefetch %q[%c0, %i, %c0] rows(%i) columns(72) aligned(%aligned) : memref<?x?x72xf16, strided<[?, ?, 1]>>
  sage_tile.return
}

// A synchronous bulk copy has a barrier of its own and keeps its phase in shared memory.
// CHECK-LABEL: llvm.func @bulk
// CHECK:         nvvm.barrier0
// CHECK:         %[[PHASE:.*]] = llvm.load volatile
// CHECK:         nvvm.mbarrier.arrive.expect_tx %[[BARRIER:.*]], %c8192_i32
// CHECK:         nvvm.cp.async.bulk.tensor.shared.cluster.global
// CHECK:         llvm.inline_asm {{.*}}mbarrier.try_wait.parity{{.*}}, %[[PHASE]]
// CHECK:         nvvm.barrier0
// CHECK:         %[[NEXT:.*]] = arith.xori %[[PHASE]], %c1_i32
// CHECK:         llvm.store %[[NEXT]]
sage_tile.kernel @bulk(%k: !sage_tile.tensor_map<64x128xi8, swizzle = 128>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<64x128xi8, swizzle = 128>
  %i = arith.index_cast %n : i32 to index
  sage_tile.copy %k[%i, %c0] to %tile : !sage_tile.tensor_map<64x128xi8, swizzle = 128> to !sage_tile.shared<64x128xi8, swizzle = 128>
  sage_tile.return
}
}
