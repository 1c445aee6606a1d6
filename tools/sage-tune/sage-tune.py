#!/usr/bin/env python3
"""Finds the fastest schedule row for an attention on a GPU.

  sage-tune compile INPUT.mlir FOLDER --chip=CHIP [--schedule-file=ROWS.mlir] [--vary=NAME=VALUE,VALUE...]... [--differ=N]
                    [--only=REGEX] [-j N]
  sage-tune run FOLDER [--device=cuda:N|stub] [--shape=B,Hq,Hkv,Nq,Nk]... [--batch=N] [--finalists=N] [--scope=kernel|total]
  sage-tune pick FOLDER [--into=ROWS.mlir] [--scope=kernel|total] [--margin=PERCENT]
  sage-tune all INPUT.mlir FOLDER --chip=CHIP [options of the three]

`compile` starts from the row that sage-compile takes, and compiles the rows that differ from it in at most --differ parameters (2);
what the schedule's verifier refuses is listed with its reason. FOLDER then holds the artifacts, index.json, sage-bench and this
script, and is all that the machine with the GPU needs: `run` times the artifacts there with sage-bench, which checks their outputs.
Each batch contains the first row, and only the ratio to it counts; the fastest meet again in a final with more passes. `pick`
writes the row whose geometric mean over the shapes is best, with the GPU and the date: to standard output, or with --into in
the place of the first row in a schedule file. The first row stays unless another is faster by --margin (1 %).
The key tile is a part of the numbers' meaning: give the op a geometry to fix it. Exit status: 0; 1 if nothing could be compiled
or timed; 2 for wrong usage; 77 without a GPU. Standard library only.
"""
import argparse
import concurrent.futures
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys

INDEX, RESULTS = "index.json", "results.json"
DEFAULTS = {"value_chunks": 1, "exp_chunks": 0, "conversion": "convert", "producer_registers": 0, "consumer_registers": 0,
            "score_terms": "true", "late_conversions": "true", "intervals": "true", "masks": "true", "windows": "true",
            "fence_products": "false", "persistent": "false", "quantizes_query": "false"}
#: What is varied where --vary does not say otherwise.
SPACES = {
    "wgmma": {"units": [2, 3], "key_tile": [64, 96, 128, 160, 192], "stages": [2, 3, 4], "value_chunks": [1, 2, 4],
              "exp_chunks": [0, 4, 8, 16], "conversion": ["convert", "magic"], "late_conversions": ["true", "false"],
              "persistent": ["true", "false"]},
    "mma_sync": {"units": [4, 8], "key_tile": [32, 64, 128], "stages": [1, 2, 3], "value_chunks": [1, 2, 4],
                 "exp_chunks": [0, 4]},
}
FINAL_PASSES = 5


def fail(message, code=1):
    print(f"sage-tune: {message}", file=sys.stderr)
    sys.exit(code)


# -- rows ----------------------------------------------------------------------------------------------------------------

def parse_row(text):
    """The parameters of `<family = wgmma, ...>`, integers as such."""
    return {name: int(value) if value.isdigit() else value for name, value in re.findall(r"(\w+) = (\w+)", text)}


def print_row(row):
    return "<" + ", ".join(f"{name} = {value}" for name, value in row.items() if DEFAULTS.get(name) != value) + ">"


def normalized(row):
    return {**DEFAULTS, **row}


