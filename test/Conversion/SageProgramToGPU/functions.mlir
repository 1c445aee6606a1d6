// A host program as functions: the workspace, launches, tensor maps, checks, and calls.
// RUN: sage-opt %s --convert-sage-program-to-gpu --canonicalize --cse | FileCheck %s
// RUN: sage-opt %s --convert-sage-program-to-gpu="workspace=host checks=false" --canonicalize --cse | FileCheck %s --check-prefix=HOST

module attributes {gpu.container_module} {
  gpu.module @kernels [#nvvm.target<chip = "sm_90a", features = "+ptx86">] {
    llvm.func @first(%p: !llvm.ptr<1>, %n: i32, %stride: i64)
        attributes {gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 128>} {
      llvm.return
    }
    llvm.func @second(%m: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant},
                      %o: !llvm.ptr<1>, %s: f32)
        attributes {gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 384>, sage.persistent, sage.shared_bytes = 1000 : i64} {
      llvm.return
    }
  }
  sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                             mask = #sage.mask<none>, scale = 0.125 : f32, shape = array<i64: -1, 2, -1, -1, -1>} {
    sage_tile.workspace "bytes" bytes affine_map<()[b, hq, hk, nq] -> (b * nq)>
    sage_tile.workspace "tile" bytes affine_map<()[b, hq, hk, nq, nk] -> (nk * 64)>
    sage_tile.launch @kernels::@first grid affine_map<()[b] -> (b)> args [
      #sage_tile.pointer<"query">, #sage_tile.integer<i32, ()[b, hq, hk, nq] -> (nq)>,
      #sage_tile.integer<i64, ()[b, hq, hk, nq, nk, qb, qh, qn] -> (qn)>]
    sage_tile.launch @kernels::@second grid affine_map<()[b, hq, hk, nq] -> (b * (nq ceildiv 64))> args [
      #sage_tile.tensor_map<"tile", i8, extents = ()[b, hq, hk, nq, nk] -> (64, nk),
                            strides = ()[b, hq, hk, nq, nk] -> (64), box = [64, 128], swizzle = 64>,
      #sage_tile.pointer<"output">, #sage_tile.scale<2.0 : f64>]
    sage_tile.repeat affine_map<()[b, hq] -> (b * hq)> {
      sage_tile.launch @kernels::@first grid affine_map<() -> (3)> args [
        #sage_tile.pointer<"tile">,
        #sage_tile.integer<i32, ()[b, hq, hk, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step] -> (step + 7)>,
        #sage_tile.integer<i64, () -> (1)>]
    }
  }
  func.func @caller(%q: tensor<1x2x?x64xf16>, %k: tensor<1x2x?x64xf16>, %o: tensor<1x2x?x64xf16>)
      -> tensor<1x2x?x64xf16> {
    %r = sage_tile.invoke @attend ins(%q, %k, %k : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>)
      outs(%o : tensor<1x2x?x64xf16>) -> tensor<1x2x?x64xf16>
    return %r : tensor<1x2x?x64xf16>
  }
  func.func @caller_of_buffers(%q: memref<1x2x?x64xf16>, %o: memref<1x2x?x64xf16>) {
    sage_tile.invoke @attend ins(%q, %q, %q : memref<1x2x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
      outs(%o : memref<1x2x?x64xf16>)
    return
  }
}

// CHECK-NOT: sage_tile.
// CHECK: llvm.func @sage_encode_tensor_map(!llvm.ptr, i32, i32, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, i32)

// Slices are padded to 1024 bytes, and there is room to align the first.
// CHECK-LABEL: func.func @attend_workspace_bytes
// CHECK-DAG: %[[MASK:.*]] = arith.constant -1024 : index
// CHECK-DAG: %[[PAD:.*]] = arith.constant 1023 : index
// CHECK: %[[Q:.*]], %{{.*}}, %[[QS:.*]]:4, %{{.*}}:4 = memref.extract_strided_metadata %arg0
// CHECK: %[[BYTES:.*]] = arith.muli %[[QS]]#0, %[[QS]]#2
// CHECK: %[[SUM:.*]] = arith.addi %[[BYTES]], %[[PAD]]
// CHECK: %[[FIRST:.*]] = arith.andi %[[SUM]], %[[MASK]]
// CHECK: %[[ALL:.*]] = arith.addi %[[FIRST]],
// CHECK: %[[ASK:.*]] = arith.addi %[[ALL]], %[[PAD]]
// CHECK: return %[[ASK]] : index

// CHECK-LABEL: func.func @attend(
// CHECK-SAME: %arg0: memref<?x?x?x64xf16, strided<[?, ?, ?, 1], offset: ?>>
// CHECK-SAME: %[[WORKSPACE:.*]]: memref<?xi8>, %[[STREAM:.*]]: !llvm.ptr) attributes {llvm.emit_c_interface}
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 2.500000e-01 : f32
// CHECK: cf.assert %{{.*}}, "@attend: key: batch must agree with query's"
// CHECK: cf.assert %{{.*}}, "@attend: query heads must be 2, for which the program was compiled"
// CHECK: cf.assert %{{.*}}, "@attend: query heads must be a multiple of key heads"
// CHECK: cf.assert %{{.*}}, "@attend: query: address and strides must be multiples of 16 bytes
// CHECK: cf.assert %{{.*}}, "@attend: value: must be dense in the layout of the attention"
// CHECK: cf.assert %{{.*}}, "@attend: workspace: bytes must be what @attend_workspace_bytes says"
// CHECK: scf.if
// CHECK: cf.assert %{{.*}}, "@attend: grid of kernel @first must be at most 2147483647
// CHECK: gpu.launch_func <%[[STREAM]] : !llvm.ptr> @kernels::@first
// CHECK-SAME: threads in (%c128_i64, %c1_i64, %c1_i64) : i64 dynamic_shared_memory_size %c0_i32
// CHECK-SAME: args(%{{.*}} : !llvm.ptr, %{{.*}} : i32, %{{.*}} : i64)
// CHECK: scf.if
// Blocks of a persistent kernel take further tiles: no more are launched than run at once.
// CHECK: %[[BLOCKS:.*]] = arith.minui %{{.*}}, %c132
// CHECK: llvm.call @sage_encode_tensor_map(%[[MAP:.*]], %c0_i32, %c2_i32,
// CHECK: %[[WORDS:.*]] = llvm.load %[[MAP]] : !llvm.ptr -> !llvm.array<16 x i64>
// CHECK: %[[GRID:.*]] = arith.index_cast %[[BLOCKS]] : index to i64
// CHECK: gpu.launch_func <%[[STREAM]] : !llvm.ptr> @kernels::@second blocks in (%[[GRID]],
// CHECK-SAME: dynamic_shared_memory_size %c1000_i32 args(%[[WORDS]] : !llvm.array<16 x i64>, %{{.*}} : !llvm.ptr, %[[SCALE]] : f32)
// CHECK: %[[COUNT:.*]] = arith.muli
// CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %[[COUNT]]
// CHECK-NEXT: func.call @attend_step_0({{.*}}, %[[STREAM]], %[[I]])

// One step of the repetition.
// CHECK-LABEL: func.func private @attend_step_0(
// CHECK-SAME: %[[STREAM:[a-z0-9]*]]: !llvm.ptr, %[[STEP:[a-z0-9]*]]: index)
// CHECK: %[[PLUS:.*]] = arith.addi %[[STEP]], %c7
// CHECK: gpu.launch_func <%[[STREAM]] : !llvm.ptr> @kernels::@first

// CHECK-LABEL: func.func @caller(
// CHECK: bufferization.to_buffer %arg0 read_only
// CHECK: %[[OUT:.*]] = bufferization.to_buffer %arg2 : tensor<1x2x?x64xf16> to memref<1x2x?x64xf16, strided<[?, ?, ?, 1], offset: ?>>
// CHECK: %[[SIZE:.*]] = call @attend_workspace_bytes
// CHECK: %[[TOKEN:.*]] = gpu.wait async
// CHECK: %[[MEMORY:.*]], %[[READY:.*]] = gpu.alloc async [%[[TOKEN]]] (%[[SIZE]]) : memref<?xi8>
// CHECK: %[[OWN:.*]] = builtin.unrealized_conversion_cast %[[READY]] : !gpu.async.token to !llvm.ptr
// CHECK: call @attend({{.*}}, %[[MEMORY]], %[[OWN]])
// CHECK: %[[DONE:.*]] = gpu.dealloc async [%[[READY]]] %[[MEMORY]]
// CHECK: gpu.wait [%[[DONE]]]
// CHECK: bufferization.to_tensor %[[OUT]] restrict writable

// CHECK-LABEL: func.func @caller_of_buffers(
// CHECK-NOT: bufferization
// CHECK: call @attend(

// HOST-NOT: cf.assert
// HOST-LABEL: func.func @caller(
// HOST: %[[SIZE:.*]] = call @attend_workspace_bytes
// HOST: %[[MEMORY:.*]] = memref.alloc(%[[SIZE]]) : memref<?xi8>
// HOST: %[[STREAM:.*]] = llvm.call @mgpuStreamCreate() : () -> !llvm.ptr
// HOST: call @attend({{.*}}, %[[MEMORY]], %[[STREAM]])
// HOST: llvm.call @mgpuStreamSynchronize(%[[STREAM]])
// HOST: llvm.call @mgpuStreamDestroy(%[[STREAM]])
// HOST: memref.dealloc %[[MEMORY]]
