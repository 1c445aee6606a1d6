#!/usr/bin/env python3
"""Compiles the artifacts of the Python wheel.

  wheel_artifacts.py --out=FOLDER --cache=FOLDER --sage-compile=PATH [--ptxas=PATH] [--only=REGEX] [--jobs=N]
  wheel_artifacts.py --list [--only=REGEX]

Writes FOLDER/index.json and compressed files, each with the artifacts for float16 and bfloat16 of one kind, which are alike
for the most part, and their cubins where --ptxas is given. What was compiled by the same compiler is taken from the cache, so that an interrupted run goes on where it stopped. Exit status: 0, 1
if something did not compile, 2 for wrong usage. Standard library only.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "test", "gpu"), os.path.join(ROOT, "python")]
from problems import CHIPS, Problem  # noqa: E402
from sage._artifacts import Entry, pack  # noqa: E402

#: Chips without 8-bit float products.
WITHOUT_E4M3 = ("sm_80", "sm_86")
#: Recipes with the plain masks alone, on chips with 8-bit float products.
OTHERS = ("sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b")
PLAIN = [dict(), dict(mask="causal_top_left"), dict(mask="causal_bottom_right")]
BIASES = [dict(bias="bool"), dict(bias="f32")]
LENGTHS = [dict(key_lengths=True), dict(key_lengths=True, mask="causal_bottom_right"), dict(packed=True),
           dict(packed=True, mask="causal_bottom_right")]


#: Causality with a left bound, by the tokens that a row sees: what models are trained with.
WINDOWS = {tokens: dict(mask="causal_bottom_right", left=tokens - 1) for tokens in (128, 512, 1024, 2048, 4096)}
BOTH_SIDES = [dict(mask="window_bottom_right", left=64, right=64)]
SINKS = [dict(mask="causal_bottom_right", sinks=True)]
CAPPED = [dict(mask="causal_bottom_right", softcap=50.0), dict(mask="causal_bottom_right", softcap=50.0, left=4095)]
#: By head dim.
MODIFIED = {64: [*WINDOWS.values(), *BOTH_SIDES, *SINKS, dict(WINDOWS[128], sinks=True)],
            128: [*WINDOWS.values(), *BOTH_SIDES, *SINKS, *CAPPED, dict(mask="causal_bottom_right", softcap=30.0)],
            256: [WINDOWS[512], WINDOWS[1024], WINDOWS[4096], *CAPPED]}


def entries():
    """What users pick: each chip's "auto" recipe and f16 with every mask, the other recipes with the plain ones.

    Among these are the recipes that `sage.calibrate` writes for each key head."""
    for chip in CHIPS:
        main = "sage1" if chip in WITHOUT_E4M3 else "sage2-8b"
        cells = [(recipe, dim, mask) for recipe in (main, "f16")
                 for dim, masks in ((64, PLAIN + BIASES + LENGTHS), (96, PLAIN), (128, PLAIN + BIASES + LENGTHS),
                                    (256, PLAIN + BIASES)) for mask in masks + MODIFIED.get(dim, [])]
        if chip not in WITHOUT_E4M3:
            cells += [(recipe, dim, mask) for recipe in OTHERS for dim in (64, 128) for mask in PLAIN]
        for recipe, dim, mask in cells:
            for element in ("f16", "bf16"):
                yield Entry(chip, recipe, dim, element, **mask)


def path_of(entry):
    return f"{entry.chip}/{entry.name()}"


def problem_of(entry):
    bias = {"bool": "i1"}.get(entry.bias, entry.bias)
    return Problem(entry.chip, entry.recipe, entry.head_dim, mask=entry.mask, element=entry.element_type, bias=bias,
                   key_lengths=entry.key_lengths, packed=entry.packed, window=(entry.left, entry.right), sinks=entry.sinks,
                   softcap=entry.softcap or None)


def digest_of(paths):
    """Of the tools' own bytes, and of the libraries beside the compiler that it loads."""
    digest = hashlib.sha256()
    for path in paths:
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        near = os.path.dirname(os.path.dirname(os.path.realpath(path)))
        libraries = [found for found in re.findall(r"=> (/\S+)", listed) if os.path.realpath(found).startswith(near + "/lib")]
        for part in [path, *sorted(libraries)]:
            with open(part, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.digest()


def compile_one(entry, options, folder):
    """What `pack` takes; RuntimeError with the compiler's complaint."""
    source, ptx = os.path.join(folder, "a.mlir"), os.path.join(folder, "a.ptx")
    with open(source, "w", encoding="utf-8") as file:
        file.write(problem_of(entry).mlir())
    command = [options.sage_compile, source, "--chip=" + entry.chip, "-o", ptx]
    if options.ptxas:
        command += ["--emit=cubin", "--ptxas=" + options.ptxas]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{entry.element_type}: {result.stderr.strip()}")
    read = lambda suffix: open(ptx[:-4] + suffix, "rb").read() if options.ptxas or suffix == ".ptx" else b""
    return read(".ptx"), read(".cubin"), read(".cubin.json")


def compile_group(group, options, tools):
    """(path of the packed file of these entries or None, the compiler's complaint)"""
    texts = "".join(entry.element_type + problem_of(entry).mlir() for entry in group)
    key = hashlib.sha256(tools + group[0].chip.encode() + texts.encode()).hexdigest()[:32]
    cached = os.path.join(options.cache, key + ".xz")
    if os.path.exists(cached):
        return cached, ""
    try:
        with tempfile.TemporaryDirectory() as folder:
            packed = pack({entry.element_type: compile_one(entry, options, folder) for entry in group})
    except RuntimeError as error:
        return None, str(error)
    with open(cached + ".new", "wb") as file:
        file.write(packed)
    os.replace(cached + ".new", cached)
    return cached, ""


def compile_all(chosen, options):
    os.makedirs(options.cache, exist_ok=True)
    tools = digest_of([options.sage_compile] + ([options.ptxas] if options.ptxas else []))
    begin, last, failures = time.monotonic(), 0.0, 0
    groups = {}
    for entry in chosen:
        groups.setdefault(path_of(entry), []).append(entry)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda group: compile_group(group, options, tools), groups.values())
        for number, (path, (packed, error)) in enumerate(zip(groups, results), 1):
            if packed is None:
                failures += 1
                print(f"wheel_artifacts: {path}: {error}", file=sys.stderr)
                continue
            target = os.path.join(options.out, path + ".xz")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(packed, target)
            now = time.monotonic() - begin
            if now - last > 10 or number == len(groups):
                last = now
                left = now / number * (len(groups) - number)
                print(f"    {number} of {len(groups)} files, {now:.0f} s, about {left:.0f} s left", flush=True)
    return failures


def label_of(entry):
    """What --list prints and --only searches."""
    return f"{path_of(entry)}-{entry.element_type}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out")
    parser.add_argument("--cache")
    parser.add_argument("--sage-compile")
    parser.add_argument("--ptxas", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [entry for entry in entries() if re.search(options.only, label_of(entry))]
    if options.list:
        print("\n".join(map(label_of, chosen)))
        return 0
    for name in ("out", "cache", "sage_compile"):
        if not getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} is missing")
    if not chosen:
        parser.error(f"--only={options.only} matches no artifact; --list prints them")
    failures = compile_all(chosen, options)
    with open(os.path.join(options.out, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"version": 1, "artifacts": chosen}, file, separators=(",", ":"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