def share_registers(row):
    """Spec S6: what the warpgroups have at entry, given to as many consumers as there are."""
    if not normalized(row)["producer_registers"]:
        return row
    groups = row["units"] + 1
    total = groups * (65536 // (groups * 128) // 8 * 8)
    consumer = min(240, (total - 24) // row["units"] // 8 * 8)
    return {**row, "producer_registers": min(240, total - row["units"] * consumer), "consumer_registers": consumer}


def neighbours(base, space, differ):
    """The rows that differ from `base` in one to `differ` parameters of `space`."""
    for count in range(1, differ + 1):
        for names in itertools.combinations(space, count):
            choices = [[value for value in space[name] if value != normalized(base)[name]] for name in names]
            for values in itertools.product(*choices):
                row = {**base, **dict(zip(names, values))}
                yield share_registers(row) if "units" in names else row


# -- compile -------------------------------------------------------------------------------------------------------------

def find_base(options):
    """The row that sage-compile takes for the input."""
    command = [options.sage_compile, options.input, "--chip=" + options.chip, "--print-schedule", "-o", os.devnull]
    command += ["--schedule-file=" + options.schedule_file] if options.schedule_file else []
    result = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"schedule: #sage\.schedule(<.*>)", result.stderr)
    if result.returncode or not found:
        fail(f"'{options.input}' does not compile for {options.chip}:\n{result.stderr.strip()}")
    return parse_row(found.group(1))


def compile_row(name, row, options):
    """An entry of the index."""
    rows = os.path.join(options.folder, name + ".mlir")
    with open(rows, "w", encoding="utf-8") as file:
        file.write(f"sage.schedule {print_row(row)}\n")
    artifact = os.path.join(options.folder, name + ".ptx")
    command = [options.sage_compile, options.input, "--chip=" + options.chip, "--schedule-file=" + rows, "-o", artifact]
    if options.ptxas:
        command += ["--emit=cubin", "-v", "--ptxas=" + options.ptxas]
    result = subprocess.run(command, capture_output=True, text=True)
    os.remove(rows)
    entry = {"name": name, "row": print_row(row)}
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        reasons = [line for line in lines if "error:" in line or "note:" in line]
        entry["refused"] = re.sub(r"^.*?(error|note): (custom op '\S+' )?", "", (reasons or lines or ["no message"])[-1])
        return entry
    spills = re.search(r"sage-compile: attention: (\d+) registers, (\d+) bytes of spill stores", result.stderr)
    if spills:
        entry["registers"], entry["spill_store_bytes"] = map(int, spills.groups())
    # ptxas serialized the products: such code is right, and slow.
    entry["warnings"] = re.findall(r"C75\d\d", result.stderr)
    return entry


def parse_space(options, family):
    space = dict(SPACES[family])
    for text in options.vary:
        name, _, values = text.partition("=")
        if name not in {key for known in SPACES.values() for key in known} or not values:
            fail(f"--vary must be NAME=VALUE,… with a name of {', '.join(SPACES[family])}, but got '{text}'", 2)
        space[name] = [int(value) if value.isdigit() else value for value in values.split(",")]
    return space if not options.vary else {name: space[name] for name in (text.partition("=")[0] for text in options.vary)}


def step_compile(options):
    os.makedirs(options.folder, exist_ok=True)
    base = find_base(options)
    rows = [base] + list(neighbours(base, parse_space(options, base["family"]), options.differ))
    rows = list({print_row(row): row for row in rows}.values())
    named = [(f"row{i:04}", row) for i, row in enumerate(rows) if i == 0 or re.search(options.only, print_row(row))]
    print(f"sage-tune: compiling {len(named)} rows", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        entries = list(pool.map(lambda item: compile_row(*item, options), named))
    index = {"version": 1, "chip": options.chip, "input": os.path.basename(options.input), "base": "row0000", "rows": entries}
    with open(os.path.join(options.folder, INDEX), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=1)
    for path in (options.sage_bench, os.path.abspath(__file__)):
        target = os.path.join(options.folder, "sage-bench" if path == options.sage_bench else "sage-tune.py")
        found = shutil.which(path) or path
        if os.path.exists(found) and os.path.abspath(found) != os.path.abspath(target):
            shutil.copy(found, target)
    compiled = [entry for entry in entries if "refused" not in entry]
    print(f"sage-tune: {len(compiled)} of {len(entries)} rows compiled, the others are refused (see {INDEX})")
    if not compiled or compiled[0]["name"] != index["base"]:
        fail(f"the first row does not compile: {entries[0].get('refused')}")
    return 0


# -- run -----------------------------------------------------------------------------------------------------------------

def read_json(folder, name, step):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        fail(f"'{os.path.join(folder, name)}' cannot be read ({error}); sage-tune {step} writes it", 2)


def bench(options, names, passes):
    """The figures of sage-bench for these rows; failed lines carry their error."""
    out = os.path.join(options.folder, "batch.json")
    local = os.path.join(options.folder, "sage-bench")
    command = [local if os.path.exists(local) else options.sage_bench, "--quiet", "--json=" + out, f"--passes={passes}",
               *(os.path.join(options.folder, name + ".ptx") for name in names), "--device=" + options.device]
    command += ["--shape=" + shape for shape in options.shape] + ([f"--driver={options.driver}"] if options.driver else [])
    result = subprocess.run(command, stdout=subprocess.DEVNULL)
    if result.returncode not in (0, 1) or not os.path.exists(out):
        sys.exit(result.returncode or 1)
    results = read_json(options.folder, "batch.json", "run")
    os.remove(out)
    return results


def ratios_of(rows, scope, base):
    """{name: geometric mean over the shapes of the speed against `base`}; rows with an error have none."""
    times, wrong = {}, set()
    for row in rows:
        if row.get("error"):
            wrong.add(row["name"])
        elif row["scope"] == scope:
            times.setdefault(row["name"], {})[tuple(row["shape"])] = row["median_ms"]
    if base not in times or base in wrong:
        return {}
    return {name: math.exp(sum(math.log(times[base][shape] / time) for shape, time in shapes.items()) / len(shapes))
            for name, shapes in times.items() if name not in wrong and shapes.keys() == times[base].keys()}


def step_run(options):
    index = read_json(options.folder, INDEX, "compile")
    base = index["base"]
    names = [entry["name"] for entry in index["rows"] if "refused" not in entry and entry["name"] != base]
    speeds, errors, device = {}, [], {}
    size = max(options.batch - 1, 1)
    for i in range(0, len(names), size):
        results = bench(options, [base] + names[i:i + size], 1)
        device = results["device"]
        errors += [f"{row['name']}: {row['error']}" for row in results["rows"] if row.get("error")]
        speeds.update(ratios_of(results["rows"], options.scope, base))
        print(f"sage-tune: {min(i + size, len(names))} of {len(names)} rows timed", file=sys.stderr)
    best = sorted((name for name in speeds if name != base), key=speeds.get, reverse=True)[:options.finalists]
    results = bench(options, [base] + best, FINAL_PASSES)
    errors += [f"{row['name']}: {row['error']}" for row in results["rows"] if row.get("error")]
    written = {"version": 1, "date": results["date"], "device": results["device"] or device, "scope": options.scope,
               "first_round": speeds, "rows": results["rows"], "errors": sorted(set(errors))}
    with open(os.path.join(options.folder, RESULTS), "w", encoding="utf-8") as file:
        json.dump(written, file, indent=1)
    for error in written["errors"]:
        print(f"sage-tune: left out: {error}", file=sys.stderr)
    final = ratios_of(results["rows"], options.scope, base)
    if not final:
        fail("the first row could not be timed")
    for name in sorted(final, key=final.get, reverse=True):
        row = next(entry["row"] for entry in index["rows"] if entry["name"] == name)
        print(f"{final[name]:.3f}  {name}  {row}")
    return 0


# -- pick ----------------------------------------------------------------------------------------------------------------

def describe(results, name, ratio, scope):
    """What `measured` says."""
    rows = [row for row in results["rows"] if row["name"] == name and row["scope"] == scope]
    last = max(rows, key=lambda row: row["shape"])
    shape = last["shape"]
    clock = f" at {last['sm_clock_mhz']} MHz" if last.get("sm_clock_mhz") else ""
    text = (f"{results['device']['name']}, {results['date']}: {last['tflops']:.0f} TFLOP/s{clock}, {scope}, "
            f"B{shape[0]} H{shape[1]} {shape[3]}x{shape[4]}")
    return text if abs(ratio - 1) < 5e-4 else f"{text}; {ratio:.3f} of the row before"


def step_pick(options):
    index, results = read_json(options.folder, INDEX, "compile"), read_json(options.folder, RESULTS, "run")
    base, scope = index["base"], options.scope
    final = ratios_of(results["rows"], scope, base)
    if not final:
        fail(f"{RESULTS} has no figures of the first row in scope {scope}")
    winner = max(final, key=final.get)
    if final[winner] < 1 + options.margin / 100:
        winner = base
    rows = {entry["name"]: entry["row"] for entry in index["rows"]}
    line = f'sage.schedule {rows[winner]}\n  measured "{describe(results, winner, final[winner], scope)}"\n'
    if not options.into:
        print(line, end="")
        return 0
    with open(options.into, encoding="utf-8") as file:
        text = file.read()
    wanted = normalized(parse_row(rows[base]))
    for found in re.finditer(r'sage\.schedule (<[^>]*>)(\s+measured "[^"]*")?\n', text):
        if normalized(parse_row(found.group(1))) == wanted:
            with open(options.into, "w", encoding="utf-8") as file:
                file.write(text[:found.start()] + line + text[found.end():])
            print(f"sage-tune: {options.into}: {rows[winner]}")
            return 0
    fail(f"'{options.into}' does not have the row that was started from: {rows[base]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    of_compile, of_run, of_pick = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    of_compile.add_argument("--chip", required=True)
    of_compile.add_argument("--schedule-file", default="", help="rows to start from, instead of the built-in ones")
    of_compile.add_argument("--vary", action="append", default=[], metavar="NAME=VALUE,…")
    of_compile.add_argument("--differ", type=int, default=2)
    of_compile.add_argument("--only", default="", help="regular expression of rows")
    of_compile.add_argument("--sage-compile", default="sage-compile")
    of_compile.add_argument("--ptxas", default=shutil.which("ptxas") or "")
    of_compile.add_argument("-j", type=int, default=os.cpu_count())
    of_run.add_argument("--device", default="cuda:0")
    of_run.add_argument("--driver", default="")
    of_run.add_argument("--shape", action="append", default=[])
    of_run.add_argument("--batch", type=int, default=6, help="artifacts in device memory at a time")
    of_run.add_argument("--finalists", type=int, default=5)
    of_pick.add_argument("--into", default="")
    of_pick.add_argument("--margin", type=float, default=1.0)
    common, scope = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    common.add_argument("folder")
    common.add_argument("--sage-bench", default="sage-bench")
    scope.add_argument("--scope", default="kernel", choices=["kernel", "total"])
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("input")
    steps.add_parser("compile", parents=[source, common, of_compile])
    steps.add_parser("run", parents=[common, of_run, scope])
    steps.add_parser("pick", parents=[common, of_pick, scope])
    steps.add_parser("all", parents=[source, common, of_compile, of_run, of_pick, scope])
    options = parser.parse_args()
    todo = {"compile": [step_compile], "run": [step_run], "pick": [step_pick], "all": [step_compile, step_run, step_pick]}
    for step in todo[options.step]:
        step(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
