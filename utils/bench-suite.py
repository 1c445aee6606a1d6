#!/usr/bin/env python3
"""A folder of artifacts that is timed where only a driver is.

  bench-suite.py make FOLDER [--sage-compile=PATH] [--sage-bench=PATH] [--ptxas=PATH] [-j N] [--only=REGEX]
  FOLDER/bench-suite.py run FOLDER [--out=FOLDER] [--only=REGEX] [--no-peers] [-- options of sage-bench]

`make` compiles the recipes for sm_90a with cubins beside them, and copies sage-bench and the scripts: the folder is all that the other
machine needs. `run` times them (--kernels --graph), then bench-peers.py right after, so that both see the same machine, and
writes sage.json, peers.json and table.md to --out (default: $OUT or FOLDER/results). Exit status: 0, 1 if something did not
compile, is wrong or is slower than --baseline, 2 for wrong usage, 77 without a GPU. Standard library only.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ["bench-suite.py", "bench-peers.py", "plot-bench.py"]


def problems():
    sys.path.insert(0, os.path.join(HERE, "..", "test", "gpu"))
    from problems import Problem
    for head_dim in (128, 64):
        for mask in ("none", "causal_bottom_right"):
            yield Problem("sm_90a", "sage2-8b", head_dim, mask=mask)
    for recipe in ("sage2-4b", "sage2pp", "f16"):
        for mask in ("none", "causal_bottom_right"):
            yield Problem("sm_90a", recipe, mask=mask)


def compile_one(problem, options):
    source = os.path.join(options.folder, problem.name() + ".mlir")
    with open(source, "w", encoding="utf-8") as file:
        file.write(problem.mlir())
    command = [options.sage_compile, source, "--chip=" + problem.chip, "-o", source[:-5] + ".ptx"]
    if options.ptxas:
        command += ["--emit=cubin", "--ptxas=" + options.ptxas]
    result = subprocess.run(command, capture_output=True, text=True)
    os.remove(source)
    return result.stderr.strip() if result.returncode else ""


def make(options):
    os.makedirs(options.folder, exist_ok=True)
    chosen = [problem for problem in problems() if re.search(options.only, problem.name())]
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        errors = list(pool.map(lambda problem: compile_one(problem, options), chosen))
    for problem, error in zip(chosen, errors):
        if error:
            print(f"bench-suite: {problem.name()}: {error}", file=sys.stderr)
    for path in [options.sage_bench, *(os.path.join(HERE, name) for name in SCRIPTS)]:
        shutil.copy(shutil.which(path) or path, options.folder)
    print(f"bench-suite: {errors.count('')} of {len(chosen)} artifacts in {options.folder}"
          + ("" if options.ptxas else ", without cubins: ptxas was not found"))
    return 1 if any(errors) else 0


def run(options, arguments):
    out = options.out or os.environ.get("OUT") or os.path.join(options.folder, "results")
    os.makedirs(out, exist_ok=True)
    artifacts = sorted(os.path.join(options.folder, name) for name in os.listdir(options.folder)
                       if name.endswith(".ptx") and re.search(options.only, name))
    files = {name: os.path.join(out, name + ".json") for name in ("sage", "peers")}
    script = lambda name: [sys.executable, os.path.join(options.folder, name)]
    status = subprocess.run([os.path.join(options.folder, "sage-bench"), *artifacts, "--kernels", "--graph",
                             "--json=" + files["sage"], *arguments]).returncode
    if status not in (0, 1):
        return status
    if not options.no_peers:
        peers = subprocess.run(script("bench-peers.py") + ["--json=" + files["peers"]]).returncode
        status = status or (peers if peers != 77 else 0)
    written = [path for path in files.values() if os.path.exists(path)]
    table = subprocess.run(script("plot-bench.py") + [*written, "--table"], capture_output=True, text=True).stdout
    with open(os.path.join(out, "table.md"), "w", encoding="utf-8") as file:
        file.write(table)
    print(table)
    return status


def main():
    own, rest = sys.argv[1:], []
    if "--" in own:
        own, rest = own[:own.index("--")], own[own.index("--") + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["make", "run"])
    parser.add_argument("folder")
    parser.add_argument("--sage-compile", default="sage-compile")
    parser.add_argument("--sage-bench", default="sage-bench")
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="regular expression of artifacts")
    parser.add_argument("--out", default="")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args(own)
    return make(options) if options.step == "make" else run(options, rest)


if __name__ == "__main__":
    sys.exit(main())
