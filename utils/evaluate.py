#!/usr/bin/env python3
"""Measures what each technique of Sage's recipes buys, and writes docs/Accuracy.md and docs/Perplexity.md.

  evaluate.py run      measures variants of attention on synthetic inputs and captured activations, into one JSON; then report
  evaluate.py report   writes the documents' tables and plots from the JSON alone

`run` goes on where an interrupted run was: every layer that is measured is kept. What it needs is in
utils/evaluation/requirements.txt. With --all it first fetches the texts, captures the activations and measures perplexity
and retrieval, as `python -m evaluation.text`, `… .activations`, `… .perplexity` and `… .retrieval` do in utils/. What only a
GPU can measure, `… .layers`, `… .sensitivity` and sage-gpu-test --files, is kept as the JSON has it unless a file is named.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

# One process for each job: threads in each would only wait for one another. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path("~/.cache/sage-evaluation").expanduser()
#: What the model's attention is replaced with for perplexity and retrieval, and of how many tokens the passages are.
REPLACED = ("sage2-8b", "sage2-4b", "sage-8b", "sage-4b", "sage2pp", "sage1", "fp8-head")
LENGTHS = (2048, 8192)
DOCUMENTS = ("Accuracy.md", "Perplexity.md")
#: Measured by other modules on the CPU.
MEASURED = ("perplexity", "retrieval")
#: What is taken over, and what writes it; the last three on a GPU. perplexity-reference is the CPU's, where perplexity is a GPU's.
TAKEN = {"perplexity": "evaluation.perplexity", "perplexity-reference": "evaluation.perplexity on a CPU",
         "retrieval": "evaluation.retrieval", "layers": "evaluation.layers", "bounds": "sage-gpu-test",
         "sensitivity": "evaluation.sensitivity"}


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


def prepare(options):
    """The other modules, one after the other, each in a process of its own."""
    lengths = [part for length in LENGTHS for part in ("--length", length)]
    steps = [["text", "--fetch"], ["activations", *lengths, "--out", options.data],
             *([module, *REPLACED, *lengths, "--out", getattr(options, module).parent] for module in MEASURED)]
    for module, *arguments in steps:
        command = [sys.executable, "-m", f"evaluation.{module}", *(str(argument) for argument in arguments)]
        print(" ".join(command[1:]), flush=True)
        if subprocess.run(command, cwd=ROOT / "utils").returncode != 0:
            raise ValueError(f"evaluation.{module} failed: its message is above; the same command goes on from there")


def take(content, options, earlier):
    """What other modules measured: from their files where they are there, or else what the JSON had."""
    from evaluation import common_passages
    for name in TAKEN:
        path = getattr(options, name.replace("-", "_"))
        if path and path.is_file():
            content[name] = json.loads(path.read_text(encoding="utf-8"))
            if name == "perplexity":
                content[name] = common_passages.complete(content[name])
        elif name in earlier:
            content[name] = earlier[name]
        if path and not path.is_file():
            print(f"{path} is not there: {name} is {'what it was' if name in earlier else 'not measured'}", file=sys.stderr)


def command_run(options):
    from evaluation import inputs, runner, studies, summary
    unknown = set(options.studies) - set(studies.STUDIES)
    if unknown:
        raise ValueError(f"there is no study {', '.join(sorted(unknown))}; there are {', '.join(studies.STUDIES)}")
    if options.all:
        prepare(options)
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
    take(content, options, json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {})
    write_json(options.out, content)
    return command_report(options) if options.document else 0


def command_report(options):
    from evaluation import report
    content = report.read(options.out)
    if options.command == "report" and any(getattr(options, name.replace("-", "_")) for name in TAKEN):
        take(content, options, content)
        write_json(options.out, content)
    for document in options.document:
        report.write(content, document)
    if not options.no_figures:
        from evaluation import figures
        figures.write(content, options.document[0].parent / "figures")
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
    run.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    report = commands.add_parser("report", help="tables and plots from the JSON")
    run.add_argument("--all", action="store_true", help="first capture and measure what other modules do (hours)")
    for name, writer in TAKEN.items():
        run.add_argument(f"--{name}", type=Path, default=CACHE / name / f"{name}.json", metavar="FILE",
                         help=f"what {writer} wrote (%(default)s)")
        report.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"first take what {writer} wrote into the JSON")
    for command in (run, report):
        command.add_argument("--out", type=Path, default=ROOT / "docs" / "accuracy.json", help="the JSON (%(default)s)")
        command.add_argument("--document", type=Path, nargs="+", default=[ROOT / "docs" / name for name in DOCUMENTS],
                             help="the documents; plots go beside the first one (docs/Accuracy.md, docs/Perplexity.md)")
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
