// RUN: sage-opt %s --split-input-file --verify-diagnostics

// Every constraint of operations on fragments.

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%m: memref<4x32xf16>, %i: index) {
  // expected-error@+1 {{memory and fragment must have equal element types, but got 'f16' and 'f32'}}
  %0 = sage_tile.load %m[%i, %i] : memref<4x32xf16> to !sage_tile.fragment<16x32xf32, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%m: memref<4x32xf32>, %i: index, %x: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+1 {{memory must have an index for each of its 2 dimensions, but got 1}}
  sage_tile.store %x, %m[%i] : !sage_tile.fragment<16x32xf32, #acc> to memref<4x32xf32>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%m: memref<512xf32>, %i: index, %x: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+2 {{fragment must have one row or one column to access a vector, but got 16x32}}
  // expected-note@+1 {{give a map to name the elements}}
  sage_tile.store %x, %m[%i] : !sage_tile.fragment<16x32xf32, #acc> to memref<512xf32>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%m: memref<512xf32>, %i: index, %x: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+1 {{map must have 1 or 2 results, at most the memory's rank, but got 2}}
  sage_tile.store %x, %m[%i] map affine_map<(r, c) -> (r, c)> : !sage_tile.fragment<16x32xf32, #acc> to memref<512xf32>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%t: !sage_tile.shared<2x16x32xf32>, %i: index) {
  // expected-error@+1 {{shared tile must be one stage, but got '!sage_tile.shared<2x16x32xf32>'}}
  %0 = sage_tile.load %t[%i, %i, %i] : !sage_tile.shared<2x16x32xf32> to !sage_tile.fragment<16x32xf32, #acc>
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f(%x: i32) {
  // expected-error@+1 {{value must have the element type of the result, 'f32', but got 'i32'}}
  %0 = sage_tile.splat %x : i32 to !sage_tile.fragment<32x1xf32, #one>
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f(%x: !sage_tile.fragment<32x1xf32, #one>) {
  // expected-error@+1 {{map of input #0 must stay inside 32x1, but leaves it at (31, 0)}}
  %0 = sage_tile.map ins(%x : !sage_tile.fragment<32x1xf32, #one>) maps [affine_map<(r, c) -> (r + 1, c)>]
         to !sage_tile.fragment<32x1xf32, #one> {
  ^bb0(%e: f32):
    sage_tile.yield %e : f32
  }
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f(%x: !sage_tile.fragment<32x1xf32, #one>) {
  // expected-error@+2 {{input #0 must hold its elements in the lanes of the result}}
  // expected-note@+1 {{layouts are}}
  %0 = sage_tile.map ins(%x : !sage_tile.fragment<32x1xf32, #one>) maps [affine_map<(r, c) -> (-r + 31, c)>]
         to !sage_tile.fragment<32x1xf32, #one> {
  ^bb0(%e: f32):
    sage_tile.yield %e : f32
  }
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f(%x: !sage_tile.fragment<32x1xf32, #one>) {
  // expected-error@+1 {{body must take row, column (i32) and the inputs' elements}}
  %0 = sage_tile.map positions ins(%x : !sage_tile.fragment<32x1xf32, #one>) to !sage_tile.fragment<32x1xf32, #one> {
  ^bb0(%e: f32):
    sage_tile.yield %e : f32
  }
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f() {
  // expected-error@+1 {{body must hold arith and math operations of one result only}}
  %0 = sage_tile.map to !sage_tile.fragment<32x1xi1, #one> {
    // expected-note@+1 {{got 'sage_tile.block_id'}}
    %b = sage_tile.block_id
    %f = arith.constant false
    sage_tile.yield %f : i1
  }
  return
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
func.func @f() {
  %0 = sage_tile.map to !sage_tile.fragment<32x1xf32, #one> {
    %f = arith.constant false
    // expected-error@+1 {{must yield one 'f32', but got ('i1')}}
    sage_tile.yield %f : i1
  }
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#one = #sage_tile.layout<lane = [8:(1, 0), 4:(0, 0)], reg = [2:(8, 0)]>
func.func @f(%x: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+1 {{result must have the layout}}
  %0 = sage_tile.reduce <addf> %x : !sage_tile.fragment<16x32xf32, #acc> to !sage_tile.fragment<16x1xf32, #one>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
func.func @f(%x: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{element type must suit the kind of reduction, but got 'i32' and addf}}
  %0 = sage_tile.reduce <addf> %x : !sage_tile.fragment<16x32xi32, #acc> to !sage_tile.fragment<16x1xi32, #row>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#a8 = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
func.func @f(%x: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+2 {{result must not move elements between lanes}}
  // expected-note@+1 {{layouts are}}
  %0 = sage_tile.convert %x : !sage_tile.fragment<16x32xf32, #acc> to !sage_tile.fragment<16x32xi8, #a8>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%x: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{conversion must be between floats or from float to i8, but got 'i32' to 'i8'}}
  %0 = sage_tile.convert %x : !sage_tile.fragment<16x32xi32, #acc> to !sage_tile.fragment<16x32xi8, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#half = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
func.func @f(%x: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{columns must be inside the source's 32, but got [24, 40)}}
  %0 = sage_tile.slice %x[24] : !sage_tile.fragment<16x32xi32, #acc> to !sage_tile.fragment<16x16xi32, #half>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#half = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
func.func @f(%x: !sage_tile.fragment<16x16xi32, #half>) {
  // expected-error@+1 {{sources must have the result's 32 columns together, but got 16}}
  %0 = sage_tile.concat %x : !sage_tile.fragment<16x16xi32, #half> to !sage_tile.fragment<16x32xi32, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%a: !sage_tile.shared<16x32xi8>, %b: !sage_tile.shared<16x32xi8>, %c: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{shapes must be [m, k], [n, k] and [m, n]}}
  %0 = sage_tile.mma %a, %b, %c : !sage_tile.shared<16x32xi8>, !sage_tile.shared<16x32xi8> to !sage_tile.fragment<16x32xi32, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%a: !sage_tile.shared<16x32xi8>, %b: !sage_tile.shared<32x32xi8>, %c: !sage_tile.fragment<16x32xf32, #acc>) {
  // expected-error@+1 {{elements must be i8 into i32, f8E4M3FN, f8E5M2 or f16 into f32 or f16, or bf16 into f32}}
  %0 = sage_tile.mma %a, %b, %c : !sage_tile.shared<16x32xi8>, !sage_tile.shared<32x32xi8> to !sage_tile.fragment<16x32xf32, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%a: !sage_tile.fragment<16x32xi8, #acc>, %b: !sage_tile.shared<32x32xi8>, %c: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{a must have the layout of an A operand}}
  %0 = sage_tile.mma %a, %b, %c : !sage_tile.fragment<16x32xi8, #acc>, !sage_tile.shared<32x32xi8> to !sage_tile.fragment<16x32xi32, #acc>
  return
}

// -----

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
func.func @f(%a: !sage_tile.shared<16x16xi8>, %b: !sage_tile.shared<32x16xi8>, %c: !sage_tile.fragment<16x32xi32, #acc>) {
  // expected-error@+1 {{depth must be a multiple of 32 bytes, but got 16}}
  %0 = sage_tile.mma %a, %b, %c : !sage_tile.shared<16x16xi8>, !sage_tile.shared<32x16xi8> to !sage_tile.fragment<16x32xi32, #acc>
  return
}

// -----

#rows = #sage_tile.layout<lane = [32:(0, 1)], reg = [16:(1, 0)]>
func.func @f(%a: !sage_tile.shared<16x32xi8>, %b: !sage_tile.shared<32x32xi8>, %c: !sage_tile.fragment<16x32xi32, #rows>) {
  // expected-error@+1 {{accumulator must have the layout of a 16x8 accumulator}}
  %0 = sage_tile.mma %a, %b, %c : !sage_tile.shared<16x32xi8>, !sage_tile.shared<32x32xi8> to !sage_tile.fragment<16x32xi32, #rows>
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 2), 2:(1, 0), 2:(2, 0), 2:(4, 0), 2:(8, 0)], reg = [2:(0, 1)]>
func.func @hadamard_block(%x: !sage_tile.fragment<16x4xf32, #rows>) {
  // expected-error@+1 {{block must be a power of two that divides the columns, but got 8 for 4 columns}}
  %r = sage_tile.hadamard %x {block = 8} : !sage_tile.fragment<16x4xf32, #rows>
  return
}

// -----

#rows = #sage_tile.layout<lane = [2:(0, 2), 2:(1, 0), 2:(2, 0), 2:(4, 0), 2:(8, 0)], reg = [2:(0, 1)]>
func.func @hadamard_type(%x: !sage_tile.fragment<16x4xf16, #rows>) {
  // expected-error@+1 {{elements must be f32, but got 'f16'}}
  %r = sage_tile.hadamard %x {block = 4} : !sage_tile.fragment<16x4xf16, #rows>
  return
}
