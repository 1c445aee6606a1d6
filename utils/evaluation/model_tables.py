"""The tables of docs/Perplexity.md: what was measured in a model. Standard library only."""
import re

from . import common_passages
from .cells import fixed, markdown, number, spread_text, with_error


def by_length(lengths, columns, shown=lambda name: True):
    """A row for each attention; for each length of passages the columns, (title, text of an attention's figures)."""
    header = ["attention"] + [f"{length} tokens: {title}" if index == 0 else title
                              for length in lengths for index, (title, _) in enumerate(columns)]
    names = dict.fromkeys(name for by_name in lengths.values() for name in by_name if shown(name))
    return markdown(header, [[name.removeprefix("sage-calibrate, ")] + [
        text(by_name[name]) if name in by_name else "-" for by_name in lengths.values() for _, text in columns] for name in names])


def figure(*arguments):
    return lambda entry: with_error(entry, *arguments)


RELATIVE, DIVERGENCE = figure("relative_perplexity", 100, 3), figure("divergence", 1000, 3)


def _perplexity(entry):
    """With its error only where there is nothing to compare it with: the others' is the same."""
    error = f" ± {entry['perplexity'] * entry['loss_error']:.2f}" if "by_passage" not in entry and "loss_error" in entry else ""
    return f"{entry['perplexity']:.2f}{error}"


def perplexity(measured):
    """What evaluation.perplexity measured, but for tables of sage-calibrate; errors are standard errors."""
    calibration = measured.get("calibration", {})
    return by_length(measured["lengths"], [
        ("perplexity", _perplexity), ("relative, %", RELATIVE), ("same next token, %", figure("agreement", 100, 2)),
        ("divergence, 0.001 nats", DIVERGENCE)], lambda name: name not in calibration)


def calibrated(measured):
    """Attentions that were calibrated on passages: figures of all, and of the others."""
    calibration = measured.get("calibration", {})

    def held_out(entry):
        figures = entry.get("held_out", {})
        return RELATIVE(figures) + (f" ({figures['passages']})" if figures.get("passages") else "")
    return by_length(measured["lengths"], [
        ("all passages, %", RELATIVE), ("held out, %", held_out),
        ("divergence there, 0.001 nats", lambda entry: DIVERGENCE(entry.get("held_out", {})))], lambda name: name in calibration)


def engines(kernels, reference):
    """Relative perplexity by the two engines, on the passages that both measured; errors are over passages."""
    shown = lambda estimate: " ± ".join(fixed(100 * value, 3) for value in estimate if value is not None)
    return markdown(["tokens", "attention", "passages", "on the GPU, %", "on the CPU, %", "difference, %"],
                    [[length, name, str(count), *map(shown, estimates)]
                     for length, name, count, *estimates in common_passages.paired(kernels, reference)])


def retrieval(measured):
    return by_length(measured["lengths"], [("found, %", figure("found", 100, 1)), ("log probability against exact", figure("difference", 1, 3))])


def layers(measured):
    """What evaluation.layers measured: attentions by kernels against float64."""
    of_l1 = lambda text: lambda figures: text(figures["relative_l1"])
    return by_length(measured["lengths"], [
        ("relative L1", of_l1(spread_text)), ("worst layer", of_l1(lambda l1: f"{number(l1['worst_layer'])} ({l1['layer']})")),
        ("worst head", of_l1(lambda l1: f"{number(l1['worst_head'])} ({l1['head'][0]}.{l1['head'][1]})"))])


def largest(values, count=2):
    """With its place."""
    return f"{number(max(values), count)} ({values.index(max(values))})"


def bounds_of(recipe, count, bounds):
    """What parts of its error bound a recipe's kernels use, the worst of so many layers: sage-gpu-test's."""
    suffix = "" if recipe == "sage2-8b" else "-" + re.sub(r"[^a-z0-9]", "", recipe)
    name = f"sm90a-br-f16{suffix}-d64/"
    of_layer = sorted((result for result in bounds["results"] if result["name"].startswith(name)), key=lambda each: each["name"])
    passed = sum(result["passed"] for result in of_layer)
    if not len(of_layer) == passed == count:
        raise ValueError(f"{recipe} must have passed on every layer of {name}, {count}, but has on {passed} of {len(of_layer)}: "
                         "see the results of sage-gpu-test")
    return [largest([result["figures"][over] / (result["figures"][under] if under else 1) for result in of_layer], 3)
            for over, under in (("element/bound", None), ("l1", "l1_bound"), ("lse/bound", None))]


def agreement(measured, bounds=None):
    """Kernels against the CPU reference, the worst of layers: evaluation.layers', and sage-gpu-test's bounds where they are."""
    rows = []
    for recipe, figures in measured["agreement"]["recipes"].items():
        equal = figures["equal"]
        rows.append([recipe, f"{100 * min(equal):.2f} % ({equal.index(min(equal))})", largest(figures["relative_l1"]),
                     largest(figures["lse"]), *(bounds_of(recipe, len(equal), bounds) if bounds else ()),
                     *(number(sum(figures[side]) / len(figures[side]), 4) for side in ("kernel", "reference"))])
    return markdown(["recipe", "equal bits, least", "relative L1", "LSE",
                     *(("element / bound", "L1 / bound", "LSE / bound") if bounds else ()),
                     "kernel to float64", "reference to float64"], rows)
