// RUN: sage-opt %s --split-input-file --verify-diagnostics

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>

func.func @f(%m: memref<2x128xi8>, %i: index) {
  // expected-error@+1 {{columns must be from 1 to the fragment's 128, but got 129}}
  %x = sage_tile.load %m[%i, %i] columns(129) : memref<2x128xi8> to !sage_tile.fragment<2x128xi8, #rows>
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>

func.func @f(%m: memref<2x128xi8>, %i: index, %x: !sage_tile.fragment<2x128xi8, #rows>) {
  // expected-error@+1 {{columns must be from 1 to the fragment's 128, but got 0}}
  sage_tile.store %x, %m[%i, %i] columns(0) : !sage_tile.fragment<2x128xi8, #rows> to memref<2x128xi8>
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>

func.func @f(%m: !sage_tile.shared<2x128xi8>, %i: index, %wide: i1) {
  // expected-note@+2 {{rows of shared tiles are always aligned}}
  // expected-error@+1 {{alignment must be asked of a memref only, but got '!sage_tile.shared<2x128xi8>'}}
  %x = sage_tile.load %m[%i, %i] aligned(%wide) : !sage_tile.shared<2x128xi8> to !sage_tile.fragment<2x128xi8, #rows>
  return
}

// -----

func.func @f(%m: memref<?x72xf16>, %i: index, %wide: i1) {
  // expected-error@+1 {{source must have at least 2 dimensions and an index for each of its 2, but got 1}}
  sage_tile.prefetch %m[%i] rows(%i) columns(72) aligned(%wide) : memref<?x72xf16>
  return
}

// -----

func.func @f(%m: memref<?x72xf16>, %i: index, %wide: i1) {
  // expected-error@+1 {{rows must be contiguous and a multiple of 16 bytes, but got 4 columns of}}
  sage_tile.prefetch %m[%i, %i] rows(%i) columns(4) aligned(%wide) : memref<?x72xf16>
  return
}

// -----

func.func @f(%m: memref<?x?xf16, strided<[?, ?]>>, %i: index, %wide: i1) {
  // expected-error@+1 {{rows must be contiguous and a multiple of 16 bytes, but got 8 columns of}}
  sage_tile.prefetch %m[%i, %i] rows(%i) columns(8) aligned(%wide) : memref<?x?xf16, strided<[?, ?]>>
  return
}

// -----

func.func @f(%m: memref<?x?xi32>, %i: index) {
  // expected-error@+1 {{source must have at least 1 dimension and an index for each of its 2, but got 1}}
  %x = sage_tile.read %m[%i] : memref<?x?xi32> to i32
  return
}

// -----

#row = #sage_tile.layout<lane = [32:(0, 1)], reg = []>

func.func @f(%m: memref<?xi32>, %i: index, %x: !sage_tile.fragment<1x32xi32, #row>) {
  // expected-error@+1 {{source must not be written by the kernel that reads it}}
  %n = sage_tile.read %m[%i] : memref<?xi32> to i32
  // expected-note@+1 {{written here}}
  sage_tile.store %x, %m[%i] : !sage_tile.fragment<1x32xi32, #row> to memref<?xi32>
  return
}

// -----

func.func @f(%m: memref<?xi64>, %i: index) {
  // expected-error@+1 {{result #0 must be 32-bit signless integer or 32-bit float, but got 'i64'}}
  %x = sage_tile.read %m[%i] : memref<?xi64> to i64
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>

func.func @f(%x: !sage_tile.fragment<2x128xi8, #rows>) {
  // expected-error@+1 {{result must have the source's rows and half of its columns}}
  %p = sage_tile.pack_nibbles %x : !sage_tile.fragment<2x128xi8, #rows> to !sage_tile.fragment<2x128xi8, #rows>
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>
#moved = #sage_tile.layout<lane = [2:(1, 0), 2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 4)], reg = [2:(0, 1), 2:(0, 2)]>

func.func @f(%x: !sage_tile.fragment<2x128xi8, #rows>) {
  // expected-note@+2 {{layouts are}}
  // expected-error@+1 {{result must not move elements between lanes}}
  %p = sage_tile.pack_nibbles %x : !sage_tile.fragment<2x128xi8, #rows> to !sage_tile.fragment<2x64xi8, #moved>
  return
}

// -----

#row = #sage_tile.layout<lane = [32:(0, 1)], reg = [2:(0, 32)]>
#half = #sage_tile.layout<lane = [32:(0, 1)], reg = []>

func.func @f(%x: !sage_tile.fragment<1x64xi32, #row>) {
  // expected-error@+1 {{source and result must have i8 elements, but got 'i32' and 'i32'}}
  %p = sage_tile.pack_nibbles %x : !sage_tile.fragment<1x64xi32, #row> to !sage_tile.fragment<1x32xi32, #half>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>

func.func @f(%a: !sage_tile.shared<16x32xf8E5M2>, %b: !sage_tile.shared<8x32xf8E5M2>, %c: !sage_tile.fragment<16x8xf32, #acc>) {
  // expected-error@+1 {{4-bit operands must be packed in i8, but got 'f8E5M2'}}
  %p = sage_tile.mma %a, %b, %c int4 : !sage_tile.shared<16x32xf8E5M2>, !sage_tile.shared<8x32xf8E5M2>
         to !sage_tile.fragment<16x8xf32, #acc>
  return
}

// -----

sage_tile.program @p {} {
  // expected-error@+1 {{size must not depend on the step outside of a repetition}}
  sage_tile.workspace "x" bytes affine_map<()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step] -> (step)>
}

// -----

sage_tile.program @p {} {
  // expected-error@+1 {{count must not depend on the step outside of a repetition}}
  sage_tile.repeat affine_map<()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step] -> (step)> {
  }
}

// -----

sage_tile.program @p {} {
  sage_tile.repeat affine_map<() -> (2)> {
    // expected-error@+1 {{must not be in a repetition: it holds launches}}
    %0 = arith.constant 0 : i32
  }
}

// -----

func.func @f(%x: vector<4xf32>, %a: f32) {
  // expected-error@+1 {{distances must be from 1 to 31, between lanes of a warp, but got 32}}
  %y = sage_tile.lane_butterfly %x distances [32] factors(%a) : vector<4xf32>
  return
}

// -----

func.func @f(%x: vector<4xf32>, %a: f32) {
  // expected-error@+1 {{must have distances with a factor for each, but got 2 distances and 1 factors}}
  %y = sage_tile.lane_butterfly %x distances [1, 2] factors(%a) : vector<4xf32>
  return
}
