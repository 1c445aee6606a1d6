// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-interleave-exponentials{chunks=2})))" | FileCheck %s
// RUN: sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-interleave-exponentials{chunks=1})))" | FileCheck %s --check-prefix=ONE
// RUN: not sage-opt %s --pass-pipeline="builtin.module(gpu.module(sage_tile.kernel(sage-tile-interleave-exponentials{chunks=0})))" 2>&1 | FileCheck %s --check-prefix=ERROR

// ERROR: error: chunks must be positive, but got 0

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#operand = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#grouped = #sage_tile.layout<lane = [4:(0, 1), 8:(1, 0)], reg = [2:(8, 0)]>
#identity = affine_map<(r, c) -> (r, c)>
#toRow = affine_map<(r, c) -> (r, 0)>
#toGroup = affine_map<(r, c) -> (r, (c mod 8) floordiv 2)>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!integers = !sage_tile.fragment<16x32xi32, #acc>
!scores = !sage_tile.fragment<16x32xf32, #acc>
!packed = !sage_tile.fragment<16x32xf8E4M3FN, #operand>
!row = !sage_tile.fragment<16x1xf32, #row>
!grouped = !sage_tile.fragment<16x4xf32, #grouped>

gpu.module @kernels {
// CHECK-LABEL: sage_tile.kernel @packed
// ONE-LABEL: sage_tile.kernel @packed
// ONE-NOT: sage_tile.slice
// ONE-NOT: sage_tile.order_after
sage_tile.kernel @packed(%p8: memref<?x32xf8E4M3FN>, %in: memref<?x32xi32>, %factors: memref<?x4xf32>, %offsets: memref<?xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  // CHECK: %[[S:.+]] = sage_tile.load {{.*}} to <16x32xi32
  // CHECK: %[[A:.+]] = sage_tile.load {{.*}} to <16x4xf32
  // CHECK: %[[B:.+]] = sage_tile.load {{.*}} to <16x1xf32
  %c0 = arith.constant 0 : index
  %s = sage_tile.load %in[%c0, %c0] : memref<?x32xi32> to !integers
  %a = sage_tile.load %factors[%c0, %c0] : memref<?x4xf32> to !grouped
  %b = sage_tile.load %offsets[%c0] : memref<?xf32> to !row
  // The conversion, which nothing else uses, is split too.
  // CHECK-NEXT: %[[S0:.+]] = sage_tile.slice %[[S]][0] : <16x32xi32, #{{.+}}> to <16x16xi32
  // CHECK: %[[X0:.+]] = sage_tile.map ins(%[[S0]]
  // CHECK: arith.sitofp
  // CHECK: %[[Y0:.+]] = sage_tile.map ins(%[[X0]], %[[A]], %[[B]]
  // CHECK: %[[P0:.+]] = sage_tile.convert %[[Y0]] order #{{.+}} : <16x16xf32, #{{.+}}> to <16x16xf8E4M3FN
  // CHECK: sage_tile.slice %[[S]][16]
  // CHECK: %[[LATER:.+]] = sage_tile.order_after %[[B]], %[[Y0]]
  // CHECK: %[[Y1:.+]] = sage_tile.map ins(%{{.+}}, %[[A]], %[[LATER]]
  // CHECK: %[[P1:.+]] = sage_tile.convert %[[Y1]]
  // CHECK: %[[P:.+]] = sage_tile.concat %[[P0]], %[[P1]]
  // CHECK: %[[SUM0:.+]] = sage_tile.reduce <addf> %[[Y0]]
  // CHECK: %[[SUM1:.+]] = sage_tile.reduce <addf> %[[Y1]]
  // CHECK: %[[SUM:.+]] = sage_tile.map ins(%[[SUM0]], %[[SUM1]]
  // CHECK: sage_tile.store %[[P]]
  // CHECK: sage_tile.store %[[SUM]]
  %x = sage_tile.map ins(%s : !integers) to !scores {
  ^bb0(%e: i32):
    %0 = arith.sitofp %e : i32 to f32
    sage_tile.yield %0 : f32
  }
  %y = sage_tile.map ins(%x, %a, %b : !scores, !grouped, !row) maps [#identity, #toGroup, #toRow] to !scores {
  ^bb0(%e: f32, %ea: f32, %eb: f32):
    %0 = math.fma %e, %ea, %eb : f32
    %1 = math.exp2 %0 : f32
    sage_tile.yield %1 : f32
  }
  %p = sage_tile.convert %y order #order : !scores to !packed
  %sum = sage_tile.reduce <addf> %y map #toGroup : !scores to !grouped
  sage_tile.store %p, %p8[%c0, %c0] : !packed to memref<?x32xf8E4M3FN>
  sage_tile.store %sum, %factors[%c0, %c0] : !grouped to memref<?x4xf32>
  sage_tile.return
}
}
