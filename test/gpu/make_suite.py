#!/usr/bin/env python3
"""Writes the GPU suite's bundle: one folder with artifacts and cases.json.

  make_suite.py OUT --sage-compile=PATH [--ptxas=PATH] [-j N] [--only=REGEX] [--matrix]

Compiles every artifact with sage-compile; where ptxas is found, the sm_90a ones get a cubin beside them. An artifact
that does not compile is listed with its message, and the runner reports every case of it as failed. With --matrix, the bundle
holds instead every cell of problems.matrix() that an H100 executes, with a few small cases each; cells that the compiler refuses
are left out (utils/matrix.py lists them). Exit status: 0 if all compiled, 1 if not, 2 for wrong usage. Needs the standard
library only.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

from problems import ON_H100, Problem, matrix

CHIPS = ["sm_89", "sm_90a"]
MASKS = ["none", "causal_top_left", "causal_bottom_right"]
LENGTHS = [1, 63, 64, 65, 127, 129, 1000, 4096]
DISTRIBUTIONS = ["normal", "outliers", "channel-bias", "group-magnitudes", "position", "uniform"]
# The kinds of sage-tile-inject-fault that change numbers. missing-full-wait is not among them: copies usually land in time on
# a GPU; the interpreter reports it always (unittests/Dialect/SageTile/TransformsTest.cpp).
FAULTS = ["wrong-scale-index", "missing-rescale", "mask-off-by-one", "swapped-value-order", "dropped-lse-correction",
          "missing-value-scale", "wrong-tile-order", "unmasked-tail", "stale-stage", "missing-empty-wait"]
# Families besides sage2-8b on CHIPS, with the kinds that every one of them can show.
FAULT_FAMILIES = [("sm_80", "sage1"), ("sm_89", "sage2-4b"), ("sm_90a", "sage2-4b"), ("sm_90a", "f16")]
FAMILY_FAULTS = ["missing-rescale", "mask-off-by-one", "wrong-tile-order", "unmasked-tail", "stale-stage"]
# SageAttention2 at head dim 128 (relative L1, cosine), 5 seeds may be 3 % worse.
ACCURACY = {"normal": (0.0384, 0.99926), "outliers": (0.0422, 0.99939), "channel-bias": (0.0402, 0.99917)}
ACCURACY_SLACK = 1.03
SEEDS = [1, 2, 3, 4, 5]


def both(**arguments):
    return [Problem(chip, **arguments) for chip in CHIPS]


def case(name, artifacts, shape, distribution="normal", seed=1, **more):
    entry = {"name": name, "artifacts": [artifact.name() for artifact in artifacts], "shape": shape,
             "distribution": distribution, "seed": seed}
    entry.update({key: value for key, value in more.items() if value})
    return entry


def grid_cases(artifacts, pairs, first):
    """Pairs of lengths; heads, distributions and views take turns."""
    heads = [(1, 2, 1), (2, 4, 2), (1, 3, 1), (1, 2, 2), (2, 3, 3)]
    views = ["head_major", "token_major", "padded"]
    for i, (queries, keys) in enumerate(pairs):
        batch, query_heads, key_heads = (1, 2, 1) if queries * keys > 10 ** 6 else heads[i % len(heads)]
        distribution = DISTRIBUTIONS[(i + first) % len(DISTRIBUTIONS)]
        view = views[(i + first) % len(views)]
        yield case(f"{queries}x{keys}-{distribution}", artifacts, [batch, query_heads, key_heads, queries, keys],
                   distribution, seed=1 + i, view=view)


def correctness_cases(base):
    cases = []
    all_pairs = [(q, k) for q in LENGTHS for k in LENGTHS]
    few_pairs = [(LENGTHS[i], LENGTHS[(i + step) % 8]) for i in range(8) for step in (3, 6)]
    for number, mask in enumerate(MASKS):
        f16, bf16 = base[mask, "f16"], base[mask, "bf16"]
        cases += grid_cases(f16, all_pairs, number)
        cases += grid_cases(bf16, few_pairs, number + 1)
        for artifacts in (f16, bf16):
            for distribution in DISTRIBUTIONS:
                cases.append(case(f"all-{distribution}", artifacts, [1, 2, 1, 129, 1000], distribution, seed=7))
            # Small, for the sanitizers too.
            for queries, keys in ((1, 65), (65, 129), (129, 64)):
                cases.append(case(f"small-{queries}x{keys}", artifacts, [1, 2, 1, queries, keys], "group-magnitudes",
                                  seed=11, view="padded", quick=True))
        # Nothing to do, no keys, one query after a long prefix.
        for shape in ([1, 2, 1, 0, 65], [1, 2, 1, 65, 0], [0, 2, 1, 65, 65], [1, 2, 1, 0, 0]):
            cases.append(case("empty-" + "x".join(map(str, shape)), f16, shape, quick=True))
        cases.append(case("decode", f16, [3, 8, 2, 1, 4095], "outliers", seed=13))
        cases.append(case("tiles", f16, [1, 2, 1, 192, 256], "position", seed=14))
        # Keys in parts: even ones, ragged ones, two blocks of queries; a part sees nothing of a top-left mask.
        for name, shape in (("1x16384", [1, 8, 2, 1, 16384]), ("17x5001", [2, 4, 2, 17, 5001]), ("300x7000", [1, 2, 1, 300, 7000])):
            cases.append(case("parts-" + name, f16, shape, "channel-bias", seed=22, view="token_major", quick=name == "17x5001"))
        for edit in ("zero-channel", "zero-groups"):
            cases.append(case(edit, f16, [1, 2, 1, 127, 300], "normal", seed=15, edit=edit))
    for artifacts in (base["none", "f16"], base["causal_bottom_right", "bf16"]):
        for edit in ("nan-key", "inf-query", "large-value"):
            cases.append(case("policy-" + edit, artifacts, [1, 2, 1, 65, 200], "normal", seed=16, edit=edit))
    cases.append(case("heads", base["none", "f16"], [3, 32, 8, 65, 129], "normal", seed=17))
    cases.append(case("many-batches", base["none", "f16"], [70000, 1, 1, 1, 2], "normal", seed=18))
    # Many tiles: rounding adds up, and offsets and counts grow.
    for mask in ("none", "causal_bottom_right"):
        cases.append(case("keys-200000", base[mask, "f16"], [1, 2, 1, 3, 200000], "channel-bias", seed=23))
    cases.append(case("tokens-20001", base["causal_bottom_right", "f16"], [1, 1, 1, 20001, 20001], "normal", seed=24))
    cases.append(case("far", base["causal_bottom_right", "f16"], [1, 2, 1, 140, 131], "normal", seed=19, view="far"))
    return cases


def variant_cases(variants):
    cases = []
    for artifacts in variants:
        for queries, keys, distribution in ((65, 127, "normal"), (129, 1000, "channel-bias"),
                                            (1000, 129, "group-magnitudes"), (64, 4096, "outliers")):
            cases.append(case(f"variant-{queries}x{keys}-{distribution}", artifacts, [2, 4, 2, queries, keys],
                              distribution, seed=21, view="token_major"))
    return cases


def fault_cases():
    """Of a causal_bottom_right artifact with an LSE; the right one must pass them all (correctness)."""
    make = lambda name, shape, distribution, **more: case("fault-" + name, [], shape, distribution, seed=31, **more)
    return [make("tail", [1, 2, 1, 127, 129], "normal"), make("groups", [1, 2, 1, 129, 1000], "group-magnitudes"),
            make("order", [1, 2, 1, 65, 200], "position"), make("bias", [1, 2, 1, 65, 127], "channel-bias"),
            make("long", [2, 8, 2, 1000, 4096], "normal", repeats=5)]


def timing_cases(base, float_sums):
    shapes = [("1K", [4, 32, 32, 1024, 1024]), ("2K", [4, 32, 32, 2048, 2048]), ("4K", [4, 32, 32, 4096, 4096]),
              ("8K", [4, 32, 32, 8192, 8192]), ("16K", [1, 32, 32, 16384, 16384])]
    cases = []
    for name, shape in shapes:
        for mask in ("none", "causal_bottom_right"):
            artifacts = list(reversed(base[mask, "f16"]))
            if name in ("8K", "16K") and mask == "none":
                artifacts = artifacts + float_sums
            cases.append(case(name, artifacts, shape, seed=41, quick=name == "1K"))
    return cases


def accuracy_cases(base, float_sums):
    """Limits for sage2-8b; figures for every named recipe; accumulation by the number of keys."""
    cases = []
    for distribution, (l1, cosine) in ACCURACY.items():
        entry = case(distribution + "-1x8x4096", base["none", "f16"] + float_sums, [1, 8, 8, 4096, 4096], distribution)
        entry.update(seeds=SEEDS, relative_l1=ACCURACY_SLACK * l1, one_minus_cosine=ACCURACY_SLACK * (1 - cosine))
        cases.append(entry)
    recipes = [Problem(chip, recipe) for recipe in ("sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b", "f16") for chip in CHIPS]
    for distribution in DISTRIBUTIONS:
        known = [] if distribution in ACCURACY else base["none", "f16"]
        # Fewer heads and queries than above: float64 attention on the CPU is what takes the time.
        cases.append({**case(distribution + "-recipes-1x4x1024x4096", known + recipes, [1, 4, 4, 1024, 4096], distribution),
                      "seeds": SEEDS})
    levels = [Problem("sm_90a", "sage2-8b, row_sum = float" + part)
              for part in ("", ", interval = 32", ", accumulation = single")]
    for keys in (1, 4, 16, 64, 128):
        cases.append({**case(f"keys-{keys}K", levels, [1, 2, 2, 64, keys * 1024]), "seeds": [1, 2], "model": True})
    return cases, recipes + [problem for problem in levels if problem.name() not in {f.name() for f in float_sums}]


def stress_cases(base):
    artifacts = base["causal_bottom_right", "f16"]
    return [case("61x67", artifacts, [1, 3, 1, 61, 67], "normal", seed=51, repeats=1000, quick=True),
            case("129x517", artifacts, [1, 2, 1, 129, 517], "outliers", seed=52, repeats=1000),
            case("200x1001", base["none", "bf16"], [2, 2, 2, 200, 1001], "normal", seed=53, repeats=500),
            case("parts", base["none", "bf16"], [1, 4, 2, 20, 9001], "outliers", seed=55, repeats=500)]


def describe_suite():
    base = {(mask, element): both(mask=mask, element=element) for mask in MASKS for element in ("f16", "bf16")}
    variants = [both(lse=False), both(mask="causal_bottom_right", lse=False), both(recipe="sage2-8b, row_sum = float"),
                both(mask="causal_bottom_right", element="bf16", recipe="sage2-8b, row_sum = float"),
                both(recipe="sage2-8b, smooth = none"), both(layout="token_major"), both(scale=0.05)]
    float_sums = [artifact for artifact in variants[2] if artifact.chip == "sm_90a"]
    faults = [Problem(chip, mask="causal_bottom_right", fault=kind) for chip in CHIPS for kind in FAULTS]
    causal = [Problem(chip, recipe, mask="causal_bottom_right") for chip, recipe in FAULT_FAMILIES]
    faults += [Problem(chip, recipe, mask="causal_bottom_right", fault=kind) for chip, recipe in FAULT_FAMILIES
               for kind in FAMILY_FAULTS]
    artifacts = [a for group in base.values() for a in group] + [a for group in variants for a in group] + causal + faults
    right = base["causal_bottom_right", "f16"]
    correctness = correctness_cases(base) + variant_cases(variants)
    correctness += [{**entry, "artifacts": [a.name() for a in right + causal]} for entry in fault_cases()]
    accuracy, recipes = accuracy_cases(base, float_sums)
    artifacts += recipes
    index = {
        "version": 1,
        "correctness": correctness,
        "accuracy": accuracy,
        "faults": [{"kind": a.fault, "artifact": a.name(), "cases": fault_cases()} for a in faults],
        "timing": timing_cases(base, float_sums),
        "stress": stress_cases(base),
    }
    return artifacts, index


def matrix_cases(problem):
    """Lengths under, at and over a tile, views of every kind, no keys at all; packed sequences have a batch of 1."""
    batch = 1 if problem.packed else 3
    make = lambda name, shape, distribution, **more: case("matrix-" + name, [problem], shape, distribution, **more)
    yield make("129x200", [batch, 2, 1, 129, 200], "group-magnitudes", seed=61, view="padded", quick=True)
    yield make("65x127", [1, 4, 2, 65, 127], "normal", seed=62, view="odd")
    yield make("200x1000", [1, 2, 2, 200, 1000], "channel-bias", seed=63)
    yield make("1x300", [batch, 2, 1, 1, 300], "outliers", seed=64, view="token_major")
    yield make("7x1", [1, 2, 1, 7, 1], "normal", seed=65)
    yield make("65x0", [1, 2, 1, 65, 0], "normal", seed=66)
    # Keys in parts, where the problem takes them so.
    yield make("5x4200", [1 if problem.packed else 2, 2, 1, 5, 4200], "outliers", seed=68)
    if problem.bias:
        for axes in ("bhqk", "k", "hq"):
            yield make("bias-" + axes, [2, 2, 1, 70, 150], "normal", seed=67, bias_axes=axes)


def describe_matrix():
    artifacts = [problem for problem in matrix() if problem.chip in ON_H100]
    correctness = [entry for problem in artifacts for entry in matrix_cases(problem)]
    return artifacts, {"version": 1, "correctness": correctness, "accuracy": [], "faults": [], "timing": [], "stress": []}


def is_refusal(error):
    """Whether the compiler said no, as against failed."""
    return bool(error) and " error: " in error


def compile_artifact(artifact, out, sage_compile, ptxas):
    source = os.path.join(out, artifact.name() + ".mlir")
    with open(source, "w") as file:
        file.write(artifact.mlir())
    target = os.path.join(out, artifact.name() + ".ptx")
    command = [sage_compile, source, "--chip=" + artifact.chip, "-o", target]
    if artifact.fault:
        command.append("--inject-fault=" + artifact.fault)
    if ptxas and artifact.chip == "sm_90a":
        command += ["--emit=cubin", "--ptxas=" + ptxas]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 0:
        os.remove(source)
        return ""
    message = (result.stderr or f"exit status {result.returncode}").strip()
    return next((line for line in message.splitlines() if "error" in line), message.splitlines()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--sage-compile", default="sage-compile")
    parser.add_argument("--ptxas", default=shutil.which("ptxas") or "")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="regular expression of artifacts; cases of others are left out")
    parser.add_argument("--matrix", action="store_true", help="the matrix instead of the suite")
    options = parser.parse_args()

    artifacts, index = describe_matrix() if options.matrix else describe_suite()
    artifacts = [artifact for artifact in artifacts if re.search(options.only, artifact.name())]
    names = {artifact.name() for artifact in artifacts}
    for suite in ("correctness", "accuracy", "timing", "stress"):
        for entry in index[suite]:
            entry["artifacts"] = [name for name in entry["artifacts"] if name in names]
    index["faults"] = [fault for fault in index["faults"] if fault["artifact"] in names]
    os.makedirs(options.out, exist_ok=True)
    ptxas = options.ptxas if os.path.exists(options.ptxas) else ""
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        errors = list(pool.map(lambda a: compile_artifact(a, options.out, options.sage_compile, ptxas), artifacts))
    refused = {a.name() for a, error in zip(artifacts, errors) if options.matrix and is_refusal(error)}
    index["correctness"] = [entry for entry in index["correctness"] if not refused.issuperset(entry["artifacts"])]
    index["artifacts"] = []
    for artifact, error in zip(artifacts, errors):
        if artifact.name() in refused:
            continue
        name = artifact.name()
        entry = {"name": name, "file": name + ".ptx", "family": artifact.chip}
        if error:
            entry["error"] = error
            print(f"make_suite: {name}: {error}", file=sys.stderr)
        index["artifacts"].append(entry)
    with open(os.path.join(options.out, "cases.json"), "w") as file:
        json.dump(index, file, indent=0)
    size = sum(os.path.getsize(os.path.join(options.out, name)) for name in os.listdir(options.out))
    failed = sum(map(bool, errors)) - len(refused)
    print(f"make_suite: {len(artifacts) - failed - len(refused)} of {len(artifacts)} artifacts, {len(refused)} refused, "
          f"{size / 1e6:.1f} MB in {options.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
