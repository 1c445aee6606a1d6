// RUN: sage-opt %s --split-input-file --verify-diagnostics | FileCheck %s

// Layouts are named once at the top and used by name; a warp list is absent where it is empty.

// CHECK-DAG: #[[$ACC:.*]] = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
// CHECK-DAG: #[[$WIDE:.*]] = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
// CHECK-DAG: #[[$ONE:.*]] = #sage_tile.layout<lane = [32:(0, 0)], reg = []>
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
#wide = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
#one = #sage_tile.layout<lane = [32:(0, 0)], reg = []>
// CHECK-LABEL: @fragments
// CHECK-SAME: !sage_tile.fragment<16x128xf32, #[[$ACC]]>
// CHECK-SAME: !sage_tile.fragment<64x128xf32, #[[$WIDE]]>
// CHECK-SAME: !sage_tile.fragment<1x1xi1, #[[$ONE]]>
func.func private @fragments(!sage_tile.fragment<16x128xf32, #acc>, !sage_tile.fragment<64x128xf32, #wide>,
                             !sage_tile.fragment<1x1xi1, #one>)

// -----

// expected-error@+1 {{layout must number 32 lanes, but got 16}}
func.func private @f(!sage_tile.fragment<16x1xf32, #sage_tile.layout<lane = [16:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{register mode must have a stride other than (0, 0)}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = [2:(0, 0)]>>)

// -----

// expected-error@+1 {{layout mode must have at least 2 values, but got 1}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = [1:(0, 1)]>>)

// -----

// expected-error@+1 {{layout strides must not be negative, but got (-1, 0)}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(-1, 0)], reg = []>>)

// -----

// expected-error@+1 {{layout must hold the 64x1 elements of the fragment, but holds 32}}
func.func private @f(!sage_tile.fragment<64x1xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{layout must stay inside the fragment, but holds element (32, 0) of 32x2}}
func.func private @f(!sage_tile.fragment<32x2xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = [2:(32, 0)]>>)

// -----

// expected-error@+1 {{layout must hold every element once, but element (1, 0) is in several places}}
func.func private @f(!sage_tile.fragment<32x2xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = [2:(1, 0)]>>)

// -----

// expected-error@+1 {{element type must be f32, f16, bf16, f8E4M3FN, f8E5M2, i32, i8 or i1, but got 'f64'}}
func.func private @f(!sage_tile.fragment<32x1xf64, #sage_tile.layout<lane = [32:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{fragment must have rank 2, but got 1}}
func.func private @f(!sage_tile.fragment<32xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{shared tile must have rank 1, 2 or 3, but got 4}}
func.func private @f(!sage_tile.shared<2x2x8x128xi8>)

// -----

// expected-error@+1 {{swizzle must be 0, 32, 64 or 128 bytes, but got 16}}
func.func private @f(!sage_tile.shared<8x16xi8, swizzle = 16>)

// -----

// expected-error@+1 {{swizzle must equal the bytes of a row, 64, but got 128}}
func.func private @f(!sage_tile.shared<8x64xi8, swizzle = 128>)

// -----

// expected-error@+1 {{swizzled tile must have a multiple of 8 rows, but got 12}}
func.func private @f(!sage_tile.shared<12x128xi8, swizzle = 128>)

// -----

// expected-error@+1 {{tensor map must have a box of rank 2, but got 3}}
func.func private @f(!sage_tile.tensor_map<2x8x128xi8>)

// -----

// expected-error@+1 {{tensor map box must have extents from 1 to 256, but got 512}}
func.func private @f(!sage_tile.tensor_map<512x128xi8>)

// -----

// expected-error@+1 {{barrier count must be 1 to 1024, but got 0}}
func.func private @f(!sage_tile.barrier<0>)

// -----

// expected-error@+1 {{value in flight must be a fragment or lane vector, but got 'f32'}}
func.func private @f(!sage_tile.async<f32>)
