#!/usr/bin/env python3
"""The committed results of GPU runs: merges the parts of one run, and checks and dates the files.

  merge_results.py merge FOLDER OUT.json     the parts that run-on-gpu.sh wrote, in one file
  merge_results.py check [FILE...]           each parses and is complete; prints device, date, age in days and counts

Needs the standard library only.
"""
import datetime
import glob
import json
import os
import sys

SUITES = ["correctness", "stress", "accuracy", "timing", "faults"]
PARTS = ["correctness-sm80", "correctness-sm89", "correctness-sm90a", "stress", "accuracy", "timing", "faults"]
OPTIONAL = ["sanitizer-memcheck", "sanitizer-racecheck", "sanitizer-synccheck"]
MATRIX = ["matrix-sm80", "matrix-sm86", "matrix-sm89", "matrix-sm90a"]
STALE_DAYS = 60


def fail(message):
    print("merge_results: error: " + message, file=sys.stderr)
    return 1


def join_cases(results):
    """One result for each artifact of the matrix: its cases, and the largest figures among them."""
    joined = {}
    for result in results:
        name = result["name"].split("/")[0]
        entry = joined.setdefault(name, {"suite": "matrix", "name": name, "passed": True, "figures": {"cases": 0}})
        entry["figures"]["cases"] += 1
        for figure in ("element/bound", "lse/bound"):
            value = result.get("figures", {}).get(figure)
            if isinstance(value, (int, float)):
                entry["figures"][figure] = max(value, entry["figures"].get(figure, 0))
        if not result["passed"]:
            entry["passed"] = False
            entry["reason"] = result["name"].split("/")[1] + ": " + result.get("reason", "")
    return list(joined.values())


def merge(folder, out):
    merged = None
    for name in PARTS + MATRIX + OPTIONAL:
        path = os.path.join(folder, name + ".json")
        if not os.path.exists(path):
            if name in PARTS:
                return fail(f"{path} is missing")
            continue
        with open(path) as file:
            part = json.load(file)
        if not part.get("complete", True):
            return fail(f"{path} is of a run that was ended before its last case")
        for result in part["results"] if name in OPTIONAL else []:
            result["suite"] = name
        if name in MATRIX:
            part["results"] = join_cases(part["results"])
        if merged is None:
            merged = part
            continue
        if part["device"] != merged["device"]:
            return fail(f"{path} is of another device")
        merged["results"] += part["results"]
        merged["passed"] = merged["passed"] and part["passed"]
    # A line a result: diffs of two runs can be read.
    results = merged.pop("results")
    head = json.dumps(merged, indent=1)[:-2]
    lines = ",\n".join("  " + json.dumps(result, separators=(",", ":")) for result in results)
    with open(out, "w") as file:
        file.write(head + ',\n "results": [\n' + lines + "\n ]\n}\n")
    return 0


def check_file(path):
    with open(path) as file:
        run = json.load(file)
    date = datetime.date.fromisoformat(run["date"])
    age = (datetime.date.today() - date).days
    if run["device"]["stub"]:
        return fail(f"{path}: a run on the stub driver measures nothing")
    counts = {}
    for result in run["results"]:
        passed, failed = counts.get(result["suite"], (0, 0))
        counts[result["suite"]] = (passed + result["passed"], failed + (not result["passed"]))
        if not result["passed"] and not result.get("reason"):
            return fail(f"{path}: {result['name']} failed without a reason")
    if run["passed"] != all(failed == 0 for _, failed in counts.values()):
        return fail(f"{path}: 'passed' does not agree with the results")
    missing = [suite for suite in SUITES if suite not in counts]
    if missing:
        return fail(f"{path}: has no results of {', '.join(missing)}")
    text = ", ".join(f"{suite} {passed}/{passed + failed}" for suite, (passed, failed) in counts.items())
    stale = " (stale: run the suite again)" if age > STALE_DAYS else ""
    print(f"{os.path.basename(path)}: {run['device']['name']}, {date}, {age} days old{stale}; passed {text}")
    return 0


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "merge":
        return merge(arguments[1], arguments[2])
    if arguments and arguments[0] == "check":
        here = os.path.dirname(os.path.abspath(__file__))
        files = arguments[1:] or sorted(glob.glob(os.path.join(here, "results", "*.json")))
        if not files:
            print("no results yet")
        return max([check_file(path) for path in files], default=0)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
