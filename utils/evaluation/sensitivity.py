"""What every key head of every layer costs a model by itself: the divergence of the next token's distribution from the exact
one's where this head alone has a recipe, and all else exact attention.

    python -m evaluation.sensitivity sage-4b --length=640 --out=sensitivity
    sage-calibrate --divergence=sensitivity/sensitivity.json --out=recipes.json --share=0.5

Errors of heads are independent enough that divergences add up. A pass is stored as soon as it is done, as perplexity's are:
an interrupted run goes on where it was. OUT/sensitivity.json is written at the end.
"""
import sys
from pathlib import Path

import numpy as np

from . import passes, perplexity
from .attentions import Attention
from .passes import EXACT


def of_head(attention, exact, layer, head):
    """`attention` in one key head of one layer."""
    def function(at, query, key, value):
        output = exact(at, query, key, value)
        if at == layer:
            group = query.shape[0] // key.shape[0]
            rows = slice(head * group, (head + 1) * group)
            output[rows] = attention(at, query[rows], key[head:head + 1], value[head:head + 1])
        return output
    return Attention(f"{attention.name}, layer {layer}, key head {head}", function,
                     f"{attention.identity} in layer {layer}, key head {head}; else {exact.identity}")


def measure(model, passages, chosen, out, report=print):
    """Passes with each head of each of the `chosen` attentions; returns the document that OUT/sensitivity.json holds."""
    exact, *others = passes.with_exact(chosen)
    if not others:
        raise ValueError("an attention must be named: what a head gets, such as sage-4b")
    heads = {(one.name, layer, head): of_head(one, exact, layer, head) for one in others
             for layer in range(model.config.layers) for head in range(model.config.key_heads)}
    found = {}

    def finished(passage, attention, arrays, new):
        if attention.name != EXACT:
            found.setdefault(attention.name, []).append(arrays["divergence"])

    passes.run(passes.Store(out, model), passages, [exact, *heads.values()], perplexity.computing(model), finished, report)
    mean = lambda *place: float(f"{np.concatenate(found[heads[place].name]).mean(dtype=np.float64):.4g}")
    document = {"model": model.identity, "attentions": {one.name: one.identity for one in [exact, *others]},
                "passages": [passage.name for passage in passages],
                "divergence": {one.name: [[mean(one.name, layer, head) for head in range(model.config.key_heads)]
                                          for layer in range(model.config.layers)] for one in others}}
    passes.write_json(Path(out) / "sensitivity.json", document)
    return document


def table(document):
    lines = []
    for name, layers in document["divergence"].items():
        lines += [f"{name}: divergence of each key head, 1e-4 nats; {sum(map(sum, layers)):.6f} together"]
        lines += [f"{layer:>5} " + " ".join(f"{1e4 * value:8.3f}" for value in heads) for layer, heads in enumerate(layers)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(passes.main("sensitivity", __doc__, measure, table))
