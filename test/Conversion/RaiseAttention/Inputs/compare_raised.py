"""Runs modules before and after sage-raise-attention on the same random inputs, and compares the results.

    compare_raised.py --libraries=LIST [--tolerance=X] FIXTURE[:REFERENCE][@N=8,M=11,binary=K]...

Letters are extents of dynamic dimensions, in order; argument number K holds zeros and ones only. A fixture is compared with itself or, where it cannot be run, with a reference of the same signature. Prints, for each,
the largest difference and the largest magnitude of the original's result; fails where their quotient exceeds the tolerance.
"""

import argparse
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
LOWER_TOSA = "func.func(tosa-to-linalg-named,tosa-to-linalg,tosa-to-arith,tosa-to-tensor),"
# Of the inputs: those of an attention, and weights of layers.
ACTIVATION, WEIGHT = 1.0, 0.3

PRELUDE = """
func.func private @printF32(f32)
func.func private @printNewline()
func.func @random(%position: index, %seed: i64) -> f32 {
  %p = arith.index_cast %position : index to i64
  %m0 = arith.constant 2654435761 : i64
  %m1 = arith.constant 1274126177 : i64
  %c13 = arith.constant 13 : i64
  %c16 = arith.constant 16 : i64
  %mask = arith.constant 65535 : i64
  %half = arith.constant 32768.0 : f32
  %a = arith.addi %p, %seed : i64
  %b = arith.muli %a, %m0 : i64
  %c = arith.shrui %b, %c13 : i64
  %d = arith.xori %b, %c : i64
  %e = arith.muli %d, %m1 : i64
  %f = arith.shrui %e, %c16 : i64
  %g = arith.andi %f, %mask : i64
  %h = arith.sitofp %g : i64 to f32
  %i = arith.subf %h, %half : f32
  %j = arith.divf %i, %half : f32
  return %j : f32
}
"""


def run(*command, text=None):
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)[:400]}\n{result.stderr[:4000]}")
    return result.stdout


def optimize(path, pipeline):
    return run("sage-opt", str(path), "--allow-unregistered-dialect",
               f"--pass-pipeline=builtin.module({pipeline}canonicalize,cse)")


def functions(text, name):
    """The aliases of attributes, the function as `name`, and the blobs of the module."""
    text = re.sub(r"#map(\d*)\b", rf"#{name}\1", text)
    body, _, resources = text.partition("\n{-#")
    aliases, _, body = body.partition("module {")
    body = body[:body.rindex("}")].replace("@main(", f"@{name}(")
    return aliases, body, "\n{-#" + resources if resources else ""


def signature(text):
    match = re.search(r"func\.func @main\((.*?)\) -> (tensor<[^>]*>)", text)
    return re.findall(r"tensor<[^>]*>", match.group(1)), match.group(2)


def shape_of(tensor, sizes):
    *extents, element = tensor[len("tensor<"):-1].split("x")
    names = iter(sizes)
    return [int(e) if e != "?" else sizes[next(names)] for e in extents], element


def generate(number, tensor, sizes, is_binary):
    extents, element = shape_of(tensor, sizes)
    static = f"tensor<{'x'.join(map(str, extents + [element]))}>"
    scale = ACTIVATION if len(extents) > 2 else WEIGHT
    names = [f"%d{number}_{k}" for k in range(len(extents))]
    lines = [f"  %g{number} = tensor.generate {{", f"  ^bb0({', '.join(n + ': index' for n in names)}):",
             "    %p0 = arith.constant 0 : index"]
    for k, (extent, name) in enumerate(zip(extents, names)):
        lines += [f"    %e{k} = arith.constant {extent} : index",
                  f"    %s{k} = arith.muli %p{k}, %e{k} : index",
                  f"    %p{k + 1} = arith.addi %s{k}, {name} : index"]
    lines += [f"    %seed = arith.constant {number * 1000003 + 17} : i64",
              f"    %x = func.call @random(%p{len(extents)}, %seed) : (index, i64) -> f32"]
    if element == "i1" or is_binary:
        # Three in four are true.
        lines += ["    %t = arith.constant -0.5 : f32", "    %i = arith.cmpf ogt, %x, %t : f32"]
    else:
        lines += [f"    %t = arith.constant {scale} : f32", "    %y = arith.mulf %x, %t : f32"]
    if element == "i1":
        value = "%i"
    elif is_binary:
        lines.append(f"    %v = arith.uitofp %i : i1 to {element}")
        value = "%v"
    elif element == "f32":
        value = "%y"
    else:
        lines.append(f"    %v = arith.truncf %y : f32 to {element}")
        value = "%v"
    lines += [f"    tensor.yield {value} : {element}", f"  }} : {static}"]
    if static != tensor:
        lines.append(f"  %a{number} = tensor.cast %g{number} : {static} to {tensor}")
        return lines, f"%a{number}"
    return lines, f"%g{number}"


