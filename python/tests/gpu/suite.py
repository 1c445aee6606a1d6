"""Runs every part of the GPU suite in a process of its own, and joins what they report.

  suite.py --out=FILE.json [--only=REGEX]

A part that crashes or hangs fails alone. Exit status: 0 if every check passed, 1 otherwise, 77 without a GPU.
"""
import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
#: Part and its arguments → seconds that it may take. The first process on a fresh machine reads its files from the disk.
PARTS = {"first_call": 60, "first_call again": 60, "fuzz": 120, "masks": 60, "programs": 120, "overhead": 60, "models": 90, "arrays": 60}


def run_part(name, limit):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "part.json")
        begin = time.monotonic()
        try:
            script, *arguments = name.split()
            status = subprocess.run([sys.executable, os.path.join(HERE, script + ".py"), path, *arguments],
                                    timeout=limit).returncode
        except subprocess.TimeoutExpired:
            status = "timeout"
        part = {"checks": [], "figures": {}}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                part = json.load(file)
        failed = [check for check in part["checks"] if not check["passed"]]
        return {"status": status, "seconds": round(time.monotonic() - begin, 1), "checks": len(part["checks"]),
                "failed": failed, "figures": part["figures"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    import sage
    import torch
    if not sage.devices():
        print("suite: there is no CUDA device here")
        return 77
    report = {"date": datetime.date.today().isoformat(), "device": sage.devices()[0].name, "torch": torch.__version__,
              "sage": sage.version(), "artifacts": len(sage.artifacts()), "parts": {}}
    print(f"{report['device']}, torch {torch.__version__}, {len(sage.artifacts())} artifacts in the wheel")
    bad = 0
    for name, limit in PARTS.items():
        if not re.search(options.only, name):
            continue
        print(f"== {name}", flush=True)
        part = report["parts"][name] = run_part(name, limit)
        bad += len(part["failed"]) + (part["status"] not in (0, 1) or not part["checks"])
        for check in part["failed"][:20]:
            print(f"FAIL {check['name']}: {check['detail']}"[:400])
        for figure, value in part["figures"].items():
            print(f"  {figure}: {value}")
        print(f"  {part['checks'] - len(part['failed'])} of {part['checks']} checks, exit {part['status']}, {part['seconds']} s", flush=True)
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    total = sum(part["checks"] for part in report["parts"].values())
    print(f"{total} checks; " + ("all passed" if not bad else f"{bad} FAILURES"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
