#!/usr/bin/env python3
"""Prints the accuracy that `sage-run --check --json` measured as a table.

    accuracy-table.py REPORT.json
"""

import json
import sys


def number(value, form):
    return "-" if value is None else format(value, form)


def main(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    batch, query_heads, key_heads, queries, keys = report["shape"]
    print(f"recipe {report['recipe']}, chip {report.get('chip', '-')}, on {report['device']}: B {batch}, "
          f"Hq {query_heads}, Hkv {key_heads}, Nq {queries}, Nk {keys}, D {report['head_dim']}")
    if "gpu" in report:
        gpu = report["gpu"]
        print(f"{gpu['milliseconds']:.4f} ms, {gpu['tflops']:.1f} TFLOP/s, code from: {gpu['code']}")
    print()
    print(f"{'':<6} {'against':<14} {'cosine':>10} {'relative L1':>12} {'RMSE':>11} {'largest':>11}")
    for against, entry in report["accuracy"].items():
        for what, name in (("output", "O"), ("lse", "LSE")):
            if what not in entry:
                continue
            row = entry[what]
            print(f"{name:<6} {against:<14} {number(row['cosine'], '10.6f'):>10} "
                  f"{number(row['relative_l1'], '12.5f'):>12} {number(row['rmse'], '11.3e'):>11} "
                  f"{number(row['max_abs'], '11.3e'):>11}")
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
