"""Perplexity, next-token agreement and divergence of a model whose attention is replaced in every layer.

Losses of the same tokens are compared, with and without the replacement: their difference varies far less than they do. A
pass is stored as soon as it is done (OUT/TOKENS/ATTENTION/PASSAGE.npz), and OUT/perplexity.json is written again: an
interrupted run goes on where it was.
"""
import math
import sys
from pathlib import Path

import numpy as np

from . import passes
from .model import host
from .passes import EXACT
from .sampling import BLOCK, estimate, ratio

#: Positions whose logits are held at once.
_CHUNK = 256


def compare(model, states, tokens, exact_states=None):
    """Per position but the last: the loss of the next token; with the states of exact attention also whether the most
    likely token is the same, and the divergence KL(exact ‖ replaced) in nats."""
    count = len(tokens) - 1
    result = {name: np.empty(count, np.float32) for name in ("loss",) + (("agreement", "divergence") if exact_states is not None else ())}
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        scores = model.log_softmax(model.head(states, part))
        result["loss"][part] = -host(scores[np.arange(len(scores)), tokens[part.start + 1:part.stop + 1]])
        if exact_states is not None:
            exact = model.log_softmax(model.head(exact_states, part))
            result["agreement"][part] = host(exact.argmax(-1) == scores.argmax(-1))
            result["divergence"][part] = host(model.divergence(exact, scores))
    return result


def summarize(results):
    """results: attention → passage → arrays, of one length; `exact` among them. → attention → figures."""
    summary, exact = {}, results[EXACT]
    for name, passages in results.items():
        loss, error = estimate([arrays["loss"] for arrays in passages.values()])
        entry = {"passages": len(passages), "tokens": sum(len(arrays["loss"]) for arrays in passages.values()),
                 "loss": loss, "loss_error": error, "perplexity": math.exp(loss)}
        if name != EXACT:
            differences = {key: arrays["loss"].astype(np.float64) - exact[key]["loss"] for key, arrays in passages.items()}
            entry["relative_perplexity"], entry["relative_perplexity_error"] = ratio(list(differences.values()))
            for figure in ("agreement", "divergence"):
                entry[figure], entry[f"{figure}_error"] = estimate([arrays[figure] for arrays in passages.values()])
            entry["by_passage"] = {key: math.expm1(values.mean()) for key, values in differences.items()}
        summary[name] = entry
    return summary


def measure(model, passages, chosen, out, report=print):
    """Passes of all `chosen` attentions on all passages; returns the document that OUT/perplexity.json holds."""
    out, results = Path(out), {}
    out.mkdir(parents=True, exist_ok=True)

    def compute(passage, attention, exact):
        states = model.states(passage.tokens, attention)
        if exact is None:
            return compare(model, states, passage.tokens) | {"states": host(states)}
        return compare(model, states, passage.tokens, exact["states"])

    def finished(passage, attention, arrays, new):
        by_name = results.setdefault(len(passage.tokens), {}).setdefault(attention.name, {})
        by_name[passage.name] = {name: array for name, array in arrays.items() if name != "states"}
        if new:
            passes.write_json(out / "perplexity.json", document(model, results, chosen))

    passes.run(passes.Store(out, model), passages, chosen, compute, finished, report)
    return document(model, results, chosen)


def document(model, results, chosen):
    return {"model": model.identity, "block": BLOCK, "attentions": {attention.name: attention.identity for attention in passes.with_exact(chosen)},
            "lengths": {str(length): summarize(by_name) for length, by_name in results.items()}}


def table(document):
    lines = [f"{'tokens':>6} {'attention':<20} {'perplexity':>10} {'relative':>20} {'same token':>20} {'KL, nats':>22}"]
    for length, by_name in document["lengths"].items():
        for name, entry in by_name.items():
            line = f"{length:>6} {name:<20} {entry['perplexity']:>10.4f}"
            if name != EXACT:
                plus_minus = lambda figure, scale, unit, digits: (
                    f"{scale * entry[figure]:.{digits}f} ± {scale * (entry[figure + '_error'] or math.nan):.{digits}f}{unit}")
                line += (f" {plus_minus('relative_perplexity', 100, ' %', 3):>20} {plus_minus('agreement', 100, ' %', 2):>20}"
                         f" {plus_minus('divergence', 1, '', 6):>22}")
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(passes.main("perplexity", __doc__, measure, table))
