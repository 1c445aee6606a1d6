// RUN: sage-opt %s --split-input-file --verify-diagnostics

// Products in flight.

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
!acc = !sage_tile.fragment<16x32xi32, #acc>
!a = !sage_tile.shared<16x32xi8>
!b = !sage_tile.shared<32x32xi8>
sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %a = sage_tile.alloc : !a
  %b = sage_tile.alloc : !b
  %zero = arith.constant 0 : i32
  %z = sage_tile.splat %zero : i32 to !acc
  // expected-error@+1 {{product in flight must be in a kernel whose unit is a warpgroup}}
  %0 = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  sage_tile.return
}

// -----

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#a8 = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
!acc = !sage_tile.fragment<64x32xf32, #acc>
!p = !sage_tile.fragment<64x32xf8E4M3FN, #a8>
!v = !sage_tile.shared<32x32xf8E4M3FN>
sage_tile.kernel @k(%x: f32) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %v = sage_tile.alloc : !v
  %z = sage_tile.splat %x : f32 to !acc
  %p = sage_tile.convert %z order affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)> : !acc to !p
  // expected-note@+1 {{wait for this product first: the assembler would serialize the products}}
  %0 = sage_tile.mma_async %p, %v, %z : !p, !v to !acc
  // expected-error@+1 {{A operand must not be packed while a product that reads registers is in flight}}
  %q = sage_tile.convert %z order affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)> : !acc to !p
  %1 = sage_tile.wait %0 pending(0) : !sage_tile.async<!acc>
  sage_tile.return
}

// -----

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
!acc = !sage_tile.fragment<64x32xi32, #acc>
!a = !sage_tile.shared<64x32xi8>
!b = !sage_tile.shared<32x32xi8>
sage_tile.kernel @k() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %a = sage_tile.alloc : !a
  %b = sage_tile.alloc : !b
  %zero = arith.constant 0 : i32
  %z = sage_tile.splat %zero : i32 to !acc
  %0 = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  // expected-error@+1 {{pending products must be fewer than those issued since the source, 1, but got 1}}
  %1 = sage_tile.wait %0 pending(1) : !sage_tile.async<!acc>
  sage_tile.return
}
