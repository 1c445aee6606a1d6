// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-fence-products)))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-fence-products,sage-tile-distribute),convert-sage-tile-to-nvvm))" | FileCheck %s --check-prefix=PTX

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#operand = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
!sums = !sage_tile.fragment<16x8xi32, #acc>
!packed = !sage_tile.fragment<16x32xi8, #operand>

gpu.module @kernels {
// A chain of products has one barrier; the product of an operand from above the loop, and one outside of loops, have none.
// CHECK-LABEL: sage_tile.kernel @chain
// CHECK-NOT:   sage_tile.schedule_barrier
// CHECK:       scf.for
// CHECK-NOT:     sage_tile.schedule_barrier
// CHECK:         sage_tile.mma
// CHECK:         %[[S:.+]] = sage_tile.map
// CHECK:         %[[P:.+]] = sage_tile.load
// CHECK:         sage_tile.schedule_barrier
// CHECK-NEXT:    %[[FIRST:.+]] = sage_tile.mma %[[P]], %{{.+}}, %[[S]]
// CHECK-NEXT:    sage_tile.mma %[[P]], %{{.+}}, %[[FIRST]]
// CHECK-NOT:   sage_tile.schedule_barrier
// CHECK:       sage_tile.store

// PTX-LABEL: llvm.func @chain
// PTX:       mma.sync
// PTX:       llvm.inline_asm has_side_effects {{.*}}setp.gt.u32 p, z, 65535; @p trap; }"
// PTX:       nvvm.ldmatrix
sage_tile.kernel @chain(%in: memref<?x32xi8>, %out: memref<?x8xi32>, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i32
  %tiles = arith.index_cast %n : i32 to index
  %b = sage_tile.alloc : !sage_tile.shared<8x32xi8, swizzle = 32>
  %q = sage_tile.load %in[%c0, %c0] : memref<?x32xi8> to !packed
  %none = sage_tile.splat %zero : i32 to !sums
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%x = %none) -> (!sums) {
    %s = sage_tile.mma %q, %b, %x : !packed, !sage_tile.shared<8x32xi8, swizzle = 32> to !sums
    %map = sage_tile.map ins(%s : !sums) to !sums {
    ^bb0(%e: i32):
      %0 = arith.addi %e, %e : i32
      sage_tile.yield %0 : i32
    }
    %p = sage_tile.load %in[%i, %c0] : memref<?x32xi8> to !packed
    %first = sage_tile.mma %p, %b, %map : !packed, !sage_tile.shared<8x32xi8, swizzle = 32> to !sums
    %second = sage_tile.mma %p, %b, %first : !packed, !sage_tile.shared<8x32xi8, swizzle = 32> to !sums
    scf.yield %second : !sums
  }
  %last = sage_tile.mma %q, %b, %sum : !packed, !sage_tile.shared<8x32xi8, swizzle = 32> to !sums
  sage_tile.store %last, %out[%c0, %c0] : !sums to memref<?x8xi32>
  sage_tile.return
}
}
