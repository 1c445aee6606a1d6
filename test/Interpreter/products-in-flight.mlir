// RUN: sage-interpret %s --program=good --print-buffer=out:i32 | FileCheck %s
// RUN: not sage-interpret %s --program=overwritten 2>&1 | FileCheck %s --check-prefix=OVERWRITTEN
// RUN: not sage-interpret %s --program=forgotten 2>&1 | FileCheck %s --check-prefix=FORGOTTEN
// REQUIRES: sage-interpret

#acc = #sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
!acc = !sage_tile.fragment<64x8xi32, #acc>
!a = !sage_tile.shared<64x32xi8>
!b = !sage_tile.shared<8x32xi8>

sage_tile.program @good {} {
  sage_tile.workspace "out" bytes affine_map<() -> (2048)>
  sage_tile.launch @good_k grid affine_map<() -> (1)> args [#sage_tile.pointer<"out">]
}
// CHECK: out = [193, 193,
sage_tile.kernel @good_k(%out: memref<64x8xi32>) attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1 : i32
  %a = sage_tile.alloc : !a
  %b = sage_tile.alloc : !b
  sage_tile.fill %a with 2 : i8 : !a
  sage_tile.fill %b with 3 : i8 : !b
  %z = sage_tile.splat %one : i32 to !acc
  %first = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  %second = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  %x = sage_tile.wait %first pending(1) : !sage_tile.async<!acc>
  %y = sage_tile.wait %second pending(0) : !sage_tile.async<!acc>
  sage_tile.fill %b with 0 : i8 : !b
  sage_tile.store %x, %out[%c0, %c0] : !acc to memref<64x8xi32>
  sage_tile.return
}

sage_tile.program @overwritten {} {
  sage_tile.launch @overwritten_k grid affine_map<() -> (1)> args []
}
// OVERWRITTEN: error: 'sage_tile.fill' op writes a tile !sage_tile.shared<8x32xi8> that a product in flight reads
// OVERWRITTEN: note: wait for this product before the write
sage_tile.kernel @overwritten_k() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %one = arith.constant 1 : i32
  %a = sage_tile.alloc : !a
  %b = sage_tile.alloc : !b
  sage_tile.fill %a with 2 : i8 : !a
  sage_tile.fill %b with 3 : i8 : !b
  %z = sage_tile.splat %one : i32 to !acc
  %first = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  sage_tile.fill %b with 0 : i8 : !b
  %x = sage_tile.wait %first pending(0) : !sage_tile.async<!acc>
  sage_tile.return
}

sage_tile.program @forgotten {} {
  sage_tile.launch @forgotten_k grid affine_map<() -> (1)> args []
}
// FORGOTTEN: error: 'sage_tile.mma_async' op product must be waited for before the end of the kernel
sage_tile.kernel @forgotten_k() attributes {unit = #sage_tile.unit<warpgroup>, units = 1 : i32} {
  %one = arith.constant 1 : i32
  %a = sage_tile.alloc : !a
  %b = sage_tile.alloc : !b
  sage_tile.fill %a with 2 : i8 : !a
  sage_tile.fill %b with 3 : i8 : !b
  %z = sage_tile.splat %one : i32 to !acc
  %first = sage_tile.mma_async %a, %b, %z : !a, !b to !acc
  sage_tile.return
}
