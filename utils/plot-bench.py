#!/usr/bin/env python3
"""Plots and tables of what sage-bench and bench-peers.py wrote, side by side.

  plot-bench.py FILE.json... [--out=FOLDER] [--format=png|svg|pdf] [--scope=kernel|total|replay]... [--only=REGEX]
  plot-bench.py FILE.json... --table

One plot for each head dim and mask: TFLOP/s by the number of keys, a line for each program; its bars reach from the 10th to the
90th percentile. --table prints Markdown instead and needs the standard library only; plots need matplotlib. Lines that failed
are left out and named on standard error. Exit status: 0, 1 where nothing is to be shown or matplotlib is missing, 2 for wrong
usage.
"""
import argparse
import json
import os
import re
import sys


def read_rows(paths):
    rows = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                results = json.load(file)
            if results["version"] != 1:
                raise ValueError(f"version must be 1, but is {results['version']}")
            for row in results["rows"]:
                rows.append({**row, "device": results["device"]["name"]})
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.exit(f"plot-bench: '{path}' is not a file of sage-bench --json: {error!r}")
    for row in rows:
        if row.get("error"):
            print(f"plot-bench: left out: {row['name']} at {shape_text(row)}: {row['error']}", file=sys.stderr)
    return [row for row in rows if not row.get("error")]


def shape_text(row):
    return ",".join(map(str, row["shape"]))


def group_of(row):
    """Both causal alignments are the same mask on a square."""
    causal = row["mask"].startswith("causal") and row["shape"][3] == row["shape"][4]
    return row["head_dim"], "causal" if causal else row["mask"]


def line_of(row):
    name = row["name"] if row["provider"] == "sage" else row["provider"]
    return f"{name}, {row['scope']}"


def groups(rows):
    """[(head dim, mask)], and their rows."""
    keys = sorted({group_of(row) for row in rows})
    return [(key, [row for row in rows if group_of(row) == key]) for key in keys]


def tokens_text(row):
    keys = row["shape"][4]
    return f"{keys // 1024}K" if keys % 1024 == 0 else str(keys)


def print_table(rows):
    for (head_dim, mask), members in groups(rows):
        shapes = sorted({tuple(row["shape"]) for row in members}, key=lambda shape: (shape[4], shape))
        heads = [f"B{shape[0]} H{shape[1]} {tokens_text({'shape': shape})}" for shape in shapes]
        print(f"\n**D {head_dim}, mask {mask}**, TFLOP/s (MHz)\n")
        print(f"| | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
        for line in dict.fromkeys(map(line_of, members)):
            cells = []
            for shape in shapes:
                found = [row for row in members if line_of(row) == line and tuple(row["shape"]) == shape]
                clock = found and found[-1].get("sm_clock_mhz")
                cells.append(f"{found[-1]['tflops']:.0f}{f' ({clock})' if clock else ''}" if found else "-")
            print(f"| {line} | {' | '.join(cells)} |")


def plot(pyplot, head_dim, mask, rows, path):
    figure, axes = pyplot.subplots(figsize=(9, 5.5))
    for line in dict.fromkeys(map(line_of, rows)):
        members = sorted((row for row in rows if line_of(row) == line), key=lambda row: row["shape"][4])
        speeds = [row["tflops"] for row in members]
        # A short time is a high rate.
        low = [row["tflops"] * (1 - row["median_ms"] / max(row["p90_ms"], row["median_ms"])) for row in members]
        high = [row["tflops"] * (row["median_ms"] / min(row["p10_ms"], row["median_ms"]) - 1) for row in members]
        is_peer = members[0]["provider"] != "sage"
        axes.errorbar([row["shape"][4] for row in members], speeds, yerr=[low, high], label=line, capsize=3,
                      marker="o", markersize=4, linestyle="--" if is_peer else "-")
    ticks = sorted({row["shape"][4] for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [tokens_text({"shape": [0, 0, 0, 0, tick]}) for tick in ticks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("keys")
    axes.set_ylabel("TFLOP/s")
    axes.set_title(f"{', '.join(sorted({row['device'] for row in rows}))}: head dim {head_dim}, mask {mask}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", default=".")
    parser.add_argument("--format", default="png", choices=["png", "svg", "pdf"])
    parser.add_argument("--scope", action="append", choices=["kernel", "total", "replay"])
    parser.add_argument("--only", default="", help="regular expression of lines, such as 'sage2-8b.*total'")
    options = parser.parse_args()
    rows = [row for row in read_rows(options.files)
            if (not options.scope or row["scope"] in options.scope) and re.search(options.only, line_of(row))]
    if not rows:
        sys.exit("plot-bench: no line is left to be shown")
    if options.table:
        return print_table(rows)
    try:
        import matplotlib
    except ImportError:
        sys.exit("plot-bench: plots need matplotlib\n  remedy: python3 -m pip install matplotlib, or --table")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    os.makedirs(options.out, exist_ok=True)
    for (head_dim, mask), members in groups(rows):
        plot(pyplot, head_dim, mask, members, os.path.join(options.out, f"d{head_dim}-{mask}.{options.format}"))


if __name__ == "__main__":
    main()
