// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute)))' --split-input-file --verify-diagnostics

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#columns = #sage_tile.layout<warp = [4:(0, 0)], lane = [4:(0, 2), 8:(0, 0)], reg = [2:(0, 1)]>
gpu.module @kernels {
sage_tile.kernel @warps(%s: f32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<64x8xf32, #acc>
  // expected-error @below {{reduction must stay inside a warp}}
  // expected-error @below {{failed to legalize}}
  %m = sage_tile.reduce <maximumf> %x : !sage_tile.fragment<64x8xf32, #acc> to !sage_tile.fragment<1x8xf32, #columns>
  sage_tile.return
}
}

// -----

#low = #sage_tile.layout<lane = [2:(2, 0), 2:(4, 0), 8:(0, 1)], reg = [2:(1, 0)]>
#columns = #sage_tile.layout<lane = [2:(0, 0), 2:(0, 0), 8:(0, 1)], reg = []>
gpu.module @kernels {
sage_tile.kernel @order(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<8x8xf32, #low>
  // expected-error @below {{sum over rows must have the high bits of the row in registers}}
  // expected-error @below {{failed to legalize}}
  %m = sage_tile.reduce <addf> %x : !sage_tile.fragment<8x8xf32, #low> to !sage_tile.fragment<1x8xf32, #columns>
  sage_tile.return
}
}
