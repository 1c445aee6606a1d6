"""Whether a model still finds what a long context says once: numbers in the midst of other text, asked for at its end.

Every context hides the pass keys of several boxes at evenly spaced depths, and closes with the boxes named again in another
order. What counts is the probability of each right pass key there (its digits are one token each), and whether every digit
is the most likely token, so that greedy decoding would find it. Results are stored as perplexity's are.
"""
import hashlib
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import passes
from .model import host
from .passes import EXACT
from .sampling import estimate

COLOURS = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple")
_DIGITS = 5


@dataclass(frozen=True)
class Context:
    """starts[i] is where the digits of the i-th key, by depth, are in the question."""
    name: str
    tokens: np.ndarray
    starts: np.ndarray

    @property
    def checksum(self):
        return hashlib.sha256(self.tokens.astype("<u4").tobytes()).hexdigest()[:16]


def hide(tokenizer, passage):
    """A context of as many tokens as the passage, which is shortened by what is hidden in it."""
    random = np.random.default_rng([len(passage.tokens), *passage.name.encode()])
    keys = random.integers(10 ** (_DIGITS - 1), 10 ** _DIGITS, len(COLOURS))
    encode = lambda string: np.array(tokenizer.encode(string).ids, np.int32)
    colours = random.permutation(COLOURS)
    needles = [encode(f"\n\nThe pass key of the {colour} box is {key}.\n\n") for colour, key in zip(colours, keys)]
    order = random.permutation(len(COLOURS))
    questions = [encode(f"\n\nThe pass key of the {colours[i]} box is {keys[i]}") for i in order]
    hidden = sum(map(len, needles + questions))
    if len(passage.tokens) <= hidden:
        raise ValueError(f"a context must be longer than its {len(COLOURS)} keys and questions, {hidden} tokens, but "
                         f"{passage.name} has {len(passage.tokens)}; ask for longer passages")
    pieces = np.array_split(passage.tokens[:len(passage.tokens) - hidden], len(COLOURS) + 1)
    parts = [part for pair in zip(pieces, needles) for part in pair] + pieces[-1:]
    ends = sum(map(len, parts)) + np.cumsum([len(question) for question in questions])
    starts = np.empty(len(COLOURS), int)
    starts[order] = ends - _DIGITS
    return Context(f"retrieval-{passage.name}", np.concatenate(parts + questions), starts)


def answers(model, states, context):
    """Per key: the logarithm of its probability, and whether every digit is the most likely token."""
    positions = (context.starts[:, None] + np.arange(_DIGITS)).ravel()
    scores = host(model.log_softmax(model.head(states, positions - 1)))
    right = scores[np.arange(len(scores)), context.tokens[positions]]
    found = scores.argmax(-1) == context.tokens[positions]
    shape = len(context.starts), _DIGITS
    return {"log_probability": right.reshape(shape).sum(-1), "found": found.reshape(shape).all(-1)}


def summarize(results):
    """results: attention → context → arrays, of one length → attention → figures; errors over keys."""
    summary = {}
    for name, contexts in results.items():
        entry = {"keys": sum(len(arrays["found"]) for arrays in contexts.values())}
        for figure in "found", "log_probability":
            entry[figure], entry[f"{figure}_error"] = estimate([arrays[figure] for arrays in contexts.values()], 1)
        depths = np.mean([arrays["found"] for arrays in contexts.values()], 0)
        entry["found_by_depth"] = [float(part) for part in depths]
        if name != EXACT:
            entry["difference"], entry["difference_error"] = estimate(
                [arrays["log_probability"] - results[EXACT][key]["log_probability"] for key, arrays in contexts.items()], 1)
        summary[name] = entry
    return summary


def measure(model, passages, chosen, out, report=print):
    """Asks with all `chosen` attentions in all contexts; returns the document that OUT/retrieval.json holds."""
    out, results = Path(out), {}
    out.mkdir(parents=True, exist_ok=True)
    contexts = [hide(model.tokenizer, passage) for passage in passages]
    document = lambda: {"model": model.identity, "attentions": {one.name: one.identity for one in passes.with_exact(chosen)},
                        "lengths": {str(length): summarize(by_name) for length, by_name in results.items()}}

    def finished(context, attention, arrays, new):
        results.setdefault(len(context.tokens), {}).setdefault(attention.name, {})[context.name] = arrays
        if new:
            passes.write_json(out / "retrieval.json", document())

    compute = lambda context, attention, exact: answers(model, model.states(context.tokens, attention), context)
    passes.run(passes.Store(out, model), contexts, chosen, compute, finished, report)
    return document()


def table(document):
    number = lambda entry, figure, digits, scale=1: (
        f"{scale * entry[figure]:.{digits}f} ± {scale * (entry[figure + '_error'] or math.nan):.{digits}f}")
    lines = [f"{'tokens':>6} {'attention':<20} {'keys':>5} {'found, %':>14} {'log probability':>18} {'difference':>18}  by depth"]
    for length, by_name in document["lengths"].items():
        for name, entry in by_name.items():
            difference = number(entry, "difference", 3) if name != EXACT else ""
            lines.append(f"{length:>6} {name:<20} {entry['keys']:>5} {number(entry, 'found', 1, 100):>14} "
                         f"{number(entry, 'log_probability', 3):>18} {difference:>18}  "
                         + " ".join(f"{part:.1f}" for part in entry["found_by_depth"]))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(passes.main("retrieval", __doc__, measure, table))
