"""Changes fixtures at random; what is raised all the same must compute what the changed program does.

    mutate_fixtures.py --libraries=LIST --scratch=FOLDER [--seed=N] [--count=N] FIXTURE...

Changes are of a predicate, an operation, a constant, an order of operands, an indexing map, or an operand of a linalg op.
Prints how many programs were valid, raised and equal; fails on a crash or a difference.
"""

import argparse
import collections
import contextlib
import io
import pathlib
import random
import re
import subprocess
import sys
import types

import compare_raised

REPLACEMENTS = [
    ("sle", "slt"), ("sle", "sge"), ("sle", "sgt"), ("oeq", "une"), ("arith.addf", "arith.subf"), ("arith.addf", "arith.mulf"),
    ("arith.subf", "arith.addf"), ("arith.maximumf", "arith.minimumf"), ("arith.divf", "arith.mulf"),
    ("arith.mulf", "arith.divf"), ("arith.mulf", "arith.addf"), ("arith.andi", "arith.ori"), ("arith.subi", "arith.addi"),
    ("math.exp ", "math.tanh "), ("math.exp ", "math.exp2 "), ("0xFF800000", "-1.000000e+04"), ("0xFF800000", "0.000000e+00"),
    ("5.000000e-01", "-5.000000e-01"), ("5.000000e-01", "3.000000e-01"), ("4.000000e+00", "2.000000e+00"),
    ("0.000000e+00", "1.000000e+00"), ("dense<true>", "dense<false>"), ("arith.constant true", "arith.constant false"),
    ("linalg.index 0", "linalg.index 1"), ("arith.constant 0 : i64", "arith.constant 1 : i64"),
    ("arith.constant 0 : i64", "arith.constant -1 : i64")]


def replace_word(text, rng):
    old, new = rng.choice([pair for pair in REPLACEMENTS if pair[0] in text])
    start = rng.choice([match.start() for match in re.finditer(re.escape(old), text)])
    return text[:start] + new + text[start + len(old):]


def exchange_operands(text, rng):
    pattern = r"(arith\.(?:subf|divf|select|cmpi \w+,|cmpf \w+,) )(%\w+), (%\w+)((?:, %\w+)?)"
    match = rng.choice(list(re.finditer(pattern, text)))
    op, first, second, third = match.groups()
    new = f"{op}{first}, {third[2:]}, {second}" if third else f"{op}{second}, {first}"
    return text[:match.start()] + new + text[match.end():]


def change_map(text, rng):
    match = rng.choice(list(re.finditer(r"indexing_maps = \[([^\]]*)\]", text)))
    maps = match[1].split(", ")
    maps[rng.randrange(len(maps))] = rng.choice(re.findall(r"^(#map\d*) =", text, re.MULTILINE))
    return text[:match.start(1)] + ", ".join(maps) + text[match.end(1):]


def change_operand(text, rng):
    match = rng.choice(list(re.finditer(r"ins\((%\w+)((?:, %\w+)*) : ([^)]*)\)", text)))
    operands, kinds = (match[1] + match[2]).split(", "), match[3].split(", ")
    number = rng.randrange(len(operands))
    kind = re.escape(kinds[min(number, len(kinds) - 1)])
    others = re.findall(rf"(%\w+) = [^\n]*-> {kind}\n", text[:match.start()]) + re.findall(rf"(%arg\d+): {kind}", text)
    operands[number] = rng.choice(others or operands)
    return text[:match.start()] + f"ins({', '.join(operands)} : {match[3]})" + text[match.end():]


def mutate(text, rng):
    for _ in range(rng.choice((1, 1, 2))):
        change = rng.choices((replace_word, exchange_operands, change_map, change_operand), (9, 5, 3, 3))[0]
        # A program may have nothing of the kind.
        with contextlib.suppress(IndexError):
            text = change(text, rng)
    return text


def check(path, options):
    """What becomes of the program, and whether that is wrong."""
    raised = subprocess.run(["sage-opt", str(path), "--sage-raise-attention=recipe=f16"], capture_output=True, text=True)
    if raised.returncode < 0 or "Assertion" in raised.stderr:
        return "crashed", True
    if raised.returncode:
        return "invalid", False
    if "sage.attention" not in raised.stdout:
        return "left alone", False
    printed = io.StringIO()
    arguments = types.SimpleNamespace(prepare="", calls=None, library=[], libraries=options.libraries, tolerance=5e-3)
    with contextlib.redirect_stdout(printed):
        equal = compare_raised.check(path.stem, arguments)
    text = printed.getvalue().strip()
    # Rows that see nothing may be NaN, or become 0; and where all is 0 there is nothing to compare.
    if "nan" in text or text.endswith("0.00e+00 of 0.00e+00"):
        return "undefined", False
    return ("equal", False) if equal else (f"differs: {text}", True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", nargs="+")
    parser.add_argument("--libraries", required=True)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    originals, compare_raised.FOLDER = compare_raised.FOLDER, options.scratch
    counts, failed = collections.Counter(), False
    for number in range(options.count):
        rng = random.Random(options.seed * 1000003 + number)
        name = rng.choice(options.fixtures)
        path = options.scratch / f"{name}_{options.seed}_{number}.mlir"
        path.write_text(mutate((originals / f"{name}.mlir").read_text(), rng))
        outcome, wrong = check(path, options)
        counts[outcome.partition(":")[0]] += 1
        if wrong:
            failed = True
            print(f"{path}: {outcome}")
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
