// RUN: sage-interpret %s --program=lengths --shape=2,1,1,3,9 --key-lengths=5,7 --bias-axes=k --print-buffer=out:i32 | FileCheck %s --check-prefix=LENGTHS
// RUN: sage-interpret %s --program=packed --shape=1,2,1,12,20 --sequences=4:9,0:3,8 --print-buffer=out:i32 | FileCheck %s --check-prefix=PACKED
// RUN: not sage-interpret %s --program=lengths --shape=2,1,1,3,9 --key-lengths=5 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not sage-interpret %s --program=lengths --shape=2,1,1,3,9 --key-lengths=5,q 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: not sage-interpret %s --program=packed --shape=1,2,1,12,20 --sinks=1,2 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sage-interpret %s --program=packed --shape=1,2,1,12,20 --bias-file=x.npy 2>&1 | FileCheck %s --check-prefix=BIAS
// REQUIRES: sage-interpret

// Key lengths, offsets and the strides of a bias reach the kernels.

// LENGTHS: out = [5, 7, 0, 1]
// PACKED: out = [0, 4, 3, 0]
// COUNT: there must be 2 key lengths, one for each batch entry, but got 1
// TEXT: --key-lengths must be integers of at least 0, separated by commas, but got '5,q'
// NONE: --sinks: the problem has no such operand
// BIAS: --bias-file: the problem has no such operand

#one = #sage_tile.layout<lane = [32:(0, 0)], reg = []>

sage_tile.program @lengths {head_dim = 64 : i64, element_type = f16, layout = #sage.layout<head_major>, mask = #sage.mask<none>,
                            key_lengths, bias = bf16} {
  sage_tile.workspace "out" bytes affine_map<() -> (16)>
  sage_tile.launch @copy grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"key_lengths">, #sage_tile.pointer<"out">,
    #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step, s, qa, ka, va, oa, bb, bh, bq, bk] -> (bq)>,
    #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step, s, qa, ka, va, oa, bb, bh, bq, bk] -> (bk)>]
}

sage_tile.program @packed {head_dim = 64 : i64, element_type = f16, layout = #sage.layout<head_major>, mask = #sage.mask<none>, packed} {
  sage_tile.workspace "out" bytes affine_map<() -> (16)>
  sage_tile.launch @copy grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"query_offsets">, #sage_tile.pointer<"out">,
    #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step, s] -> (s)>,
    #sage_tile.integer<i32, ()[b, hq, hkv, nq, nk, qb, qh, qn, kb, kh, kn, vb, vh, vn, ob, oh, on, step, s, qa, ka, va, oa, bb, bh, bq, bk] -> (bk)>]
}

// out = [numbers[0], numbers[1], x, y]
sage_tile.kernel @copy(%numbers: memref<?xi32>, %out: memref<?xi32>, %x: i32, %y: i32) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %a = sage_tile.read %numbers[%c0] : memref<?xi32> to i32
  %b = sage_tile.read %numbers[%c1] : memref<?xi32> to i32
  %fa = sage_tile.splat %a : i32 to !sage_tile.fragment<1x1xi32, #one>
  %fb = sage_tile.splat %b : i32 to !sage_tile.fragment<1x1xi32, #one>
  %fx = sage_tile.splat %x : i32 to !sage_tile.fragment<1x1xi32, #one>
  %fy = sage_tile.splat %y : i32 to !sage_tile.fragment<1x1xi32, #one>
  sage_tile.store %fa, %out[%c0] : !sage_tile.fragment<1x1xi32, #one> to memref<?xi32>
  sage_tile.store %fb, %out[%c1] : !sage_tile.fragment<1x1xi32, #one> to memref<?xi32>
  sage_tile.store %fx, %out[%c2] : !sage_tile.fragment<1x1xi32, #one> to memref<?xi32>
  sage_tile.store %fy, %out[%c3] : !sage_tile.fragment<1x1xi32, #one> to memref<?xi32>
  sage_tile.return
}
