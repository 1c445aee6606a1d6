// RUN: sage-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-pipeline-copies)))"

gpu.module @kernels {
sage_tile.kernel @tensor_map(%k: !sage_tile.tensor_map<8x32xi8, swizzle = 32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<8x32xi8, swizzle = 32>
  // expected-error @+2 {{copy from a tensor map must belong to a producer}}
  // expected-note @+1 {{run sage-tile-specialize-warps first}}
  sage_tile.copy %k[%c0, %c0] to %tile : !sage_tile.tensor_map<8x32xi8, swizzle = 32> to !sage_tile.shared<8x32xi8, swizzle = 32>
  sage_tile.return
}
}

// -----

#quad = #sage_tile.layout<lane = [4:(0, 1), 8:(0, 0)], reg = []>

gpu.module @kernels {
sage_tile.kernel @used_after_loop(%k: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tiles = arith.index_cast %n : i32 to index
  %tile = sage_tile.alloc : !sage_tile.shared<4xf32>
  scf.for %i = %c0 to %tiles step %c1 {
    sage_tile.copy %k[%i] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
  }
  // expected-error @+1 {{tile that a loop copies must be used in the loop only, to be pipelined}}
  %x = sage_tile.load %tile[%c0] : !sage_tile.shared<4xf32> to !sage_tile.fragment<1x4xf32, #quad>
  sage_tile.store %x, %k[%c0] : !sage_tile.fragment<1x4xf32, #quad> to memref<?xf32>
  sage_tile.return
}
}
