"""Prints a small attention whose tiles are split in panels: panels.py FAMILY OPERAND [CHIP PTX].

FAMILY is mma_sync or wgmma; OPERAND is i8 (P and V are f8E4M3FN then) or f16. Q and K have two panels of 32 columns
(head dim), V two of 32 tokens; a tile also copies four key scales and a correction for each of its 64 keys. The first
tile of the loop is masked. With CHIP the kernels can be assembled.
"""
import sys

FILL = """
// k[n, d] = (n + d) mod 3 - 1, q[n, d] = (n + 2 d) mod 3 - 1, v[c, t] = (c + t) mod 3 - 1; corrections are n mod 4,
// scales 0.5 or 1: all sums are exact.
sage_tile.kernel @fill(%k: memref<128x64x{OPERAND}>, %q: memref<128x64x{OPERAND}>, %v: memref<16x128x{VALUE}>, %scales: memref<8xf32>,
                       %corrections: memref<128xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %three = arith.constant 3 : i32
  %one = arith.constant 1 : i32
  %half = arith.constant 0.5 : f32
  %kf = sage_tile.map positions to !data {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.addi %r, %c : i32
    %1 = arith.remui %0, %three : i32
    %2 = arith.subi %1, %one : i32
    %3 = arith.sitofp %2 : i32 to f32
    sage_tile.yield %3 : f32
  }
  %k8 = sage_tile.convert %kf : !data to !sage_tile.fragment<128x64x{OPERAND}, #data>
  sage_tile.store %k8, %k[%c0, %c0] : !sage_tile.fragment<128x64x{OPERAND}, #data> to memref<128x64x{OPERAND}>
  %qf = sage_tile.map positions to !data {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.addi %r, %c : i32
    %1 = arith.addi %0, %c : i32
    %2 = arith.remui %1, %three : i32
    %3 = arith.subi %2, %one : i32
    %4 = arith.sitofp %3 : i32 to f32
    sage_tile.yield %4 : f32
  }
  %q8 = sage_tile.convert %qf : !data to !sage_tile.fragment<128x64x{OPERAND}, #data>
  sage_tile.store %q8, %q[%c0, %c0] : !sage_tile.fragment<128x64x{OPERAND}, #data> to memref<128x64x{OPERAND}>
  %vf = sage_tile.convert %kf : !data to !sage_tile.fragment<128x64x{VALUE}, #data>
  sage_tile.store %vf, %v[%c0, %c0] columns(16) map affine_map<(r, c) -> (c, r)>
    : !sage_tile.fragment<128x64x{VALUE}, #data> to memref<16x128x{VALUE}>
  %n = sage_tile.map positions to !sage_tile.fragment<1x128xf32, #vector> {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.andi %c, %three : i32
    %1 = arith.sitofp %0 : i32 to f32
    sage_tile.yield %1 : f32
  }
  sage_tile.store %n, %corrections[%c0] : !sage_tile.fragment<1x128xf32, #vector> to memref<128xf32>
  %s = sage_tile.map positions to !sage_tile.fragment<1x128xf32, #vector> {
  ^bb0(%r: i32, %c: i32):
    %0 = arith.andi %c, %one : i32
    %1 = arith.addi %0, %one : i32
    %2 = arith.sitofp %1 : i32 to f32
    %3 = arith.mulf %2, %half : f32
    sage_tile.yield %3 : f32
  }
  sage_tile.store %s, %scales[%c0] columns(8) : !sage_tile.fragment<1x128xf32, #vector> to memref<8xf32>
  sage_tile.return
}
"""

