// MLIR's own tools, which know nothing of Sage, finish what sage-to-gpu leaves, for every family.
// DEFINE: %{finish} = mlir-opt --pass-pipeline="builtin.module(one-shot-bufferize{bufferize-function-boundaries=true function-boundary-type-conversion=identity-layout-map},canonicalize,convert-scf-to-cf,gpu-to-llvm,reconcile-unrealized-casts)" | mlir-translate --mlir-to-llvmir
// RUN: sage-opt %s --sage-to-gpu=chip=sm_89 | %{finish} | FileCheck %s
// RUN: sage-opt %s --sage-to-gpu=chip=sm_90a | %{finish} | FileCheck %s --check-prefixes=CHECK,TMA
// RUN: sage-opt %s --sage-to-gpu=chip=sm_120a | %{finish} | FileCheck %s
// RUN: sage-opt %s --sage-to-gpu="chip=sm_89 workspace=host checks=false" | %{finish} | FileCheck %s --check-prefix=HOST
// RUN: sed 's/NAME/memrefs/' %sage_src/test/gpu/host/attention.mlir | sage-opt --sage-to-gpu=chip=sm_90a | %{finish} | FileCheck %s --check-prefix=COPIES

// No copy of the caller's memory by the host, which cannot read a GPU's.
// COPIES-LABEL: define {{.*}}@memrefs(
// COPIES-NOT: memcpy
// COPIES-NOT: memrefCopy
// COPIES-LABEL: define {{.*}}@_mlir_ciface_memrefs(

func.func @causal(%q: tensor<1x8x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>,
                  %o: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16> {
  %r = sage.attention ins(%q, %k, %v : tensor<1x8x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>)
    outs(%o : tensor<1x8x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>}
    -> tensor<1x8x?x128xf16>
  return %r : tensor<1x8x?x128xf16>
}

func.func @tokens(%q: tensor<?x?x?x128xbf16>, %o: tensor<?x?x?x128xbf16>, %l: tensor<?x?x?xf32>)
    -> (tensor<?x?x?x128xbf16>, tensor<?x?x?xf32>) {
  %r:2 = sage.attention ins(%q, %q, %q : tensor<?x?x?x128xbf16>, tensor<?x?x?x128xbf16>, tensor<?x?x?x128xbf16>)
    outs(%o, %l : tensor<?x?x?x128xbf16>, tensor<?x?x?xf32>)
    {recipe = #sage.recipe<"sage2-8b">, layout = #sage.layout<token_major>}
    -> tensor<?x?x?x128xbf16>, tensor<?x?x?xf32>
  return %r#0, %r#1 : tensor<?x?x?x128xbf16>, tensor<?x?x?xf32>
}

// CHECK-LABEL: define {{.*}}@causal(
// CHECK: call ptr @mgpuStreamCreate()
// CHECK: call ptr @mgpuMemAlloc(
// CHECK: call void @causal_attention(
// CHECK: call void @mgpuMemFree(
// CHECK: call void @mgpuStreamSynchronize(
// CHECK: call void @mgpuStreamDestroy(
// CHECK-LABEL: define i64 @causal_attention_workspace_bytes(
// CHECK-LABEL: define void @causal_attention(
// CHECK: call void @mgpuLaunchKernel(
// TMA: call void @sage_encode_tensor_map(
// CHECK-LABEL: define void @tokens_attention(
// CHECK-NOT: call ptr @mgpuStreamCreate()
// CHECK: call ptr @mgpuModuleLoadJIT(ptr @{{.*}}, i32 3)

// HOST-LABEL: define {{.*}}@causal(
// HOST: call ptr @malloc(
// HOST: call void @mgpuStreamSynchronize(
// HOST: call void @free(
// HOST-NOT: abort
