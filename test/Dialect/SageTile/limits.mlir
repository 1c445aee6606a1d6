// RUN: sage-opt %s --split-input-file --verify-diagnostics

// Bounds of what is checked element by element, and of arithmetic in 64 bits.

// expected-error@+1 {{layout list must number at most 4096 values}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = [4611686018427387904:(0, 1), 4:(0, 1)]>>)

// -----

// expected-error@+1 {{layout list must number at most 64 values}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<warp = [65536:(0, 0)], lane = [32:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{layout list must number at most 32 values}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [4294967296:(1, 0), 4294967328:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{layout strides must be at most 1048576, but got (9223372036854775807, 0)}}
func.func private @f(!sage_tile.fragment<32x1xf32, #sage_tile.layout<lane = [32:(9223372036854775807, 0)], reg = []>>)

// -----

// expected-error@+1 {{fragment must have at most 262144 elements, but got 4611686018427387904x4}}
func.func private @f(!sage_tile.fragment<4611686018427387904x4xf32, #sage_tile.layout<lane = [32:(1, 0)], reg = []>>)

// -----

// expected-error@+1 {{shared tile must have extents from 1 to 65536, but got 4611686018427387904}}
func.func private @f(!sage_tile.shared<4611686018427387904x64xi8>)

// -----

// expected-error@+1 {{barrier count must be 1 to 1024, but got 9223372036854775807}}
func.func private @f(!sage_tile.barrier<9223372036854775807>)

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
gpu.module @kernels {
  sage_tile.kernel @f() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
    %zero = arith.constant 0.0 : f32
    %a = sage_tile.splat %zero : f32 to !sage_tile.fragment<32x1xf32, #one>
    // expected-error@+1 {{map of input #0 must stay inside 32x1, but leaves it at (2, 0)}}
    %b = sage_tile.map ins(%a : !sage_tile.fragment<32x1xf32, #one>)
        maps [affine_map<(r, c) -> ((r * 4611686018427387904) mod 3, c)>]
        to !sage_tile.fragment<32x1xf32, #one> {
    ^bb0(%e: f32):
      sage_tile.yield %e : f32
    }
    sage_tile.return
  }
}

// -----

#one = #sage_tile.layout<lane = [32:(1, 0)], reg = []>
gpu.module @kernels {
  sage_tile.kernel @f() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
    %zero = arith.constant 0.0 : f32
    %a = sage_tile.splat %zero : f32 to !sage_tile.fragment<32x1xf32, #one>
    // expected-error@+1 {{body must end with sage_tile.yield}}
    %b = "sage_tile.map"(%a) ({
    ^bb0(%e: f32):
      %f = arith.addf %e, %e : f32
    }) : (!sage_tile.fragment<32x1xf32, #one>) -> !sage_tile.fragment<32x1xf32, #one>
    sage_tile.return
  }
}

// -----

sage_tile.program @p {head_dim = 128} {
  // expected-error@+1 {{requires attribute 'name'}}
  "sage_tile.workspace"() {bytes = affine_map<() -> (1)>} : () -> ()
}
