// Every level of attentions with biases, lengths, sinks, sequences, windows and soft caps agrees with the CPU reference.
// REQUIRES: sage-check-levels
// RUN: split-file %s %t
// RUN: sage-check-levels %t/lengths.mlir --chip=sm_90a --shape=2,4,2,70,150 | FileCheck %s --check-prefixes=CHECK,BOTH
// RUN: sage-check-levels %t/packed.mlir --chip=sm_89 --shape=1,2,1,90,200 | FileCheck %s --check-prefixes=CHECK,BOTH
// RUN: sage-check-levels %t/packed.mlir --chip=sm_89 --shape=1,2,1,90,200 --sequences=50:20,0:9,10:0,7:120 --sinks=1.5,-3 | FileCheck %s
// RUN: sage-check-levels %t/dense.mlir --chip=sm_89 | FileCheck %s --check-prefixes=CHECK,DENSE
// RUN: not sage-check-levels %t/dense.mlir --pass-pipeline="builtin.module(sage-legalize-recipe{chip=sm_89},sage-assign-schedule,sage-smooth,sage-quantize,convert-sage-to-sage-tile,gpu.module(sage_tile.kernel(sage-tile-inject-fault{kind=missing-rescale kernel=attention})))" 2>&1 | FileCheck %s --check-prefix=FAULT
// RUN: not sage-check-levels %t/packed.mlir --chip=sm_89 --sequences=1:1,2:2 2>&1 | FileCheck %s --check-prefix=SEQUENCES
// RUN: not sage-check-levels %t/packed.mlir --chip=sm_89 --shape=2,2,1,9,9 2>&1 | FileCheck %s --check-prefix=BATCH
// RUN: not sage-check-levels %t/lengths.mlir --chip=sm_90a --sinks=1 2>&1 | FileCheck %s --check-prefix=SINKS
// RUN: not sage-check-levels %t/lengths.mlir --chip=sm_90a --key-lengths=151 2>&1 | FileCheck %s --check-prefix=LENGTHS
// RUN: not sage-check-levels %t/dense.mlir --chip=sm_90a --key-lengths=7 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sage-check-levels %t/buffers.mlir --chip=sm_90a 2>&1 | FileCheck %s --check-prefix=BUFFERS
// RUN: not sage-check-levels %t/packed.mlir --chip=sm_89 --device=0 --driver=%sage_bin/lib/libcuda_stub.so 2>&1 | FileCheck %s --check-prefix=ARTIFACT

// CHECK: after sage-assign-schedule linalg {{.*}} ok
// BOTH: after sage-smooth - {{.*}} skipped
// DENSE: after sage-smooth linalg {{.*}} ok
// DENSE: after sage-quantize linalg {{.*}} ok
// CHECK: after convert-sage-to-sage-tile interpreter {{.*}} ok
// CHECK: after sage-tile-pipeline-copies of @attention interpreter {{.*}} ok
// CHECK-NOT: DIVERGES
// CHECK: all levels agree

// FAULT: error: the first level that diverges is 'after sage-tile-inject-fault of @attention'
// SEQUENCES: sequences must be as many as the types of the offsets say, but got 2 and 'tensor<5xi32>'
// BATCH: shape's B must be 1, as the types say, but got 2
// SINKS: error: there must be 2 sinks, one for each query head, but got 1
// LENGTHS: error: key lengths must be at most 150, but got 151
// NONE: error: --key-lengths: the problem has no such operand
// BUFFERS: must be on tensors to be checked
// BUFFERS: wrap its buffers in bufferization.to_tensor
// The stub driver launches the artifact, but runs no kernel.
// ARTIFACT: artifact GPU {{.*}} DIVERGES

//--- lengths.mlir
func.func @attention(%q: tensor<?x?x?x64xf16>, %k: tensor<?x?x?x64xf16>, %v: tensor<?x?x?x64xf16>, %b: tensor<?x1x1x?xf32>,
                     %n: tensor<?xi32>, %s: tensor<?xf32>, %o: tensor<?x?x?x64xf16>, %l: tensor<?x?x?xf32>)
    -> (tensor<?x?x?x64xf16>, tensor<?x?x?xf32>) {
  %r:2 = sage.attention ins(%q, %k, %v : tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>, tensor<?x?x?x64xf16>)
    bias(%b : tensor<?x1x1x?xf32>) key_lengths(%n : tensor<?xi32>) sinks(%s : tensor<?xf32>)
    outs(%o, %l : tensor<?x?x?x64xf16>, tensor<?x?x?xf32>)
    {recipe = #sage.recipe<"sage2-8b">, mask = #sage.mask<causal_bottom_right>, softcap = 20.0 : f32}
    -> tensor<?x?x?x64xf16>, tensor<?x?x?xf32>
  return %r#0, %r#1 : tensor<?x?x?x64xf16>, tensor<?x?x?xf32>
}

//--- packed.mlir
func.func @attention(%q: tensor<1x?x?x64xbf16>, %k: tensor<1x?x?x64xbf16>, %v: tensor<1x?x?x64xbf16>, %b: tensor<1x?x?x1xi1>, %s: tensor<?xf32>,
                     %qs: tensor<5xi32>, %ks: tensor<5xi32>, %o: tensor<1x?x?x64xbf16>, %l: tensor<1x?x?xf32>)
    -> (tensor<1x?x?x64xbf16>, tensor<1x?x?xf32>) {
  %r:2 = sage.attention ins(%q, %k, %v : tensor<1x?x?x64xbf16>, tensor<1x?x?x64xbf16>, tensor<1x?x?x64xbf16>)
    bias(%b : tensor<1x?x?x1xi1>) sinks(%s : tensor<?xf32>) query_offsets(%qs : tensor<5xi32>) key_offsets(%ks : tensor<5xi32>)
    outs(%o, %l : tensor<1x?x?x64xbf16>, tensor<1x?x?xf32>)
    {recipe = #sage.recipe<"sage2-4b">, mask = #sage.mask<window_bottom_right>, window_left = 40 : i64, sink_tokens = 3 : i64}
    -> tensor<1x?x?x64xbf16>, tensor<1x?x?xf32>
  return %r#0, %r#1 : tensor<1x?x?x64xbf16>, tensor<1x?x?xf32>
}

//--- dense.mlir
func.func @attention(%q: tensor<?x70x?x64xf16>, %k: tensor<?x150x?x64xf16>, %v: tensor<?x150x?x64xf16>, %b: tensor<1x1x70x150xf16>,
                     %o: tensor<?x70x?x64xf16>) -> tensor<?x70x?x64xf16> {
  %r = sage.attention ins(%q, %k, %v : tensor<?x70x?x64xf16>, tensor<?x150x?x64xf16>, tensor<?x150x?x64xf16>)
    bias(%b : tensor<1x1x70x150xf16>) outs(%o : tensor<?x70x?x64xf16>)
    {recipe = #sage.recipe<"sage1">, layout = #sage.layout<token_major>, mask = #sage.mask<window_top_left>, window_left = 9 : i64, window_right = 30 : i64}
    -> tensor<?x70x?x64xf16>
  return %r : tensor<?x70x?x64xf16>
}

//--- buffers.mlir
func.func @attention(%q: memref<?x?x?x64xf16>, %o: memref<?x?x?x64xf16>) {
  sage.attention ins(%q, %q, %q : memref<?x?x?x64xf16>, memref<?x?x?x64xf16>, memref<?x?x?x64xf16>)
    outs(%o : memref<?x?x?x64xf16>) {recipe = #sage.recipe<"sage1">}
  return
}
