// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(convert-sage-tile-to-nvvm))' --split-input-file --verify-diagnostics

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
gpu.module @kernels {
sage_tile.kernel @fragments(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<16x8xf32, #acc>
  // expected-error @-1 {{must be lowered by sage-tile-distribute first}}
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @unswizzled(%z: i32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %q = sage_tile.alloc : !sage_tile.shared<64x64xi8>
  %k = sage_tile.alloc : !sage_tile.shared<8x64xi8, swizzle = 64>
  %zero = arith.constant dense<0> : vector<4xi32>
  // expected-error @below {{tile must be swizzled for wgmma}}
  %s = sage_tile.mma %q, %k, %zero : !sage_tile.shared<64x64xi8>, !sage_tile.shared<8x64xi8, swizzle = 64> to vector<4xi32>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @arrivals() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  // expected-error @below {{barrier must not mix arrivals of the producer and of units}}
  %b = sage_tile.barrier_alloc arrivals(2) : !sage_tile.barrier<1>
  sage_tile.specialize producer registers(0) {
    sage_tile.barrier_expect %b[%c0] bytes(16) : !sage_tile.barrier<1>
  } consumer registers(0) {
    sage_tile.barrier_arrive %b[%c0] : !sage_tile.barrier<1>
  }
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @swizzled_bulk(%k: memref<?x128xi8>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %b = sage_tile.barrier_alloc arrivals(1) : !sage_tile.barrier<1>
  %t = sage_tile.alloc : !sage_tile.shared<8x128xi8, swizzle = 128>
  sage_tile.specialize producer registers(0) {
    sage_tile.barrier_expect %b[%c0] bytes(1024) : !sage_tile.barrier<1>
    // expected-error @below {{bulk copy from a memref must not have a swizzled target}}
    // expected-note @below {{use a tensor map}}
    sage_tile.copy_async %k[%c0, %c0] to %t arrive %b[%c0] : memref<?x128xi8> to !sage_tile.shared<8x128xi8, swizzle = 128>, !sage_tile.barrier<1>
  } consumer registers(0) {
  }
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @synchronous(%k: memref<?x128xi8>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %t = sage_tile.alloc : !sage_tile.shared<8x128xi8, swizzle = 128>
  sage_tile.specialize producer registers(0) {
  } consumer registers(0) {
    // expected-error @below {{synchronous copy must not be in a specialized region}}
    sage_tile.copy %k[%c0, %c0] to %t : memref<?x128xi8> to !sage_tile.shared<8x128xi8, swizzle = 128>
  }
  sage_tile.return
}
}

// -----

gpu.module @kernels [#nvvm.target<chip = "sm_90a", features = "+ptx86">] {
sage_tile.kernel @emulated() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %k = sage_tile.alloc : !sage_tile.shared<16x32xi8, swizzle = 32>
  %zero = arith.constant dense<0> : vector<8xi32>
  // expected-note @below {{unpack the operands to i8}}
  // expected-error @below {{4-bit products must be for a chip from sm_80 to sm_89, but the target is sm_90}}
  %s = sage_tile.mma %k, %k, %zero int4 : !sage_tile.shared<16x32xi8, swizzle = 32>, !sage_tile.shared<16x32xi8, swizzle = 32> to vector<8xi32>
  sage_tile.return
}
}

// -----

gpu.module @kernels [#nvvm.target<chip = "sm_86", features = "+ptx80">] {
sage_tile.kernel @no_e5m2() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %k = sage_tile.alloc : !sage_tile.shared<16x32xf8E5M2, swizzle = 32>
  %zero = arith.constant dense<0.0> : vector<8xf32>
  // expected-note @below {{use f16 operands on this chip}}
  // expected-error @below {{8-bit float products must be for sm_89 or later, but the target is sm_86}}
  %s = sage_tile.mma %k, %k, %zero : !sage_tile.shared<16x32xf8E5M2, swizzle = 32>, !sage_tile.shared<16x32xf8E5M2, swizzle = 32> to vector<8xf32>
  sage_tile.return
}
}

// -----

gpu.module @kernels [#nvvm.target<chip = "sm_89", features = "+ptx87">] {
sage_tile.kernel @no_warpgroups() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %k = sage_tile.alloc : !sage_tile.shared<64x32xi8, swizzle = 32>
  %zero = arith.constant dense<0> : vector<32xi32>
  // expected-note @below {{other chips multiply in kernels whose unit is a warp}}
  // expected-error @below {{product of a warpgroup must be for sm_90a, but the target is sm_89}}
  %s = sage_tile.mma %k, %k, %zero : !sage_tile.shared<64x32xi8, swizzle = 32>, !sage_tile.shared<64x32xi8, swizzle = 32> to vector<32xi32>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @nibbles() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %k = sage_tile.alloc : !sage_tile.shared<64x32xi8, swizzle = 32>
  %zero = arith.constant dense<0> : vector<32xi32>
  // expected-note @below {{wgmma has no 4-bit operands}}
  // expected-error @below {{product of a warpgroup must be of whole bytes}}
  %s = sage_tile.mma %k, %k, %zero int4 : !sage_tile.shared<64x32xi8, swizzle = 32>, !sage_tile.shared<64x32xi8, swizzle = 32> to vector<32xi32>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @three_pieces(%k: memref<?x48xi8>) attributes {unit = #sage_tile.unit<warp>, units = 3 : i32} {
  %c0 = arith.constant 0 : index
  %t = sage_tile.alloc : !sage_tile.shared<8x48xi8>
  // expected-note @below {{split the tile in panels of 32, 64 or 128 bytes}}
  // expected-error @below {{row must have a power of two of 16-byte pieces that divides the number of threads, 96, but got 3}}
  sage_tile.copy %k[%c0, %c0] to %t : memref<?x48xi8> to !sage_tile.shared<8x48xi8>
  sage_tile.return
}
}

// -----

gpu.module @kernels {
sage_tile.kernel @halves_vector(%k: memref<?xf16>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %t = sage_tile.alloc : !sage_tile.shared<8xf16>
  // expected-error @below {{copied vector must have elements of 4 bytes, but got '!sage_tile.shared<8xf16>'}}
  sage_tile.copy %k[%c0] to %t : memref<?xf16> to !sage_tile.shared<8xf16>
  sage_tile.return
}
}

// -----

gpu.module @kernels [#nvvm.target<chip = "sm_89">] {
sage_tile.kernel @early() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  // expected-note @below {{launches overlap from there on; leave it out}}
  // expected-error @below {{chip must be sm_90 or later, but got sm_89}}
  sage_tile.grid_wait
  sage_tile.return
}
}

// -----

gpu.module @kernels [#nvvm.target<chip = "sm_89">] {
sage_tile.kernel @no_requests(%q: memref<?x72xf16>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %wide = arith.constant true
  // expected-note @below {{bulk requests exist from there on; leave it out: no result needs it}}
  // expected-error @below {{chip must be sm_90 or later, but got sm_89}}
  sage_tile.prefetch %q[%c0, %c0] rows(%c0) columns(72) aligned(%wide) : memref<?x72xf16>
  sage_tile.return
}
}
