// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-two-level-accumulation{inner=f16})))" --verify-diagnostics

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#a = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 2:(0, 8)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
!output = !sage_tile.fragment<16x8xf32, #acc>
!value = !sage_tile.shared<8x16xbf16, swizzle = 32>

gpu.module @kernels {
sage_tile.kernel @bf16(%o: memref<?x8xf32>, %p: memref<?x16xbf16>, %alphas: memref<?xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %v = sage_tile.alloc : !value
  %a = sage_tile.load %p[%c0, %c0] : memref<?x16xbf16> to !sage_tile.fragment<16x16xbf16, #a>
  %old = sage_tile.load %o[%c0, %c0] : memref<?x8xf32> to !output
  %alpha = sage_tile.load %alphas[%c0] : memref<?xf32> to !sage_tile.fragment<16x1xf32, #row>
  %rescaled = sage_tile.map ins(%old, %alpha : !output, !sage_tile.fragment<16x1xf32, #row>) to !output {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.mulf %x, %y : f32
    sage_tile.yield %0 : f32
  }
  // expected-note @+2 {{use inner=f32}}
  // expected-error @+1 {{elements must be f16, f8E4M3FN or f8E5M2 to add into f16, but got 'bf16'}}
  %new = sage_tile.mma %a, %v, %rescaled : !sage_tile.fragment<16x16xbf16, #a>, !value to !output
  sage_tile.store %new, %o[%c0, %c0] : !output to memref<?x8xf32>
  sage_tile.return
}
}
