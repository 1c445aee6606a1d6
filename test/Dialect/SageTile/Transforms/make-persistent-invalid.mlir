// RUN: sage-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(sage_tile.kernel(sage-tile-make-persistent))"

sage_tile.kernel @whole(%counters: memref<?xi32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  // expected-error@+2 {{must be in a specialized kernel to be made persistent}}
  // expected-note@+1 {{run sage-tile-specialize-warps first}}
  sage_tile.tickets %counters[%c0] ids %c0 : memref<?xi32>
  sage_tile.return
}

// -----

sage_tile.kernel @idle(%counters: memref<?xi32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{must be in a kernel that copies tiles in a loop}}
  sage_tile.tickets %counters[%c0] ids %c0 : memref<?xi32>
  sage_tile.specialize producer registers(0) {
  } consumer registers(0) {
  }
  sage_tile.return
}
