#!/usr/bin/env python3
"""Counts what the main loop of an attention kernel executes, from the SASS.

  count-instructions.py ARTIFACT.ptx... [--ptxas=PATH] [--nvdisasm=PATH] [--json] [--limit=NAME=NUMBER]
  count-instructions.py --cubin=FILE --kernel=NAME --rows=N --keys=N     code that is no artifact, to compare with

The main loop is the shortest innermost loop with tensor instructions: the one whose tiles are not masked. `rows` query rows and `keys`
keys pass through one warp in an iteration, 16 and the key tile in an artifact; per element means per element of S and lane,
that is, 32 lanes share rows x keys elements. nvdisasm comes with the CUDA Toolkit and with the package
nvidia-cuda-nvdisasm. --limit=per_element=13 (or instructions, registers, frame, tensor_share, stages) makes a larger figure
(for tensor_share and stages: a smaller one) an error. Exit status: 0, 1 beyond a limit, 2 for wrong usage. Standard library only.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from artifact import list_kernels, read_manifest

CLASSES = [
    ("tensor", r"IMMA|HMMA|QMMA|IGMMA|HGMMA|QGMMA"),
    ("mufu", r"MUFU"),
    ("convert", r"I2F|I2FP|F2F|F2FP|F2I"),
    ("float", r"FFMA|FADD|FMUL|FMNMX|FSETP|FSEL|HFMA2|HADD2|HMUL2|HMNMX2|FSET|FCHK"),
    ("shared", r"LDS|LDSM|STS|LDGSTS|UTMALDG|SYNCS|ARRIVES|LDGDEPBAR|DEPBAR"),
    ("global", r"LDG|STG|LDL|STL|LDC|ULDC|LDCU"),
    ("control", r"BRA|BSSY|BSYNC|BAR|CALL|RET|EXIT|WARPSYNC|WARPGROUP|YIELD|NOP|NANOSLEEP|SHFL|VOTE|R2UR|ELECT"),
]


def disassemble(cubin, nvdisasm):
    """[(address, opcode, target or None)] and label addresses, by kernel."""
    text = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True, check=True).stdout
    kernels, name, labels, pending = {}, None, {}, []
    for line in text.splitlines():
        found = re.match(r"\.text\.(\S+):", line)
        if found:
            name, labels, pending = found.group(1), {}, []
            kernels[name] = ([], labels)
            continue
        found = re.match(r"(\.L_x_\d+):", line)
        if found and name:
            pending.append(found.group(1))
            continue
        found = re.match(r"\s+/\*([0-9a-f]+)\*/\s+(@!?U?P\w+\s+)?([A-Z0-9_.]+)(.*);", line)
        if not found or not name:
            continue
        address = int(found.group(1), 16)
        for label in pending:
            labels[label] = address
        pending = []
        target = re.search(r"\((\.L_x_\d+)\)", found.group(4))
        kernels[name][0].append((address, found.group(3), target.group(1) if target else None))
    return kernels


def is_class(opcode, pattern):
    return re.fullmatch(pattern, opcode.split(".")[0]) is not None


def find_main_loop(instructions, labels):
    """First and last address of the shortest innermost loop with tensor instructions."""

    def has_tensor(loop):
        return any(is_class(op, CLASSES[0][1]) for at, op, _ in instructions if loop[0] <= at <= loop[1])

    loops = [(labels[target], address) for address, opcode, target in instructions
             if opcode.startswith("BRA") and labels.get(target, address + 1) <= address]
    loops = [loop for loop in set(loops) if has_tensor(loop)]
    inner = [loop for loop in loops
             if not any(other != loop and loop[0] <= other[0] and other[1] <= loop[1] for other in loops)]
    return min(inner, key=lambda loop: loop[1] - loop[0], default=None)


def count(instructions, labels, rows, keys):
    loop = find_main_loop(instructions, labels)
    if loop is None:
        return None
    body = [op for at, op, _ in instructions if loop[0] <= at <= loop[1]]
    classes = {name: sum(is_class(op, pattern) for op in body) for name, pattern in CLASSES}
    classes["integer"] = len(body) - sum(classes.values())
    elements = rows * keys / 32
    return {"instructions": len(body), "per_element": round(len(body) / elements, 2),
            "tensor_share": round(classes["tensor"] / len(body), 3), "classes": classes}


def occupancy(registers, threads, shared, chip):
    """Warps on a multiprocessor, and of how many it has room for; CUDA Programming Guide, "Compute Capabilities"."""
    room = {"sm_80": (64, 163), "sm_86": (48, 99), "sm_89": (48, 99), "sm_90a": (64, 227), "sm_120a": (48, 99)}.get(chip)
    if not room:
        return None
    warps, kibibytes = room
    per_warp = (registers * 32 + 255) // 256 * 256
    by_registers = 65536 // per_warp // 4 * 4 // (threads // 32)
    by_shared = (kibibytes + 1) * 1024 // (shared + 1024)
    return f"{min(by_registers, by_shared, warps * 32 // threads) * threads // 32}/{warps}"


def measure_artifact(path, options):
    manifest = read_manifest(path)
    chip = manifest["target"]["chip"]
    entry = next(entry for entry in list_kernels(manifest) if entry["name"].startswith("attention"))
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, "a.cubin")
        result = subprocess.run([options.ptxas, "-v", "-O3", "-arch=" + chip, path, "-o", cubin], capture_output=True,
                                text=True, check=True)
        kernels = disassemble(cubin, options.nvdisasm)
    figures = count(*kernels[entry["name"]], 16, manifest["geometry"]["key_tile"])
    found = re.search(r"entry function '" + entry["name"] + r"'.*?Used (\d+) registers", result.stderr, re.S)
    figures["registers"] = int(found.group(1)) if found else None
    found = re.search(r"for " + entry["name"] + r"\n\s+(\d+) bytes stack frame", result.stderr)
    figures["frame"] = int(found.group(1)) if found else None
    figures["stages"] = int(re.search(r"stages = (\d+)", manifest["schedule"]).group(1))
    threads = entry["block"][0]
    figures["occupancy"] = occupancy(figures["registers"] or 255, threads, entry["shared_bytes"], chip)
    return {"name": os.path.basename(path), "chip": chip, "recipe": manifest["recipe"]["name"],
            "head_dim": manifest["problem"]["head_dim"], **figures}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="*")
    parser.add_argument("--cubin")
    parser.add_argument("--kernel", default="", help="part of the kernel's name")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--keys", type=int, default=64)
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas")
    parser.add_argument("--nvdisasm", default=shutil.which("nvdisasm") or "nvdisasm")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--limit", action="append", default=[])
    options = parser.parse_args()
    results = [measure_artifact(path, options) for path in options.artifacts]
    if options.cubin:
        kernels = disassemble(options.cubin, options.nvdisasm)
        for name, (instructions, labels) in kernels.items():
            figures = count(instructions, labels, options.rows, options.keys) if options.kernel in name else None
            if figures:
                results.append({"name": name, **figures})
    if not results:
        parser.error("nothing to count: give artifacts, or --cubin and --kernel")
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        names = [name for name, _ in CLASSES] + ["integer"]
        print(f"{'kernel':<44} {'loop':>5} {'per element':>11} {'tensor':>7} {'regs':>5} {'warps':>6}  " + " ".join(names))
        for r in results:
            print(f"{r['name'][:44]:<44} {r['instructions']:>5} {r['per_element']:>11} {r['tensor_share']:>7} "
                  f"{r.get('registers') or '':>5} {r.get('occupancy') or '':>6}  " +
                  " ".join(f"{r['classes'][name]:>{len(name)}}" for name in names))
    status = 0
    for limit in options.limit:
        name, _, value = limit.partition("=")
        for r in results:
            wants_more = name in ("tensor_share", "stages")
            beyond = r[name] < float(value) if wants_more else r[name] > float(value)
            if beyond:
                print(f"count-instructions: {r['name']}: {name} is {r[name]}, the limit is {value}", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
