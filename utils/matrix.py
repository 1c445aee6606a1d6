#!/usr/bin/env python3
"""The matrix of what is compiled: recipe x chip x head dim x mask.

  matrix.py make OUT.json [--sage-compile=PATH] [--ptxas=PATH] [-j N] [--only=REGEX] [--resume]
  matrix.py check FILE.json [--sample=N] [--seed=S] [--only=REGEX] ...
                                                           compiles some of the cells again and compares with the file
  matrix.py print FILE.json [--gpu-results=FILE] > docs/Matrix.md

A cell is refused (with the compiler's reason), or assembled by ptxas for its chip, with what ptxas says of every kernel:
registers, bytes of frame and of spills, shared memory. A frame of more than 16 bytes is told apart as `spills`, a warning that
products are serialized (C75xx) is a failure. The list of cells is test/gpu/problems.py. Exit status: 0, 1 if a cell failed (or
differs), 2 for wrong usage. Standard library only.
"""
import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test", "gpu"))
import problems  # noqa: E402
from artifact import list_kernels, read_manifest  # noqa: E402

#: Bytes of frame that a kernel may have; docs/Matrix.md lists those that have any.
FRAME_LIMIT = 16
STATUSES = ("assembled", "spills", "refused", "failed")


def run(command):
    begin = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True)
    return result, time.monotonic() - begin


def parse_refusal(stderr):
    """The compiler's error without its location, and its note."""
    error = re.search(r"error: (?:'[^']*' op )?(.*)", stderr)
    note = re.search(r"note: (?!see current operation)(.*)", stderr)
    return {"reason": error.group(1).strip() if error else stderr.strip()[:300], "remedy": note.group(1).strip() if note else ""}


def parse_ptxas(text):
    """What `ptxas -v` says, by kernel."""
    kernels, name = {}, None
    for line in text.splitlines():
        found = re.search(r"Compiling entry function '([^']*)'|Function properties for (\S+)", line)
        if found:
            name = found.group(1) or found.group(2)
            kernels.setdefault(name, {"frame": 0, "spill_stores": 0, "spill_loads": 0, "registers": 0})
        found = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if found and name:
            kernels[name].update(zip(("frame", "spill_stores", "spill_loads"), map(int, found.groups())))
        found = re.search(r"Used (\d+) registers", line)
        if found and name:
            kernels[name]["registers"] = int(found.group(1))
    return kernels


def make_cell(problem, options):
    cell = {"name": problem.name(), "chip": problem.chip, "recipe": problem.recipe, "head_dims": problem.dims(),
            "mask": problem.mask_text(), "element": problem.element}
    with tempfile.TemporaryDirectory() as folder:
        source, ptx = os.path.join(folder, "a.mlir"), os.path.join(folder, "a.ptx")
        with open(source, "w") as file:
            file.write(problem.mlir())
        result, seconds = run([options.sage_compile, source, "--chip=" + problem.chip, "-o", ptx])
        cell["ptx_seconds"] = round(seconds, 2)
        if result.returncode == 1 and "error:" in result.stderr:
            return {**cell, "status": "refused", **parse_refusal(result.stderr)}
        if result.returncode != 0:
            return {**cell, "status": "failed", "reason": f"exit status {result.returncode}: {result.stderr.strip()[-300:]}"}
        result, seconds = run([options.ptxas, "-v", "-O3", "-arch=" + problem.chip, ptx, "-o", os.path.join(folder, "a.cubin")])
        cell["ptxas_seconds"] = round(seconds, 2)
        if result.returncode != 0:
            return {**cell, "status": "failed", "reason": "ptxas: " + (result.stderr.strip().splitlines() or ["?"])[0]}
        serialized = re.findall(r"C75\d\d", result.stderr)
        kernels = parse_ptxas(result.stderr)
        for entry in list_kernels(read_manifest(ptx)):
            kernels.setdefault(entry["name"], {})["shared"] = entry["shared_bytes"]
        cell["kernels"] = kernels
        frame = max(kernel.get("frame", 0) for kernel in kernels.values())
        spills = sum(kernel.get("spill_stores", 0) + kernel.get("spill_loads", 0) for kernel in kernels.values())
        if serialized:
            return {**cell, "status": "failed", "reason": "serialized: " + ", ".join(sorted(set(serialized)))}
        if frame > FRAME_LIMIT or (spills and not frame):
            return {**cell, "status": "spills", "reason": f"a frame of {frame} bytes, {spills} bytes spilled"}
        return {**cell, "status": "assembled"}