def compare(result, sizes):
    extents, element = shape_of(result, sizes)
    rank = len(extents)
    dims = ", ".join(f"d{k}" for k in range(rank))
    widen = "" if element == "f32" else (f"    %xa = arith.extf %a : {element} to f32\n"
                                         f"    %xb = arith.extf %b : {element} to f32\n")
    a, b = ("%a", "%b") if element == "f32" else ("%xa", "%xb")
    return f"""
  %zero = arith.constant 0.0 : f32
  %init = tensor.empty() : tensor<f32>
  %start = linalg.fill ins(%zero : f32) outs(%init : tensor<f32>) -> tensor<f32>
  %max:2 = linalg.generic {{indexing_maps = [affine_map<({dims}) -> ({dims})>, affine_map<({dims}) -> ({dims})>,
      affine_map<({dims}) -> ()>, affine_map<({dims}) -> ()>], iterator_types = [{', '.join(['"reduction"'] * rank)}]}}
      ins(%before, %after : {result}, {result}) outs(%start, %start : tensor<f32>, tensor<f32>) {{
  ^bb0(%a: {element}, %b: {element}, %m: f32, %n: f32):
{widen}    %difference = arith.subf {a}, {b} : f32
    %u = math.absf %difference : f32
    %v = math.absf {a} : f32
    %o = arith.maximumf %u, %m : f32
    %p = arith.maximumf %v, %n : f32
    linalg.yield %o, %p : f32, f32
  }} -> (tensor<f32>, tensor<f32>)
  %d = tensor.extract %max#0[] : tensor<f32>
  call @printF32(%d) : (f32) -> ()
  call @printNewline() : () -> ()
  %l = tensor.extract %max#1[] : tensor<f32>
  call @printF32(%l) : (f32) -> ()
  call @printNewline() : () -> ()
  return
}}
"""


def driver(arguments, result, sizes, binary):
    lines, names = ["func.func @compare() {"], []
    for number, tensor in enumerate(arguments):
        generated, name = generate(number, tensor, sizes, number == binary)
        lines += generated
        names.append(name)
    call = f"({', '.join(names)}) : ({', '.join(arguments)}) -> {result}"
    lines += [f"  %before = call @original{call}", f"  %after = call @raised{call}"]
    return "\n".join(lines) + compare(result, sizes)


def check(argument, options):
    name, _, sizes = argument.partition("@")
    name, _, reference = name.partition(":")
    sizes = {key: int(value) for key, value in (pair.split("=") for pair in sizes.split(",") if pair)}
    path = FOLDER / f"{name}.mlir"
    tosa = LOWER_TOSA if name.startswith("tosa") else ""
    original = optimize(FOLDER / f"{reference or name}.mlir", "" if reference else tosa)
    raised = optimize(path, f"{options.prepare}sage-raise-attention{{recipe=f16}}," + tosa)
    if "sage.attention" not in raised:
        sys.exit(f"{name}: nothing was raised")
    arguments, result = signature(original)
    aliases, before, resources = functions(original, "original")
    more, after, _ = functions(raised, "raised")
    binary = sizes.pop("binary", None)
    module = aliases + more + before + after + PRELUDE + driver(arguments, result, sizes, binary) + resources
    # LLVM has no error function, and the library has no reciprocal root and no integer functions.
    library = ["--math-expand-ops=ops=rsqrt", "--convert-math-to-funcs", "--convert-math-to-libm"]
    calls = []
    if options.calls:
        calls = ["--one-shot-bufferize=bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map",
                 f"--sage-to-runtime-calls=chip={options.calls}"]
    lowered = run("sage-opt", "-", *(library if "math.erf" in module else []), *calls, "--sage-to-cpu", text=module)
    printed = run("mlir-runner", "-", "-e", "compare", "-entry-point-result=void", "-O1",
                  f"-shared-libs={','.join([options.libraries, *options.library])}", text=lowered)
    difference, largest = map(float, printed.split())
    print(f"{name}: largest difference {difference:.2e} of {largest:.2e}")
    # Written so that NaN fails.
    return largest > 0 and difference <= options.tolerance * largest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", nargs="+")
    parser.add_argument("--libraries", required=True)
    parser.add_argument("--tolerance", type=float, default=2e-3)
    parser.add_argument("--library", action="append", default=[], help="another library of the program")
    parser.add_argument("--calls", metavar="CHIP", help="call the runtime, with artifacts for this chip, "
                        "instead of decomposing")
    parser.add_argument("--prepare", default="", help="passes before raising, each with a comma behind it")
    options = parser.parse_args()
    failed = [fixture for fixture in options.fixtures if not check(fixture, options)]
    if failed:
        sys.exit(f"beyond {options.tolerance}: {', '.join(failed)}")


if __name__ == "__main__":
    main()
