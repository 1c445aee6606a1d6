// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-issue-mma-async)))" --verify-diagnostics

!query = !sage_tile.shared<64x32xi8, swizzle = 32>
!key = !sage_tile.shared<8x32xi8, swizzle = 32>

gpu.module @kernels {
sage_tile.kernel @distributed(%out: memref<?xi32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %q = sage_tile.alloc : !query
  %k = sage_tile.alloc : !key
  %zero = arith.constant dense<0> : vector<4xi32>
  // expected-note @+2 {{run sage-tile-issue-mma-async before sage-tile-distribute}}
  // expected-error @+1 {{result must be a fragment, but got 'vector<4xi32>'}}
  %s = sage_tile.mma %q, %k, %zero : !query, !key to vector<4xi32>
  sage_tile.return
}
}