ATTEND = """
sage_tile.kernel @attend(%q: {QUERIES}, %k: {KEYS}, %v: {VALUES}, %scales: memref<8xf32>, %corrections: memref<1x128xf32>,
                         %out: memref<{ROWS}x24xf32>, %n: i32, %prefix: i32)
    attributes {unit = #sage_tile.unit<{UNIT}>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %unit_rows = arith.constant {UNIT_ROWS} : index
  %zero = arith.constant {ZERO} : {SCORE}
  %zerof = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %visible = arith.constant 40 : i32
  %q0s = sage_tile.alloc : !queries
  %q1s = sage_tile.alloc : !queries
  %k0 = sage_tile.alloc : !key
  %k1 = sage_tile.alloc : !key
  %ks = sage_tile.alloc : !sage_tile.shared<4xf32>
  %cs = sage_tile.alloc : !sage_tile.shared<64xf32>
  %v0 = sage_tile.alloc : !value
  %v1 = sage_tile.alloc : !value
  %ones0 = sage_tile.subtile %v0[%c16] : !value to !ones
  %ones1 = sage_tile.subtile %v1[%c16] : !value to !ones
  sage_tile.fill %ones0 with 1.0 : {VALUE} : !ones
  sage_tile.fill %ones1 with 1.0 : {VALUE} : !ones
  %tiles = arith.index_cast %n : i32 to index
  %masked_tiles = arith.index_cast %prefix : i32 to index
  sage_tile.copy %q[%c0, %c0] to %q0s : {QUERIES} to !queries
  sage_tile.copy %q[%c0, %c32] to %q1s : {QUERIES} to !queries
  %unit = sage_tile.unit_id
  %row = arith.muli %unit, %unit_rows : index
  %q0u = sage_tile.subtile %q0s[%row] : !queries to !query
  %q1u = sage_tile.subtile %q1s[%row] : !queries to !query
{LOAD_QUERY}  %start = sage_tile.splat %zerof : f32 to !output
  %alpha = sage_tile.splat %half : f32 to !row
  %result = scf.for %i = %c0 to %tiles step %c1 iter_args(%o = %start) -> (!output) {
    %last = arith.subi %tiles, %c1 : index
    %tile = arith.subi %last, %i : index
    %first = arith.muli %tile, %c64 : index
    %middle = arith.addi %first, %c32 : index
    sage_tile.copy %k[%first, %c0] to %k0 : {KEYS} to !key
    sage_tile.copy %k[%first, %c32] to %k1 : {KEYS} to !key
    %group = arith.muli %tile, %c4 : index
    sage_tile.copy %scales[%group] to %ks : memref<8xf32> to !sage_tile.shared<4xf32>
    sage_tile.copy %corrections[%c0, %first] to %cs : memref<1x128xf32> to !sage_tile.shared<64xf32>
    %fresh = sage_tile.splat %zero : {SCORE} to !products
    %s0 = sage_tile.mma {QUERY0}, %k0, %fresh : {QUERY_TYPE}, !key to !products
    %s1 = sage_tile.mma {QUERY1}, %k1, %s0 : {QUERY_TYPE}, !key to !products
    %correction = sage_tile.load %cs[%c0] : !sage_tile.shared<64xf32> to !sage_tile.fragment<1x64xf32, #column>
    %x = sage_tile.map ins(%s1, %correction : !products, !sage_tile.fragment<1x64xf32, #column>) to !scores {
    ^bb0(%e: {SCORE}, %c: f32):
{TO_FLOAT}      %1 = arith.addf {FLOAT}, %c : f32
      sage_tile.yield %1 : f32
    }
    %is = arith.cmpi ult, %i, %masked_tiles : index
    %y = scf.if %is -> (!scores) {
      %m = sage_tile.map positions ins(%x : !scores) to !scores {
      ^bb0(%r: i32, %c: i32, %e: f32):
        %0 = arith.cmpi slt, %c, %visible : i32
        %1 = arith.select %0, %e, %zerof : f32
        sage_tile.yield %1 : f32
      }
      scf.yield %m : !scores
    } else {
      scf.yield %x : !scores
    }
    %scale = sage_tile.load %ks[%c0] : !sage_tile.shared<4xf32> to !sage_tile.fragment<1x4xf32, #quad>
    %p = sage_tile.map ins(%y, %scale : !scores, !sage_tile.fragment<1x4xf32, #quad>)
        maps [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (0, (c mod 8) floordiv 2)>] to !scores {
    ^bb0(%e: f32, %f: f32):
      %0 = arith.mulf %e, %f : f32
      sage_tile.yield %0 : f32
    }
    %packed = sage_tile.convert %p{ORDER} : !scores to !packed
    %p0 = sage_tile.slice %packed[0] : !packed to !panel
    %p1 = sage_tile.slice %packed[32] : !packed to !panel
    %t0 = sage_tile.subtile %v0[%c0] : !value to !channels
    %t1 = sage_tile.subtile %v1[%c0] : !value to !channels
    sage_tile.copy %v[%c0, %first] to %t0 : {VALUES} to !channels
    sage_tile.copy %v[%c0, %middle] to %t1 : {VALUES} to !channels
    %rescaled = sage_tile.map ins(%o, %alpha : !output, !row) to !output {
    ^bb0(%e: f32, %f: f32):
      %0 = arith.mulf %e, %f : f32
      sage_tile.yield %0 : f32
    }
    %o0 = sage_tile.mma %p0, %v0, %rescaled : !panel, !value to !output
    %o1 = sage_tile.mma %p1, %v1, %o0 : !panel, !value to !output
    scf.yield %o1 : !output
  }
  sage_tile.store %result, %out[%row, %c0] : !output to memref<{ROWS}x24xf32>
  sage_tile.return
}
"""

