"""Perplexities on the passages that attentions, or engines, have in common; standard library only.

Passages of one length have the same number of tokens: means of passages are means of tokens. What is left are means of passages,
so errors are standard errors over these, and no longer over blocks of tokens.
"""
import math
import statistics

#: What means of passages do not tell.
_UNKNOWN = ("loss_error", "held_out", "agreement", "agreement_error", "divergence", "divergence_error")


def estimate(values):
    """The mean, and its standard error, None of one value."""
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def differences(entry, passages):
    """Of losses from exact attention's, by passage."""
    return [math.log1p(entry["by_passage"][name]) for name in passages]


def with_loss(entry, loss, passages):
    """On fewer passages."""
    kept = {name: value for name, value in entry.items() if name not in _UNKNOWN}
    return {**kept, "passages": len(passages), "tokens": entry["tokens"] // entry["passages"] * len(passages), "loss": loss,
            "perplexity": math.exp(loss)}


def restrict(by_name):
    """Attention → figures of one length, on the passages that every attention has: an interrupted run has more of some. The
    exact loss there is the one of an attention that has no other passages, less its difference. None if there is no such."""
    others = {name: entry for name, entry in by_name.items() if "by_passage" in entry}
    lists = [list(entry["by_passage"]) for entry in others.values()]
    if all(set(names) == set(lists[0]) for names in lists):
        return by_name
    passages = [name for name in lists[0] if all(name in names for names in lists)]
    whole = next((entry for entry in others.values() if len(entry["by_passage"]) == len(passages)), None)
    if not passages or whole is None:
        return None
    exact = whole["loss"] - statistics.fmean(differences(whole, passages))
    result = {}
    for name, entry in by_name.items():
        if name not in others:
            result[name] = with_loss(entry, exact, passages)
        elif len(entry["by_passage"]) == len(passages):
            result[name] = entry
        else:
            mean, error = estimate(differences(entry, passages))
            result[name] = {**with_loss(entry, exact + mean, passages), "relative_perplexity": math.expm1(mean),
                            "relative_perplexity_error": error,
                            "by_passage": {each: entry["by_passage"][each] for each in passages}}
    return result


def complete(perplexity):
    """What evaluation.perplexity measured, every length on passages that all attentions have; other lengths are left out."""
    lengths = {length: restrict(by_name) for length, by_name in perplexity["lengths"].items()}
    return {**perplexity, "lengths": {length: by_name for length, by_name in lengths.items() if by_name is not None}}


def paired(first, second):
    """(length, attention, passages, (mean, error) of the first, of the second, and of their difference) for every attention
    that both measured some passages of; relative to exact attention."""
    for length, by_name in first["lengths"].items():
        for name, entry in by_name.items():
            other = second["lengths"].get(length, {}).get(name, {})
            passages = [each for each in entry.get("by_passage", {}) if each in other.get("by_passage", {})]
            if passages:
                one, two = differences(entry, passages), differences(other, passages)
                yield length, name, len(passages), estimate(one), estimate(two), estimate([a - b for a, b in zip(one, two)])
