"""Captures Q, K and V of every layer on long texts, as files that sage-run and sage-interpret take.

    OUT/index.json               the model, the passages and their files
    OUT/PASSAGE/layer-NN-q.npy   float16 [1, heads, tokens, head dim], after rotary embedding; so also -k and -v

What is there already, of the same model and tokens, is kept: an interrupted run goes on where it was.
"""
import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from . import model as models
from . import passes
from .passes import write_json
from .progress import Progress

NAMES = "qkv"


def read_index(out, config):
    path = out / "index.json"
    if not path.is_file():
        return {"model": config, "dtype": "float16", "order": "batch, heads, tokens, head dim", "passages": {}}
    index = json.loads(path.read_text(encoding="utf-8"))
    if index["model"] != config:
        raise ValueError(f"{path} is of another model, {index['model']}; name another folder by --out")
    return index


def capture(model, passage, folder, on_layer=None):
    """Writes one passage's files."""
    folder.mkdir(parents=True, exist_ok=True)

    def save(layer, *arrays):
        for name, array in zip(NAMES, arrays):
            np.save(folder / f"layer-{layer:02}-{name}.npy", models.host(array)[None].astype(np.float16))
        if on_layer:
            on_layer()

    model.states(passage.tokens, capture=save)


def run(model, passages, out, report=print):
    """Captures the passages that `out` does not have yet; returns the index."""
    out.mkdir(parents=True, exist_ok=True)
    index = read_index(out, asdict(model.config))
    there = lambda passage: index["passages"].get(passage.name, {}).get("checksum") == passage.checksum
    missing = [passage for passage in passages if not there(passage)]
    progress = Progress(model.config.layers * sum(len(passage.tokens) for passage in missing), report)
    for passage in missing:
        capture(model, passage, out / passage.name, lambda: progress.step(len(passage.tokens), passage.name))
        index["passages"][passage.name] = {
            "tokens": len(passage.tokens), "source": passage.source.name, "package": passage.source.package,
            "path": passage.source.path, "start": int(passage.start), "checksum": passage.checksum}
        write_json(out / "index.json", index)
    return index


def load(out, passage, layer):
    """Q, K, V of a layer as read-only maps [1, heads, tokens, head dim]."""
    return [np.load(Path(out) / passage / f"layer-{layer:02}-{name}.npy", mmap_mode="r") for name in NAMES]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    passes.add_passage_arguments(parser, "activations")
    parser.set_defaults(attention=[], artifact=[], table=[])
    arguments = parser.parse_args()
    try:
        model, chosen, _ = passes.prepare(arguments, lengths=(2048, 8192))
        index = run(model, chosen, arguments.out)
    except (ImportError, FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {len(index['passages'])} passages of {model.config.layers} layers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