TYPES = """
#acc = #sage_tile.layout<{WARPS}lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 8:(0, 8)]>
#acc24 = #sage_tile.layout<{WARPS}lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 3:(0, 8)]>
#a = #sage_tile.layout<{WARPS}{A64}>
#half = #sage_tile.layout<{WARPS}{A32}>
#row = #sage_tile.layout<{WARPS}lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
#quad = #sage_tile.layout<{SAME}lane = [4:(0, 1), 8:(0, 0)], reg = []>
#column = #sage_tile.layout<{SAME}lane = [4:(0, 2), 8:(0, 0)], reg = [2:(0, 1), 8:(0, 8)]>
#data = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 8:(0, 8), 16:(8, 0)]>
#vector = #sage_tile.layout<lane = [32:(0, 1)], reg = [4:(0, 32)]>
#order = affine_map<(p) -> ((p floordiv 16) * 16 + ((p mod 4) floordiv 2) * 8 + ((p mod 16) floordiv 4) * 2 + p mod 2)>
!data = !sage_tile.fragment<128x64xf32, #data>
!queries = !sage_tile.shared<{ROWS}x32x{OPERAND}, swizzle = {SWIZZLE}>
!query = !sage_tile.shared<{UNIT_ROWS}x32x{OPERAND}, swizzle = {SWIZZLE}>
!operand = !sage_tile.fragment<{UNIT_ROWS}x32x{OPERAND}, #half>
!key = !sage_tile.shared<64x32x{OPERAND}, swizzle = {SWIZZLE}>
!value = !sage_tile.shared<24x32x{VALUE}, swizzle = {SWIZZLE}>
!channels = !sage_tile.shared<16x32x{VALUE}, swizzle = {SWIZZLE}>
!ones = !sage_tile.shared<8x32x{VALUE}, swizzle = {SWIZZLE}>
!products = !sage_tile.fragment<{UNIT_ROWS}x64x{SCORE}, #acc>
!scores = !sage_tile.fragment<{UNIT_ROWS}x64xf32, #acc>
!packed = !sage_tile.fragment<{UNIT_ROWS}x64x{VALUE}, #a>
!panel = !sage_tile.fragment<{UNIT_ROWS}x32x{VALUE}, #half>
!output = !sage_tile.fragment<{UNIT_ROWS}x24xf32, #acc24>
!row = !sage_tile.fragment<{UNIT_ROWS}x1xf32, #row>

sage_tile.program @p {} {
  sage_tile.workspace "k" bytes affine_map<() -> ({MATRIX_BYTES})>
  sage_tile.workspace "q" bytes affine_map<() -> ({MATRIX_BYTES})>
  sage_tile.workspace "v" bytes affine_map<() -> ({VALUE_BYTES})>
  sage_tile.workspace "scales" bytes affine_map<() -> (32)>
  sage_tile.workspace "corrections" bytes affine_map<() -> (512)>
  sage_tile.workspace "sums" bytes affine_map<() -> ({OUTPUT_BYTES})>
  sage_tile.launch @kernels::@fill grid affine_map<() -> (1)> args [
    #sage_tile.pointer<"k">, #sage_tile.pointer<"q">, #sage_tile.pointer<"v">, #sage_tile.pointer<"scales">,
    #sage_tile.pointer<"corrections">]
  sage_tile.launch @kernels::@attend grid affine_map<() -> (1)> args [{ARGUMENTS},
    #sage_tile.pointer<"scales">, #sage_tile.pointer<"corrections">, #sage_tile.pointer<"sums">,
    #sage_tile.integer<i32, () -> (2)>, #sage_tile.integer<i32, () -> (1)>]
}
"""


