// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm,cse,canonicalize))' | FileCheck %s

// Exchanges with other lanes are one statement for eight values, where a shuffle and a product for each would be ten
// times the operations for every pass of LLVM.
gpu.module @kernels {
// CHECK-LABEL: llvm.func @exchange
// CHECK:         %[[ALL:.*]] = llvm.inline_asm has_side_effects asm_dialect = att
// CHECK-SAME:      "{ .reg .f32 other; shfl.sync.bfly.b32 other, $0, 4, 31, -1; fma.rn.f32 $0, $0, $2, other;
// CHECK-SAME:      shfl.sync.bfly.b32 other, $1, 4, 31, -1; fma.rn.f32 $1, $1, $2, other;
// CHECK-SAME:      shfl.sync.bfly.b32 other, $0, 8, 31, -1; fma.rn.f32 $0, $0, $3, other;
// CHECK-SAME:      shfl.sync.bfly.b32 other, $1, 8, 31, -1; fma.rn.f32 $1, $1, $3, other; }", "=f,=f,f,f,0,1" %[[A:.*]], %[[B:.*]], %{{.*}}, %{{.*}} :
// CHECK:         llvm.extractvalue %[[ALL]][0]
// CHECK:         llvm.extractvalue %[[ALL]][1]
sage_tile.kernel @exchange(%x: memref<?x2xf32>, %a: f32, %b: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %lane = sage_tile.lane_id
  %v = sage_tile.lane_load %x[%lane, %c0] : memref<?x2xf32> to vector<2xf32>
  %r = sage_tile.lane_butterfly %v distances [4, 8] factors(%a, %b) : vector<2xf32>
  sage_tile.lane_store %r, %x[%lane, %c0] : vector<2xf32> to memref<?x2xf32>
  sage_tile.return
}

// Nine values are two statements, and a kernel without denormals flushes those of the exchange too.
// CHECK-LABEL: llvm.func @flushed
// CHECK:         llvm.inline_asm {{.*}}fma.rn.ftz.f32 $7, $7, $8, other; }", "=f,=f,=f,=f,=f,=f,=f,=f,f,0,1,2,3,4,5,6,7"
// CHECK:         llvm.inline_asm {{.*}}fma.rn.ftz.f32 $0, $0, $1, other; }", "=f,f,0"
sage_tile.kernel @flushed(%x: memref<?x1xf32>, %a: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32, flush_denormals} {
  %c0 = arith.constant 0 : index
  %lane = sage_tile.lane_id
  %v = sage_tile.lane_load %x[%lane, %c0] : memref<?x1xf32> to vector<1xf32>
  %e = vector.extract %v[0] : f32 from vector<1xf32>
  %nine = vector.broadcast %e : f32 to vector<9xf32>
  %r = sage_tile.lane_butterfly %nine distances [1] factors(%a) : vector<9xf32>
  %one = vector.extract_strided_slice %r {offsets = [8], sizes = [1], strides = [1]} : vector<9xf32> to vector<1xf32>
  sage_tile.lane_store %one, %x[%lane, %c0] : vector<1xf32> to memref<?x1xf32>
  sage_tile.return
}
}

// Before sm_90, many exchanges are in basic blocks of their own, for ptxas.
gpu.module @ada [#nvvm.target<chip = "sm_89">] {
// CHECK-LABEL: llvm.func @many
// CHECK-COUNT-9: @p trap;
// CHECK-NOT:     @p trap
// CHECK-LABEL: llvm.func @few
// CHECK-NOT:     @p trap
sage_tile.kernel @many(%x: memref<?x1xf32>, %a: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %lane = sage_tile.lane_id
  %v = sage_tile.lane_load %x[%lane, %c0] : memref<?x1xf32> to vector<1xf32>
  %e = vector.extract %v[0] : f32 from vector<1xf32>
  %many = vector.broadcast %e : f32 to vector<72xf32>
  %r = sage_tile.lane_butterfly %many distances [1] factors(%a) : vector<72xf32>
  %one = vector.extract_strided_slice %r {offsets = [71], sizes = [1], strides = [1]} : vector<72xf32> to vector<1xf32>
  sage_tile.lane_store %one, %x[%lane, %c0] : vector<1xf32> to memref<?x1xf32>
  sage_tile.return
}

sage_tile.kernel @few(%x: memref<?x1xf32>, %a: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %lane = sage_tile.lane_id
  %v = sage_tile.lane_load %x[%lane, %c0] : memref<?x1xf32> to vector<1xf32>
  %r = sage_tile.lane_butterfly %v distances [1] factors(%a) : vector<1xf32>
  sage_tile.lane_store %r, %x[%lane, %c0] : vector<1xf32> to memref<?x1xf32>
  sage_tile.return
}
}
