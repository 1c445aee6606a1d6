#!/usr/bin/env python3
"""Measures what each technique of Sage's recipes buys, and writes docs/Accuracy.md.

  evaluate.py run      measures variants of attention on synthetic inputs and captured activations, into one JSON; then report
  evaluate.py report   writes the tables and plots of docs/Accuracy.md from the JSON alone

`run` goes on where an interrupted run was: every layer that is measured is kept. What it needs is in
utils/evaluation/requirements.txt; activations are captured by `python -m evaluation.activations` in utils/, perplexities
by `python -m evaluation.perplexity`.
"""
import argparse
import json
import os
import re
import sys
from pathlib import Path

# One process for each job: threads in each would only wait for one another. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path("~/.cache/sage-evaluation").expanduser()


def read_passages(folder):
    """The passages of the index of captured activations."""
    path = folder / "index.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: capture activations with `python -m evaluation.activations "
                                f"--out {folder}` in utils/, or leave them out with --synthetic")
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, content):
    text = json.dumps(content, indent=1, ensure_ascii=False)
    # Lists of numbers, and objects that hold no others, on a line of their own.
    text = re.sub(r"\[[^][{}\"]*\]|\{[^{}]*\}", lambda found: re.sub(r"\n\s*", " ", found[0]), text)
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)


def command_run(options):
    from evaluation import inputs, runner, studies, summary
    unknown = set(options.studies) - set(studies.STUDIES)
    if unknown:
        raise ValueError(f"there is no study {', '.join(sorted(unknown))}; there are {', '.join(studies.STUDIES)}")
    index = {"passages": {}} if options.synthetic else read_passages(options.data)
    index["passages"] = runner.first_of_each_length(index["passages"], options.passages)
    parts = runner.Parts(options.parts)
    tasks = runner.plan(options.studies or studies.STUDIES, index["passages"], options.data, parts)
    print(f"{sum(len(variants) for _, variants in tasks)} variants of {len(tasks)} inputs to measure, "
          f"{len(parts.known)} are there", flush=True)
    runner.run(tasks, parts, options.jobs)
    content = {"version": summary.VERSION, "model": index.get("model"), "passages": index["passages"],
               "spans": {"tokens": inputs.SPAN, "passages": {str(tokens): spans for tokens, spans in studies.SPANS.items()},
                         "synthetic": studies.SYNTHETIC_SPANS},
               "synthetic": {"seeds": studies.SEEDS, **studies.SYNTHETIC_SHAPE},
               "long": {"keys": studies.LENGTHS, "seeds": studies.LONG_SEEDS, **studies.LONG_SHAPE},
               "last_queries": studies.LAST_QUERIES,
               "studies": summary.summarize(parts, index["passages"], options.data)}
    if index["passages"]:
        content["statistics"] = summary.statistics(index["passages"], options.data)
    if options.perplexity.is_file():
        content["perplexity"] = json.loads(options.perplexity.read_text(encoding="utf-8"))
    else:
        print(f"no perplexities: {options.perplexity} is not there", file=sys.stderr)
    write_json(options.out, content)
    return command_report(options) if options.document else 0


def command_report(options):
    from evaluation import report
    content = report.read(options.out)
    if options.command == "report" and options.perplexity:
        content["perplexity"] = json.loads(options.perplexity.read_text(encoding="utf-8"))
        write_json(options.out, content)
    report.write(content, options.document)
    if not options.no_figures:
        from evaluation import figures
        figures.write(content, options.document.parent / "figures")
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, then report")
    run.add_argument("--studies", nargs="*", default=[], metavar="NAME", help="some of the studies only; all if left out")
    run.add_argument("--data", type=Path, default=CACHE / "activations", help="captured activations (%(default)s)")
    run.add_argument("--passages", type=int, metavar="N", help="the first N of each length only; all if left out")
    run.add_argument("--synthetic", action="store_true", help="without captured activations")
    run.add_argument("--parts", type=Path, default=CACHE / "accuracy-parts.jsonl", help="what is measured (%(default)s)")
    run.add_argument("--perplexity", type=Path, default=CACHE / "perplexity" / "perplexity.json", help="what evaluation.perplexity wrote (%(default)s)")
    run.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    report = commands.add_parser("report", help="tables and plots from the JSON")
    report.add_argument("--perplexity", type=Path, metavar="FILE", help="first take what evaluation.perplexity wrote into the JSON")
    for command in (run, report):
        command.add_argument("--out", type=Path, default=ROOT / "docs" / "accuracy.json", help="the JSON (%(default)s)")
        command.add_argument("--document", type=Path, default=ROOT / "docs" / "Accuracy.md", help="the document (%(default)s)")
        command.add_argument("--no-figures", action="store_true", help="tables only: needs no matplotlib")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    try:
        return command_run(options) if options.command == "run" else command_report(options)
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}: pip install -r {ROOT / 'utils' / 'evaluation' / 'requirements.txt'}")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from here")


if __name__ == "__main__":
    sys.exit(main())