def tensor_map(name, element, columns, rows, row_bytes, box_rows, swizzle):
    """The type of a map of 32-column boxes and the launch argument that describes it."""
    return (f"!sage_tile.tensor_map<{box_rows}x32x{element}, swizzle = {swizzle}>",
            f'#sage_tile.tensor_map<"{name}", {element}, extents = () -> ({columns}, {rows}), '
            f"strides = () -> ({row_bytes}), box = [32, {box_rows}], swizzle = {swizzle}>")


def parameters(is_wgmma, operand):
    is_half = operand == "f16"
    value = "f16" if is_half else "f8E4M3FN"
    size = 2 if is_half else 1
    unit_rows = 64 if is_wgmma else 16
    rows = 2 * unit_rows
    halves = "lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), {}:(0, 8)]"
    result = {
        "OPERAND": operand, "VALUE": value, "SCORE": "f32" if is_half else "i32", "ZERO": "0.0" if is_half else "0",
        "UNIT": "warpgroup" if is_wgmma else "warp", "UNIT_ROWS": unit_rows, "ROWS": rows, "SWIZZLE": 32 * size,
        "WARPS": "warp = [4:(16, 0)], " if is_wgmma else "", "SAME": "warp = [4:(0, 0)], " if is_wgmma else "",
        "MATRIX_BYTES": 8192 * size, "VALUE_BYTES": 2048 * size, "OUTPUT_BYTES": rows * 24 * 4,
        "FLOAT": "%e" if is_half else "%0", "TO_FLOAT": "" if is_half else "      %0 = arith.sitofp %e : i32 to f32\n",
        "ORDER": "" if is_half else " order #order",
    }
    if is_half:
        result["A64"], result["A32"] = halves.format(8), halves.format(4)
    else:
        result["A32"] = "lane = [4:(0, 4), 8:(1, 0)], reg = [4:(0, 1), 2:(8, 0), 2:(0, 16)]"
        result["A64"] = result["A32"][:-1] + ", 2:(0, 32)]"
    # Halves of mma.sync are left in shared memory, as large head dims are.
    if is_wgmma or is_half:
        result.update(QUERY0="%q0u", QUERY1="%q1u", QUERY_TYPE="!query", LOAD_QUERY="")
    else:
        load = "  %q{0} = sage_tile.load %q{0}u[%c0, %c0] : !query to !operand\n"
        result.update(QUERY0="%q0", QUERY1="%q1", QUERY_TYPE="!operand", LOAD_QUERY=load.format(0) + load.format(1))
    if is_wgmma:
        swizzle = result["SWIZZLE"]
        maps = [tensor_map("q", operand, 64, 128, 64 * size, rows, swizzle),
                tensor_map("k", operand, 64, 128, 64 * size, 64, swizzle),
                tensor_map("v", value, 128, 16, 128 * size, 16, swizzle)]
    else:
        maps = [(f"memref<128x64x{operand}>", '#sage_tile.pointer<"q">'),
                (f"memref<128x64x{operand}>", '#sage_tile.pointer<"k">'),
                (f"memref<16x128x{value}>", '#sage_tile.pointer<"v">')]
    (result["QUERIES"], _), (result["KEYS"], _), (result["VALUES"], _) = maps
    result["ARGUMENTS"] = ", ".join(argument for _, argument in maps)
    return result


def main():
    family, operand = sys.argv[1:3]
    target = ""
    if len(sys.argv) > 3:
        target = f' [#nvvm.target<chip = "{sys.argv[3]}", features = "+ptx{sys.argv[4]}", O = 3>]'
    text = TYPES + "\ngpu.module @kernels" + target + " {" + FILL + ATTEND + "}"
    for name, value in parameters(family == "wgmma", operand).items():
        text = text.replace("{" + name + "}", str(value))
    print(text)


main()
