// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-pipeline-copies{stages=0})))" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-pipeline-copies{stages=2147483647})))" 2>&1 | FileCheck %s --check-prefix=MANY
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-interleave-exponentials{chunks=9223372036854775807})))" | FileCheck %s --check-prefix=CHUNKS

// Options that would cost hours or memory, not results.

// NONE: error: stages must be 1 to 8, but got 0
// MANY: error: stages must be 1 to 8, but got 2147483647
// CHUNKS: sage_tile.kernel @packed
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#operand = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!scores = !sage_tile.fragment<16x32xf32, #acc>
!packed = !sage_tile.fragment<16x32xf8E4M3FN, #operand>
gpu.module @kernels {
  sage_tile.kernel @packed(%p8: memref<?x32xf8E4M3FN>, %in: memref<?x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
    %c0 = arith.constant 0 : index
    %x = sage_tile.load %in[%c0, %c0] : memref<?x32xf32> to !scores
    %y = sage_tile.map ins(%x : !scores) to !scores {
    ^bb0(%e: f32):
      %0 = math.exp2 %e : f32
      sage_tile.yield %0 : f32
    }
    %p = sage_tile.convert %y order #order : !scores to !packed
    sage_tile.store %p, %p8[%c0, %c0] : !packed to memref<?x32xf8E4M3FN>
    sage_tile.return
  }
}
