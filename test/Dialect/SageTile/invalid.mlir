// RUN: sage-opt %s --split-input-file --verify-diagnostics

// Every constraint of kernels, tiles, copies and programs. Fragments: invalid-fragments.mlir.

// expected-error@+1 {{kernel must not have results, but got 1}}
sage_tile.kernel @k() -> i32 attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}

// -----

// expected-error@+1 {{argument #0 must be a memref, a tensor map, i32, i64 or f32, but got 'f64'}}
sage_tile.kernel @k(%x: f64) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}

// -----

// expected-error@+1 {{argument #0 must have a strided layout without offset}}
sage_tile.kernel @k(%x: memref<4xf32, strided<[1], offset: 4>>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}

// -----

sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  // expected-note@+1 {{first specialized here}}
  sage_tile.specialize producer registers(0) {
  } consumer registers(0) {
  }
  // expected-error@+1 {{kernel must be specialized at most once}}
  sage_tile.specialize producer registers(0) {
  } consumer registers(0) {
  }
  sage_tile.return
}

// -----

sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  // expected-error@+1 {{register count must be 0 or a multiple of 8 from 24 to 256, but got 20}}
  sage_tile.specialize producer registers(20) {
  } consumer registers(0) {
  }
  sage_tile.return
}

// -----

sage_tile.kernel @k(%x: f32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  // expected-error@+1 {{fragment layout must span 4 warps, as the kernel's unit does, but got 1}}
  %0 = sage_tile.splat %x : f32 to !sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = []>>
  sage_tile.return
}

// -----

func.func @f(%t: !sage_tile.shared<128xi8>, %i: index) {
  // expected-error@+1 {{source must have stages, but got '!sage_tile.shared<128xi8>'}}
  %0 = sage_tile.stage %t[%i] : !sage_tile.shared<128xi8> to !sage_tile.shared<128xi8>
  return
}

// -----

func.func @f(%t: !sage_tile.shared<2x8x128xi8>) {
  %c2 = arith.constant 2 : index
  // expected-error@+1 {{stage must be less than 2, but got 2}}
  %0 = sage_tile.stage %t[%c2] : !sage_tile.shared<2x8x128xi8> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%t: !sage_tile.shared<16x128xi8>) {
  %c4 = arith.constant 4 : index
  // expected-error@+1 {{row must be a multiple of 8, but got 4}}
  %0 = sage_tile.subtile %t[%c4] : !sage_tile.shared<16x128xi8> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%t: !sage_tile.shared<16x128xi8>) {
  %c16 = arith.constant 16 : index
  // expected-error@+1 {{rows must be inside the source's 16, but got [16, 24)}}
  %0 = sage_tile.subtile %t[%c16] : !sage_tile.shared<16x128xi8> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%t: !sage_tile.shared<8x128xi8>) {
  // expected-error@+1 {{value must have the element type of the tile, 'i8', but got 'i32'}}
  sage_tile.fill %t with 1 : i32 : !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: memref<?x128xi8>, %t: !sage_tile.shared<8x128xi8>, %i: index) {
  // expected-error@+1 {{source must have an index for each of its 2 dimensions, but got 1}}
  sage_tile.copy %m[%i] to %t : memref<?x128xi8> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: memref<?x128xi32>, %t: !sage_tile.shared<8x128xi8>, %i: index) {
  // expected-error@+1 {{source and target must have equal element types, but got 'i32' and 'i8'}}
  sage_tile.copy %m[%i, %i] to %t : memref<?x128xi32> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: memref<?x24xi8>, %t: !sage_tile.shared<8x24xi8>, %i: index) {
  // expected-error@+1 {{row of the tile must be a multiple of 16 bytes, but got 24}}
  sage_tile.copy %m[%i, %i] to %t : memref<?x24xi8> to !sage_tile.shared<8x24xi8>
  return
}

// -----

