// Every level parses back: one pass a process, from what the user writes to quantized operands.
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 | sage-opt -sage-assign-schedule | sage-opt -sage-smooth \
// RUN:   | sage-opt -sage-quantize | sage-opt -canonicalize | FileCheck %s
// RUN: sage-opt %s -sage-legalize-recipe=chip=sm_89 | sage-opt -sage-assign-schedule -mlir-print-op-generic \
// RUN:   | sage-opt -sage-smooth -mlir-print-op-generic | sage-opt -sage-quantize -mlir-print-op-generic \
// RUN:   | sage-opt -canonicalize | FileCheck %s
// RUN: sage-opt %s -emit-bytecode -sage-legalize-recipe=chip=sm_89 -sage-assign-schedule -sage-smooth -sage-quantize \
// RUN:   | sage-opt -canonicalize | FileCheck %s

// INT4, smooth Q and K, token-major, grouped queries, lengths known only at run time.
// CHECK-LABEL: func @sage2_4b
// CHECK: %[[KM:.+]] = sage.mean
// CHECK: %[[KC:.+]] = sage.center
// CHECK: %[[LC:.+]] = sage.lse_correction
// CHECK: %[[QM:.+]] = sage.mean
// CHECK: %[[QC:.+]] = sage.center
// CHECK: %[[DS:.+]] = sage.score_correction %[[QM]], %[[KC]]
// CHECK: %[[Q4:.+]], %[[QS:.+]] = sage.quantize %[[QC]] {{.*}}packed{{.*}} -> tensor<2x8x?x64xi8>, tensor<2x8x?xf32>
// CHECK: %[[K4:.+]], %[[KS:.+]] = sage.quantize %[[KC]] {{.*}}packed{{.*}} -> tensor<2x4x?x64xi8>, tensor<2x4x?xf32>
// CHECK: %[[V8:.+]], %[[VS:.+]] = sage.quantize_value {{.*}}layout = #sage.layout<token_major>{{.*}} -> tensor<2x4x128x?xf8E4M3FN>, tensor<2x4x128xf32>
// CHECK: sage.quantized_attention ins(%[[Q4]], %[[K4]], %[[V8]] : {{.*}}) scales(%[[QS]], %[[KS]], %[[VS]] : {{.*}}) score_correction(%[[DS]] : {{.*}}) lse_correction(%[[LC]] : {{.*}}) outs(
func.func @sage2_4b(%q: tensor<2x?x8x128xbf16>, %k: tensor<2x?x4x128xbf16>, %v: tensor<2x?x4x128xbf16>, %lse0: tensor<2x8x?xf32>)
    -> (tensor<2x?x8x128xbf16>, tensor<2x8x?xf32>) {
  %o, %lse = sage.attention ins(%q, %k, %v : tensor<2x?x8x128xbf16>, tensor<2x?x4x128xbf16>, tensor<2x?x4x128xbf16>)
      outs(%q, %lse0 : tensor<2x?x8x128xbf16>, tensor<2x8x?xf32>)
      {recipe = #sage.recipe<"sage2-4b">, layout = #sage.layout<token_major>, mask = #sage.mask<causal_bottom_right>}
      -> tensor<2x?x8x128xbf16>, tensor<2x8x?xf32>
  return %o, %lse : tensor<2x?x8x128xbf16>, tensor<2x8x?xf32>
}
