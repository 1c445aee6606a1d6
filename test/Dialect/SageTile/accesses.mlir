// RUN: sage-opt %s | sage-opt | FileCheck %s
// RUN: sage-opt %s --mlir-print-op-generic | sage-opt | FileCheck %s

// Options of loads and stores, scalars of device memory, 4-bit and e5m2 operands, repetitions.

#rows = #sage_tile.layout<lane = [2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(0, 64), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2), 2:(0, 4)]>
#packed = #sage_tile.layout<lane = [2:(0, 4), 2:(0, 8), 2:(0, 16), 2:(0, 32), 2:(1, 0)], reg = [2:(0, 1), 2:(0, 2)]>
#a8 = #sage_tile.layout<lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]>
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#acc32 = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!view = memref<?x?xf16, strided<[?, 1]>>

// CHECK-LABEL: sage_tile.program @p
sage_tile.program @p {} {
  // CHECK: sage_tile.repeat #{{.*}} {
  // CHECK-NEXT: sage_tile.launch @count grid #{{.*}} args [#sage_tile.integer<i32, {{.*}}>]
  // CHECK-NEXT: }
  sage_tile.repeat affine_map<()[b, hq] -> (b * (hq ceildiv 8))> {
    sage_tile.launch @count grid affine_map<() -> (8)> args [
      #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step] -> (step * 8)>]
  }
}
sage_tile.kernel @count(%first: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  sage_tile.return
}

// CHECK-LABEL: sage_tile.kernel @accesses
sage_tile.kernel @accesses(%x: !view, %y: !view, %lengths: memref<?xi32>, %sinks: memref<?x8xf32>, %wide: i32)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %is = arith.cmpi ne, %wide, %zero : i32
  // CHECK: sage_tile.read %{{.*}}[%{{.*}}] : memref<?xi32> to i32
  %length = sage_tile.read %lengths[%c0] : memref<?xi32> to i32
  // CHECK: sage_tile.read %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x8xf32> to f32
  %sink = sage_tile.read %sinks[%c0, %c0] : memref<?x8xf32> to f32
  %limit = arith.index_cast %length : i32 to index
  // CHECK: sage_tile.load %{{.*}}[%{{.*}}, %{{.*}}] limit(%{{.*}}) column_limit(%{{.*}}) aligned(%{{.*}}) columns(72) map #{{.*}} : memref
  %v = sage_tile.load %x[%c0, %c0] limit(%limit) column_limit(%limit) aligned(%is) columns(72)
         map affine_map<(r, c) -> (r, c)> : !view to !sage_tile.fragment<2x128xf16, #rows>
  // CHECK: sage_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] column_limit(%{{.*}}) aligned(%{{.*}}) columns(80) : <2x128xf16
  sage_tile.store %v, %y[%c0, %c0] column_limit(%limit) aligned(%is) columns(80) : !sage_tile.fragment<2x128xf16, #rows> to !view
  sage_tile.return
}

// CHECK-LABEL: sage_tile.kernel @operands
sage_tile.kernel @operands() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  %c8 = arith.constant 8 : i8
  %zerof = arith.constant 0.0 : f32
  %rows = sage_tile.alloc : !sage_tile.shared<2x128xi8>
  %k = sage_tile.alloc : !sage_tile.shared<8x32xi8, swizzle = 32>
  %v = sage_tile.alloc : !sage_tile.shared<8x32xf8E5M2, swizzle = 32>
  %q = sage_tile.load %rows[%c0, %c0] : !sage_tile.shared<2x128xi8> to !sage_tile.fragment<2x128xi8, #rows>
  // CHECK: sage_tile.pack_nibbles %{{.*}} : <2x128xi8, #{{.*}}> to <2x64xi8
  %n = sage_tile.pack_nibbles %q : !sage_tile.fragment<2x128xi8, #rows> to !sage_tile.fragment<2x64xi8, #packed>
  %a = sage_tile.splat %c8 : i8 to !sage_tile.fragment<16x32xi8, #a8>
  %z = sage_tile.splat %zero : i32 to !sage_tile.fragment<16x8xi32, #acc>
  // CHECK: sage_tile.mma %{{.*}}, %{{.*}}, %{{.*}} int4 : !sage_tile.fragment
  %s = sage_tile.mma %a, %k, %z int4 : !sage_tile.fragment<16x32xi8, #a8>, !sage_tile.shared<8x32xi8, swizzle = 32>
         to !sage_tile.fragment<16x8xi32, #acc>
  %f = sage_tile.splat %zerof : f32 to !sage_tile.fragment<16x32xf32, #acc32>
  // CHECK: sage_tile.convert %{{.*}} order #{{.*}} : {{.*}}f32, #{{.*}}> to {{.*}}f8E5M2
  %p = sage_tile.convert %f order #order : !sage_tile.fragment<16x32xf32, #acc32> to !sage_tile.fragment<16x32xf8E5M2, #a8>
  %zo = sage_tile.splat %zerof : f32 to !sage_tile.fragment<16x8xf32, #acc>
  // CHECK: sage_tile.mma %{{.*}}, %{{.*}}, %{{.*}} : !sage_tile.fragment<16x32xf8E5M2
  %o = sage_tile.mma %p, %v, %zo : !sage_tile.fragment<16x32xf8E5M2, #a8>, !sage_tile.shared<8x32xf8E5M2, swizzle = 32>
         to !sage_tile.fragment<16x8xf32, #acc>
  sage_tile.return
}