func.func @f(%m: memref<?x128xi8, strided<[256, 2]>>, %t: !sage_tile.shared<8x128xi8>, %i: index) {
  // expected-error@+1 {{source must be contiguous in its last dimension}}
  sage_tile.copy %m[%i, %i] to %t : memref<?x128xi8, strided<[256, 2]>> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: !sage_tile.tensor_map<8x128xi8, swizzle = 128>, %t: !sage_tile.shared<8x128xi8>, %i: index) {
  // expected-error@+1 {{target must have the tensor map's box and swizzle}}
  sage_tile.copy %m[%i, %i] to %t : !sage_tile.tensor_map<8x128xi8, swizzle = 128> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: !sage_tile.tensor_map<8x128xi8>, %t: !sage_tile.shared<8x128xi8>, %i: index) {
  // expected-error@+2 {{copy from a tensor map must arrive on a barrier}}
  // expected-note@+1 {{copy groups hold copies from memrefs only}}
  sage_tile.copy_async %m[%i, %i] to %t : !sage_tile.tensor_map<8x128xi8> to !sage_tile.shared<8x128xi8>
  return
}

// -----

func.func @f(%m: memref<?xf32>, %t: !sage_tile.shared<6xf32>, %b: !sage_tile.barrier<1>, %i: index) {
  // expected-error@+1 {{copy must move a multiple of 16 bytes, but got 24}}
  sage_tile.copy_async %m[%i] to %t arrive %b[%i] : memref<?xf32> to !sage_tile.shared<6xf32>, !sage_tile.barrier<1>
  return
}

// -----

func.func @f(%b: !sage_tile.barrier<1>, %i: index) {
  // expected-error@+1 {{announced bytes must be positive and less than 2^20, but got 0}}
  sage_tile.barrier_expect %b[%i] bytes(0) : !sage_tile.barrier<1>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{pending groups must not be negative, but got -1}}
  sage_tile.wait_group -1
  return
}

// -----

sage_tile.program @p {} {
  // expected-error@+1 {{buffer name must be new, but got "query"}}
  sage_tile.workspace "query" bytes affine_map<() -> (4)>
}

// -----

sage_tile.program @p {} {
  // expected-error@+1 {{must not be in a program: it holds workspace slices, launches and repetitions}}
  %0 = arith.constant 0 : i32
}

// -----

sage_tile.program @p {} {
  // expected-error@+1 {{size must be a map of no dimensions and at most 28 symbols}}
  sage_tile.workspace "x" bytes affine_map<(d) -> (d)>
}

// -----

// expected-note@+1 {{a memref takes a pointer and one i64 for each dynamic stride}}
sage_tile.kernel @k(%x: memref<?x?xf32, strided<[?, 1]>>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}
sage_tile.program @p {} {
  // expected-error@+1 {{launch must have 2 arguments, but got 1}}
  sage_tile.launch @k grid affine_map<() -> (1)> args [#sage_tile.pointer<"query">]
}

// -----

sage_tile.kernel @k(%x: memref<4xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}
sage_tile.program @p {} {
  // expected-error@+1 {{argument #0 must name a buffer of the program, but got "x"}}
  sage_tile.launch @k grid affine_map<() -> (1)> args [#sage_tile.pointer<"x">]
}

// -----

sage_tile.kernel @k(%x: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}
sage_tile.program @p {} {
  // expected-error@+1 {{argument #0 must be an integer of type 'i32'}}
  sage_tile.launch @k grid affine_map<() -> (1)> args [#sage_tile.integer<i64, () -> (1)>]
}

// -----

sage_tile.kernel @k(%x: !sage_tile.tensor_map<8x128xi8>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}
sage_tile.program @p {} {
  // expected-error@+1 {{argument #0 must describe boxes of '!sage_tile.tensor_map<8x128xi8>'}}
  sage_tile.launch @k grid affine_map<() -> (1)> args [
    #sage_tile.tensor_map<"query", i8, extents = () -> (128, 64), strides = () -> (128),
                          box = [128, 16], swizzle = 0>]
}
