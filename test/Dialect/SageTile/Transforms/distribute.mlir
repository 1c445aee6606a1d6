// RUN: sage-opt %s --pass-pipeline='builtin.module(gpu.module(sage_tile.kernel(sage-tile-distribute)))' | FileCheck %s

#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 8:(0, 8)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#a = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16), 2:(0, 32)]>
#half = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(1, 0), 2:(2, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4), 2:(4, 0)]>
#columns = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 0), 2:(0, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>

gpu.module @kernels {

// An operand with fewer registers is picked by a shuffle; scalars stay scalars as long as possible.
// CHECK-LABEL: sage_tile.kernel @map
// CHECK-DAG:   %[[X:.*]] = arith.constant dense<1.000000e+00> : vector<32xf32>
// CHECK-DAG:   %[[Y:.*]] = vector.broadcast %{{.*}} : f32 to vector<2xf32>
// CHECK:       %[[PICKED:.*]] = vector.shuffle %[[Y]], %[[Y]] [0, 0, 1, 1, 0, 0, 1, 1
// CHECK:       %[[SCALE:.*]] = arith.addf %{{.*}}, %{{.*}} : f32
// CHECK:       %[[PRODUCT:.*]] = arith.mulf %[[X]], %[[PICKED]] : vector<32xf32>
// CHECK:       %[[SCALES:.*]] = vector.broadcast %[[SCALE]] : f32 to vector<32xf32>
// CHECK:       arith.mulf %[[PRODUCT]], %[[SCALES]] : vector<32xf32>
sage_tile.kernel @map(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %one = arith.constant 1.0 : f32
  %x = sage_tile.splat %one : f32 to !sage_tile.fragment<16x64xf32, #acc>
  %y = sage_tile.splat %s : f32 to !sage_tile.fragment<16x1xf32, #row>
  %p = sage_tile.map ins(%x, %y : !sage_tile.fragment<16x64xf32, #acc>, !sage_tile.fragment<16x1xf32, #row>)
         to !sage_tile.fragment<16x64xf32, #acc> {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %s, %s : f32
    %1 = arith.mulf %a, %b : f32
    %2 = arith.mulf %1, %0 : f32
    sage_tile.yield %2 : f32
  }
  %q = sage_tile.order_after %y, %p : !sage_tile.fragment<16x1xf32, #row>, !sage_tile.fragment<16x64xf32, #acc>
  sage_tile.return
}

// A bound is compared with constants: what the lane contributes is subtracted from it once.
// CHECK-LABEL: sage_tile.kernel @positions
// CHECK-SAME:    %[[N:[a-z0-9]+]]: i32
// CHECK:       sage_tile.lane_id
// CHECK:       %[[BOUND:[0-9]+]] = arith.subi %[[N]], %{{.*}} : i32
// CHECK-DAG:   %[[COLUMNS:.*]] = arith.constant dense<[0, 1, 0, 1, 8, 9, 8, 9,
// CHECK-DAG:   %[[BOUNDS:.*]] = vector.broadcast %[[BOUND]] : i32 to vector<32xi32>
// CHECK:       arith.cmpi slt, %[[COLUMNS]], %[[BOUNDS]] : vector<32xi32>
// CHECK:       arith.select %{{.*}}, %{{.*}}, %{{.*}} : vector<32xi1>, vector<32xf32>
sage_tile.kernel @positions(%n: i32, %s: f32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<16x64xf32, #acc>
  %p = sage_tile.map positions ins(%x : !sage_tile.fragment<16x64xf32, #acc>) to !sage_tile.fragment<16x64xf32, #acc> {
  ^bb0(%r: i32, %c: i32, %a: f32):
    %0 = arith.cmpi slt, %c, %n : i32
    %1 = arith.select %0, %a, %s : f32
    sage_tile.yield %1 : f32
  }
  sage_tile.return
}

// Row maxima: the lane's registers, then the quad.
// CHECK-LABEL: sage_tile.kernel @maxima
// CHECK-COUNT-30: arith.maximumf
// CHECK-DAG:   gpu.shuffle xor %{{.*}}, %c1
// CHECK-DAG:   gpu.shuffle xor %{{.*}}, %c2
// CHECK:       vector.from_elements %{{.*}}, %{{.*}} : vector<2xf32>
sage_tile.kernel @maxima(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<16x64xf32, #acc>
  %m = sage_tile.reduce <maximumf> %x : !sage_tile.fragment<16x64xf32, #acc> to !sage_tile.fragment<16x1xf32, #row>
  sage_tile.return
}

// Sums over rows are halving trees: row bit 2 (registers), then bit 1, then bit 0 (lanes).
// CHECK-LABEL: sage_tile.kernel @sums
// CHECK:         %[[A:.*]] = vector.extract %[[X:.*]][0]
// CHECK:         %[[B:.*]] = vector.extract %[[X]][8]
// CHECK:         arith.addf %[[A]], %[[B]]
// CHECK-COUNT-8: gpu.shuffle xor %{{.*}}, %c16
// CHECK-COUNT-8: gpu.shuffle xor %{{.*}}, %c8
sage_tile.kernel @sums(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<8x64xf32, #rows>
  %m = sage_tile.reduce <addf> %x : !sage_tile.fragment<8x64xf32, #rows> to !sage_tile.fragment<1x64xf32, #columns>
  sage_tile.return
}

// Accumulators become A operands: registers in the operand's order, four to a word.
// CHECK-LABEL: sage_tile.kernel @convert
// CHECK:       %[[ORDERED:.*]] = vector.shuffle %{{.*}} [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15,
// CHECK:       %[[WORDS:.*]] = sage_tile.pack %[[ORDERED]] as f8E4M3FN : vector<32xf32> to vector<8xi32>
// CHECK:       vector.shuffle %[[WORDS]], %[[WORDS]] [4, 5, 6, 7]
sage_tile.kernel @convert(%s: f32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<16x64xf32, #acc>
  %p = sage_tile.convert %x order #order : !sage_tile.fragment<16x64xf32, #acc> to !sage_tile.fragment<16x64xf8E4M3FN, #a>
  %t = sage_tile.slice %p[32] : !sage_tile.fragment<16x64xf8E4M3FN, #a>
         to !sage_tile.fragment<16x32xf8E4M3FN, #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>>
  sage_tile.return
}

// CHECK-LABEL: sage_tile.kernel @join
// CHECK:       %[[A:.*]] = vector.shuffle %[[X:.*]], %[[X]] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
// CHECK:       %[[B:.*]] = vector.shuffle %[[X]], %[[X]] [16,
// CHECK:       vector.shuffle %[[B]], %[[A]] [0, 1,
// CHECK:       scf.if %{{.*}} -> (vector<32xf32>)
sage_tile.kernel @join(%s: f32, %n: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
  %x = sage_tile.splat %s : f32 to !sage_tile.fragment<16x64xf32, #acc>
  %a = sage_tile.slice %x[0] : !sage_tile.fragment<16x64xf32, #acc> to !sage_tile.fragment<16x32xf32, #half>
  %b = sage_tile.slice %x[32] : !sage_tile.fragment<16x64xf32, #acc> to !sage_tile.fragment<16x32xf32, #half>
  %j = sage_tile.concat %b, %a : !sage_tile.fragment<16x32xf32, #half>, !sage_tile.fragment<16x32xf32, #half> to !sage_tile.fragment<16x64xf32, #acc>
  %z = arith.constant 0 : i32
  %c = arith.cmpi eq, %n, %z : i32
  %r = scf.if %c -> (!sage_tile.fragment<16x64xf32, #acc>) {
    scf.yield %j : !sage_tile.fragment<16x64xf32, #acc>
  } else {
    scf.yield %x : !sage_tile.fragment<16x64xf32, #acc>
  }
  sage_tile.return
}
}