def make_cells(chosen, options, recorded=()):
    """What is recorded, with a new cell for each of `chosen`. A run that is interrupted leaves the others as they were."""
    cells, failed = {cell["name"]: cell for cell in recorded}, 0
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for number, cell in enumerate(pool.map(lambda problem: make_cell(problem, options), chosen), 1):
            cells[cell["name"]] = cell
            failed += cell["status"] == "failed"
            print(f"\r{number} of {len(chosen)}, {failed} failed", end="", file=sys.stderr, flush=True)
            if cell["status"] == "failed":
                print(f"\n{cell['name']}: {cell['reason']}", file=sys.stderr)
            if options.out and number % 20 == 0:
                write(cells.values(), options.out)
    print(file=sys.stderr)
    return list(cells.values())


def write(cells, path):
    cells = sorted(cells, key=lambda cell: cell["name"])
    with open(path + ".new", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in cells) + "\n]\n")
    os.replace(path + ".new", path)


def command_make(options):
    every = problems.matrix()
    chosen, recorded = [p for p in every if re.search(options.only, p.name())], []
    if os.path.exists(options.out):
        names = {p.name() for p in every}
        with open(options.out) as file:
            recorded = [cell for cell in json.load(file) if cell["name"] in names]
    if options.resume:
        kept = {cell["name"] for cell in recorded if cell["status"] != "failed"}
        chosen = [p for p in chosen if p.name() not in kept]
    cells = make_cells(chosen, options, recorded)
    write(cells, options.out)
    counts = {status: sum(cell["status"] == status for cell in cells) for status in STATUSES}
    print("matrix: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["failed"] else 0


def command_check(options):
    with open(options.file) as file:
        recorded = {cell["name"]: cell for cell in json.load(file)}
    chosen = problems.matrix()
    missing = [p.name() for p in chosen if p.name() not in recorded]
    for name in missing:
        print(f"matrix: {name} is not in {options.file}; run matrix.py make")
    chosen = [p for p in chosen if p.name() in recorded and re.search(options.only, p.name())]
    chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    options.out = None
    different = len(missing)
    for cell in make_cells(chosen, options):
        wanted = recorded[cell["name"]]
        for field in ("status", "reason"):
            if cell.get(field) != wanted.get(field):
                different += 1
                print(f"matrix: {cell['name']}: {field} is {cell.get(field)!r}, the file says {wanted.get(field)!r}")
    print(f"matrix: {len(chosen)} cells compiled again, {different} differences")
    return 1 if different else 0


# -- docs/Matrix.md ----------------------------------------------------------------------------------------------------


def attention_kernel(cell):
    return next((kernel for name, kernel in cell["kernels"].items() if name.startswith("attention")), {})


def describe(cell, executed, reasons):
    if cell is None:
        return ""
    if cell["status"] == "refused":
        return f"[{reasons.setdefault((cell['reason'], cell['remedy']), len(reasons) + 1)}]"
    if cell["status"] == "failed":
        return "**failed**"
    kernel = attention_kernel(cell)
    mark = "✓" if cell["name"] in executed else "·"
    frame = f"+{kernel['frame']}" if kernel.get("frame") else ""
    text = f"{mark} {kernel.get('registers', '?')}{frame} / {kernel.get('shared', 0) // 1024}K"
    return f"**{text}**" if cell["status"] == "spills" else text


def read_executed(path):
    """Artifacts all of whose cases passed on a GPU."""
    if not path:
        return set()
    with open(path) as file:
        results = [result for result in json.load(file)["results"] if result["suite"] in ("correctness", "matrix")]
    failed = {result["name"].split("/")[0] for result in results if not result["passed"]}
    return {result["name"].split("/")[0] for result in results} - failed


def table(title, cells, row_of, column_of, columns, executed, reasons):
    rows = {}
    for cell in cells:
        rows.setdefault(row_of(cell), {})[column_of(cell)] = cell
    print(f"\n## {title}\n")
    print("| " + " | ".join([""] + columns) + " |")
    print("| " + " | ".join(["---"] * (len(columns) + 1)) + " |")
    for row, entries in rows.items():
        print("| " + " | ".join([row] + [describe(entries.get(c), executed, reasons) for c in columns]) + " |")


def command_print(options):
    with open(options.file) as file:
        by_name = {cell["name"]: cell for cell in json.load(file)}
    cells = [by_name[p.name()] for p in problems.matrix() if p.name() in by_name]
    executed, reasons = read_executed(options.gpu_results), {}
    print("# What is compiled, for which chip\n")
    print("Written by `utils/matrix.py`; the cells are those of `test/gpu/problems.py`. **✓** executed on an H100 against the CPU\n"
          "reference, every case inside its bound; **·** assembled by ptxas, not executed; **[n]** refused, reasons below. The\n"
          "figures are the attention kernel's registers (at entry, where warps redistribute them), `+` bytes of frame, and its\n"
          "dynamic shared memory. Nothing is serialized by ptxas; frames are listed below, and are at most 16 bytes but where they\n"
          "are in bold.")
    plain = [cell for cell in cells if cell["element"] == "f16" and cell["recipe"] in problems.NAMED_RECIPES]
    dims = [f"{a}" if a == b else f"{a}/{b}" for a, b in problems.HEAD_DIMS]
    for mask, title in (("none", "no mask"), ("causal_bottom_right", "causal")):
        table(f"Named recipes, {title}: head dims of Q, K / V", [c for c in plain if c["mask"] == mask],
              lambda c: f"`{c['recipe']}` {c['chip']}", lambda c: c["head_dims"], dims, executed, reasons)
    square = [cell for cell in cells if cell["head_dims"] == "128"]
    table("Parts of a recipe, one at a time, head dim 128",
          [c for c in square if c["mask"] == "none" and (c["recipe"] not in problems.NAMED_RECIPES or c["element"] == "bf16")],
          lambda c: f"`{c['recipe']}`" + (" bf16" if c["element"] == "bf16" else ""), lambda c: c["chip"], problems.CHIPS,
          executed, reasons)
    table("Masks and lengths, head dim 128",
          [c for c in square if c["mask"] not in ("none", "causal_bottom_right") and c["element"] == "f16"],
          lambda c: f"{c['mask']}, `{c['recipe']}`", lambda c: c["chip"], problems.CHIPS, executed, reasons)
    print("\n## Refused\n")
    for (reason, remedy), number in reasons.items():
        print(f"{number}. {reason}{f' ({remedy})' if remedy else ''}")
    framed = [c for c in cells if c["status"] in ("assembled", "spills") and any(k.get("frame") for k in c["kernels"].values())]
    print("\n## Kernels with a frame\n")
    print("\n".join(f"- {c['name']}: " + ", ".join(f"{n} {k['frame']} bytes" for n, k in c["kernels"].items() if k.get("frame"))
                    for c in framed) or "None.")
    times = sorted((c["ptx_seconds"], c["name"]) for c in cells)
    cubin = sorted((c["ptx_seconds"] + c.get("ptxas_seconds", 0), c["name"]) for c in cells)
    count = {status: sum(c["status"] == status for c in cells) for status in STATUSES}
    print(f"\n## In numbers\n\n{len(cells)} cells: {count['assembled'] + count['spills']} assembled ({count['spills']} with a frame of "
          f"more than 16 bytes), {sum(c['name'] in executed for c in cells)} of them executed, {count['refused']} refused, "
          f"{count['failed']} failed. "
          f"Slowest to PTX: {times[-1][0]} s ({times[-1][1]}); to a cubin: {cubin[-1][0]:.2f} s ({cubin[-1][1]}), with other compilations running.")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "check", "print"])
    parser.add_argument("file")
    parser.add_argument("--sage-compile", default="sage-compile")
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="regular expression of cells' names")
    parser.add_argument("--resume", action="store_true", help="compile only what the file lacks, and failed cells")
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu-results", default="")
    options = parser.parse_args()
    options.out = options.file
    return {"make": command_make, "check": command_check, "print": command_print}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
