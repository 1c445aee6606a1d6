// RUN: sage-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-specialize-warps)))"

gpu.module @kernels {
sage_tile.kernel @strided(%k: memref<?x128xi8>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<8x128xi8>
  // expected-error @+2 {{source of a producer's copy must be a tensor map or a vector, but got 'memref<?x128xi8>'}}
  // expected-note @+1 {{use a schedule with cp.async copies, or a tensor map}}
  sage_tile.copy %k[%c0, %c0] to %tile : memref<?x128xi8> to !sage_tile.shared<8x128xi8>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @short_vector(%k: memref<?xf32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<2xf32>
  // expected-error @+1 {{bulk copy must move a multiple of 16 bytes, but got 8}}
  sage_tile.copy %k[%c0] to %tile : memref<?xf32> to !sage_tile.shared<2xf32>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @conditional(%k: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %tile = sage_tile.alloc : !sage_tile.shared<4xf32>
  %some = arith.cmpi slt, %zero, %n : i32
  scf.if %some {
    // expected-error @+1 {{must be in the kernel's body or in a loop of it in a kernel to be specialized}}
    sage_tile.copy %k[%c0] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
  }
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @carried_index(%k: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tiles = arith.index_cast %n : i32 to index
  %tile = sage_tile.alloc : !sage_tile.shared<4xf32>
  // expected-error @+2 {{index of a copy must be computed from the induction variable and from scalars above the loop}}
  // expected-note @+1 {{it depends on a loop-carried value}}
  %end = scf.for %i = %c0 to %tiles step %c1 iter_args(%x = %c0) -> (index) {
    sage_tile.copy %k[%x] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
    %y = arith.addi %x, %i : index
    scf.yield %y : index
  }
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @two_groups(%k: memref<?xf32>, %n: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !sage_tile.shared<4xf32>
  sage_tile.copy %k[%c0] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
  %x = sage_tile.load %tile[%c0] : !sage_tile.shared<4xf32> to !sage_tile.fragment<1x4xf32, #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 1), 8:(0, 0)], reg = []>>
  // expected-error @+1 {{tile must be the target of one copy group in a kernel to be specialized}}
  sage_tile.copy %k[%c0] to %tile : memref<?xf32> to !sage_tile.shared<4xf32>
  sage_tile.return
}
}
