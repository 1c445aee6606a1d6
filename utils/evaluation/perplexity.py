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


def place(passage):
    """Of a passage's name, SOURCE-TOKENS-INDEX, what the longer and the shorter passages of the same place have too."""
    parts = passage.split("-")
    return parts[0], parts[-1]


def held_out(differences, passages, calibration):
    """Figures of the passages that have no text of the calibration's: a longer passage holds the shorter one of its place."""
    seen = set(map(place, calibration))
    kept = {key: values for key, values in differences.items() if place(key) not in seen}
    if not kept:
        return {"passages": 0}
    relative, error = ratio(list(kept.values()))
    divergence, divergence_error = estimate([passages[key]["divergence"] for key in kept])
    return {"passages": len(kept), "relative_perplexity": relative, "relative_perplexity_error": error,
            "divergence": divergence, "divergence_error": divergence_error}


def summarize(results, calibration=None):
    """results: attention → passage → arrays, of one length; `exact` among them. → attention → figures. calibration: attention →
    the passages it was made from, of any length; figures of the others are then stated too."""
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
            if (calibration or {}).get(name):
                entry["held_out"] = held_out(differences, passages, calibration[name])
        summary[name] = entry
    return summary


def computing(model):
    """What passes.run computes: compare's arrays, and the states of exact attention, which the others are compared with."""
    def compute(passage, attention, exact):
        states = model.states(passage.tokens, attention)
        if exact is None:
            return compare(model, states, passage.tokens) | {"states": host(states)}
        return compare(model, states, passage.tokens, exact["states"])
    return compute


def measure(model, passages, chosen, out, report=print):
    """Passes of all `chosen` attentions on all passages; returns the document that OUT/perplexity.json holds."""
    out, results = Path(out), {}
    out.mkdir(parents=True, exist_ok=True)

    def finished(passage, attention, arrays, new):
        by_name = results.setdefault(len(passage.tokens), {}).setdefault(attention.name, {})
        by_name[passage.name] = {name: array for name, array in arrays.items() if name != "states"}
        if new:
            passes.write_json(out / "perplexity.json", document(model, results, chosen))

    passes.run(passes.Store(out, model), passages, chosen, computing(model), finished, report)
    return document(model, results, chosen)


def document(model, results, chosen):
    calibration = {attention.name: list(attention.calibration) for attention in chosen if attention.calibration}
    return {"model": model.identity, "block": BLOCK, "attentions": {attention.name: attention.identity for attention in passes.with_exact(chosen)},
            "calibration": calibration,
            "lengths": {str(length): summarize(by_name, calibration) for length, by_name in results.items()}}


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
