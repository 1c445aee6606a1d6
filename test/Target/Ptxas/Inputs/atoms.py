"""Prints a gpu.module with one kernel for every matrix product that a chip has: atoms.py CHIP PTX."""
import itertools
import sys

BITS = {"i8": 8, "f8E4M3FN": 8, "f8E5M2": 8, "f16": 16, "bf16": 16}
OPERAND_A8 = "4:(0, 1), 2:(8, 0), 2:(0, 16)"


def layout(warps, lane, reg):
    warp = f"warp = [{warps}:(16, 0)], " if warps > 1 else ""
    return f"#sage_tile.layout<{warp}lane = [{lane}:(0, {lane_step(reg)}), 8:(1, 0)], reg = [{reg}]>"


def lane_step(reg):
    return 4 if reg.startswith("4") else 2


def with_blocks(reg, blocks, step):
    return reg if blocks == 1 else f"{reg}, {blocks}:(0, {step})"


def kernel(name, unit, operand, accumulator, columns, swizzle, is_shared, int4):
    """Two products that add to one another, the first to zero."""
    warps = 4 if unit == "warpgroup" else 1
    rows, depth = 16 * warps, swizzle * 8 // BITS[operand]
    acc = layout(warps, 4, with_blocks("2:(0, 1), 2:(8, 0)", columns // 8, 8))
    if BITS[operand] == 8:
        a = layout(warps, 4, with_blocks(OPERAND_A8, depth // 32, 32))
    else:
        a = layout(warps, 4, with_blocks("2:(0, 1), 2:(8, 0)", depth // 8, 8))
    tile = f"!sage_tile.shared<{rows}x{depth}x{operand}, swizzle = {swizzle}>"
    a_type = tile if is_shared else f"!sage_tile.fragment<{rows}x{depth}x{operand}, {a}>"
    b_type = f"!sage_tile.shared<{columns}x{depth}x{operand}, swizzle = {swizzle}>"
    result = f"!sage_tile.fragment<{rows}x{columns}x{accumulator}, {acc}>"
    zero = "0" if accumulator == "i32" else "0.0"
    load = f"""%a = sage_tile.load %x[%c0, %c0] : memref<?x{depth}x{operand}> to {a_type}"""
    attribute = " int4" if int4 else ""
    return f"""
sage_tile.kernel @{name}(%x: memref<?x{depth}x{operand}>, %y: memref<?x{columns}x{accumulator}>)
    attributes {{unit = #sage_tile.unit<{unit}>, units = 1 : i32}} {{
  %c0 = arith.constant 0 : index
  %zero = arith.constant {zero} : {accumulator}
  {f"%a = sage_tile.alloc : {tile}" if is_shared else load}
  %b = sage_tile.alloc : {b_type}
  %fresh = sage_tile.splat %zero : {accumulator} to {result}
  %p = sage_tile.mma %a, %b, %fresh{attribute} : {a_type}, {b_type} to {result}
  %q = sage_tile.mma %a, %b, %p{attribute} : {a_type}, {b_type} to {result}
  sage_tile.store %q, %y[%c0, %c0] : {result} to memref<?x{columns}x{accumulator}>
  sage_tile.return
}}"""


def products(chip):
    yield "i8", "i32"
    yield "f16", "f32"
    yield "f16", "f16"
    yield "bf16", "f32"
    if chip >= 89:
        for operand, accumulator in itertools.product(("f8E4M3FN", "f8E5M2"), ("f32", "f16")):
            yield operand, accumulator


def kernels(chip):
    unit = "warpgroup" if chip == 90 else "warp"
    # Odd multiples of 8, and more than one instruction.
    widths = (8, 72, 136, 264) if chip == 90 else (8, 24, 72)
    for operand, accumulator in products(chip):
        for columns, swizzle, is_shared in itertools.product(widths, (32, 64, 128), (False, True)):
            place = "shared" if is_shared else "registers"
            name = f"{operand}_{accumulator}_{columns}_{swizzle}_{place}"
            yield kernel(name, unit, operand, accumulator, columns, swizzle, is_shared, False)
            if chip < 90 and operand == "i8":
                yield kernel(f"int4_{name}", unit, operand, accumulator, columns, swizzle, is_shared, True)


def main():
    chip, ptx = sys.argv[1:3]
    number = int("".join(filter(str.isdigit, chip)))
    print(f'gpu.module @atoms [#nvvm.target<chip = "{chip}", features = "+ptx{ptx}", O = 3>] {{')
    for text in kernels(number):
        print(text)
    print("}")


main()
