// Attentions on memrefs become calls of libsage_mgpu.so; equal ones share an artifact.
// RUN: sage-opt %s --sage-to-runtime-calls=chip=sm_90a | FileCheck %s --check-prefixes=CHECK,HOST
// RUN: sage-opt %s --sage-to-runtime-calls="chip=sm_90a memory=device" | FileCheck %s --check-prefixes=CHECK,DEVICE

// HOST-DAG: func.func private @sage_mgpu_attend_host(i64, i64, i64)
// DEVICE-DAG: func.func private @sage_mgpu_attend_device(i64, i64, i64)
// CHECK-DAG: memref.global "private" constant @sage_artifact_0 : memref<{{.*}}xi8> = dense
// CHECK-DAG: memref.global "private" constant @sage_artifact_1 : memref<{{.*}}xi8> = dense
// CHECK-NOT: sage_artifact_2

// CHECK-LABEL: func.func @twice
// CHECK-SAME: %[[Q:.*]]: memref<1x8x?x64xf16>, %[[K:.*]]: memref<1x2x?x64xf16, strided<[?, ?, 64, 1], offset: ?>>
// CHECK: memref.alloca() : memref<51xi64>
func.func @twice(%q: memref<1x8x?x64xf16>, %k: memref<1x2x?x64xf16, strided<[?, ?, 64, 1], offset: ?>>, %v: memref<1x2x?x64xf16>,
                 %o: memref<1x8x?x64xf16>) {
  // CHECK: %[[BASE:.*]], %[[OFFSET:.*]], %{{.*}}:4, %{{.*}}:4 = memref.extract_strided_metadata %[[K]]
  // CHECK: %[[POINTER:.*]] = memref.extract_aligned_pointer_as_index %[[K]]
  // CHECK: %[[BYTES:.*]] = arith.muli %[[OFFSET]]
  // CHECK: arith.addi %[[POINTER]], %[[BYTES]]
  // CHECK: memref.get_global @sage_artifact_0
  // HOST: call @sage_mgpu_attend_host(
  // DEVICE: call @sage_mgpu_attend_device(
  sage.attention ins(%q, %k, %v : memref<1x8x?x64xf16>, memref<1x2x?x64xf16, strided<[?, ?, 64, 1], offset: ?>>, memref<1x2x?x64xf16>)
      outs(%o : memref<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
  // CHECK: memref.get_global @sage_artifact_0
  sage.attention ins(%q, %v, %v : memref<1x8x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
      outs(%o : memref<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">}
  // CHECK: memref.get_global @sage_artifact_1
  sage.attention ins(%q, %v, %v : memref<1x8x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
      outs(%o : memref<1x8x?x64xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_top_left>}
  // CHECK-NOT: sage.attention
  return
}
