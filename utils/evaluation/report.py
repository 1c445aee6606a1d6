"""Writes the tables of docs/Accuracy.md and docs/Perplexity.md from docs/accuracy.json alone, between marks; standard library only."""
import json
import os
import re

from . import common_passages, paper

VERSION = 1
_MARK = re.compile(r"(<!-- table: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SOURCES = {"activations": "SmolLM2, 2K", "activations-8k": "SmolLM2, 8K", "normal": "normal", "outliers": "outliers",
           "channel-bias": "channel bias"}


def read(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: make it with `utils/evaluate.py run`")
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("version") != VERSION:
        raise ValueError(f"{path} must have version {VERSION}, but has {content.get('version')!r}: make it again with "
                         "`utils/evaluate.py run`")
    return content


def number(value, count=3):
    """Fixed notation with `count` digits that count."""
    if value == 0:
        return "0"
    text = f"{value:.{count}g}"
    return f"{float(text):.{max(count - 1 - _exponent(float(text)), 0)}f}" if 1e-3 <= abs(value) < 1e4 else text


def _exponent(value):
    return int(f"{value:e}".split("e")[1])


def percent(cosine):
    return f"{100 * cosine:.2f} %"


def markdown(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |",
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def spread_text(figure):
    return number(figure["mean"]) + (f" ± {number(figure['spread'], 2)}" if "spread" in figure else "")


def detail(figures):
    """Cosine, L1 with its spread, RMSE; worst layer and worst head of captured activations."""
    l1 = figures["relative_l1"]
    return [percent(figures["cosine"]["mean"]), spread_text(l1), number(figures["rmse"]["mean"]),
            f"{percent(figures['cosine']['worst_layer'])} / {number(l1['worst_layer'])} ({l1['layer']})",
            f"{number(l1['worst_head'])} ({l1['head'][0]}.{l1['head'][1]})"]


DETAIL_HEADER = ["cosine", "relative L1", "RMSE", "worst layer", "worst head"]


def row_labels(row, columns):
    return [row["labels"][name] for name in columns]


def details_table(study, source, where=None, hide=()):
    """Every row that has the labels `where`, in detail."""
    columns = [name for name in study["columns"] if name not in (where or {}) and name not in hide]
    rows = [row for row in study["rows"] if source in row["results"]
            and all(row["labels"][name] == value for name, value in (where or {}).items())]
    return markdown(columns + DETAIL_HEADER, [row_labels(row, columns) + detail(row["results"][source]) for row in rows])


def sources_table(study, where=None):
    """Mean relative L1 of every row on every source."""
    columns = [name for name in study["columns"] if name not in (where or {})]
    sources = [source for source in SOURCES if any(source in row["results"] for row in study["rows"])]
    rows = []
    for row in study["rows"]:
        if all(row["labels"][name] == value for name, value in (where or {}).items()):
            rows.append(row_labels(row, columns) + [spread_text(row["results"][source]["relative_l1"])
                                                    if source in row["results"] else "-" for source in sources])
    return markdown(columns + [SOURCES[source] for source in sources], rows)


def pivot_table(study, index, across, source, where):
    """Mean relative L1, and of the worst layer: rows by one label, columns by others."""
    chosen = [row for row in study["rows"] if all(row["labels"][name] == value for name, value in where.items())]
    heads = list(dict.fromkeys(tuple(row["labels"][name] for name in across) for row in chosen))
    lines = {}
    for row in chosen:
        l1 = row["results"][source]["relative_l1"]
        lines.setdefault(row["labels"][index], {})[tuple(row["labels"][name] for name in across)] = (
            f"{number(l1['mean'])} / {number(l1['worst_layer'])}")
    return markdown([index] + [", ".join(head) for head in heads],
                    [[name] + [cells.get(head, "-") for head in heads] for name, cells in lines.items()])


def paper_table(study, label, where, published):
    """Ours beside the paper's: mean and worst layer."""
    rows = []
    for name, (mean, worst) in published.items():
        figures = paper.row_of(study, {**where, label: name})["results"]["activations"]
        cosine, l1 = figures["cosine"], figures["relative_l1"]
        rows.append([name, f"{percent(cosine['mean'])} / {number(l1['mean'])}", f"{percent(mean[0])} / {number(mean[1])}",
                     f"{percent(cosine['worst_layer'])} / {number(l1['worst_layer'])}",
                     f"{percent(worst[0])} / {number(worst[1])}"])
    return markdown([label, "SmolLM2", "paper", "SmolLM2, worst layer", "paper, worst layer"], rows)


def claims_table(studies):
    sources = [source for source in SOURCES if source != "activations-8k"]
    rows = []
    for claim in paper.CLAIMS:
        cells = []
        for source in sources:
            if claim.of == "worst_layer" and source != "activations":
                cells.append("")
                continue
            result, worse, better = paper.verdict(claim, studies, source)
            shown = f"**{result}**" if result == "contradicted" else result
            cells.append(f"{shown}: {number(worse)}, {number(better)}")
        rows.append([claim.tables, claim.text, "worst layer" if claim.of == "worst_layer" else "mean"] + cells)
    return markdown(["table", "relative L1", "of"] + [SOURCES[source] for source in sources], rows)


def accumulation_table(content, kind, against):
    study = content["studies"]["accumulation"]
    keys = [f"{count // 1024}K" for count in content["long"]["keys"]]
    return markdown(study["columns"] + keys,
                    [row_labels(row, study["columns"]) + [number(mean) for mean, _ in row["results"]["long"][kind][against]]
                     for row in study["rows"]])


def accumulation_layers_table(study):
    """On captured activations: against the same P and V, and against float64."""
    rows = []
    for row in study["rows"]:
        figures = row["results"]["activations-last"]
        alike, exact = figures["alike"]["relative_l1"], figures["relative_l1"]
        rows.append(row_labels(row, study["columns"]) + [
            number(alike["mean"]), f"{number(alike['worst_layer'])} ({alike['layer']})",
            f"{number(alike['worst_head'])} ({alike['head'][0]}.{alike['head'][1]})", number(exact["mean"])])
    return markdown(study["columns"] + ["mean", "worst layer", "worst head", "mean against float64"], rows)


def statistics_table(statistics):
    rows = [[name, number(sum(values) / len(values)), f"{number(min(values))} ({values.index(min(values))})",
             f"{number(max(values))} ({values.index(max(values))})"] for name, values in statistics["layers"].items()]
    return markdown(["", "mean of layers", "least (layer)", "most (layer)"], rows)


def fixed(value, digits):
    """Without the sign of what is rounded to 0."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def with_error(entry, figure, scale, digits):
    """A figure and its standard error, where they are there."""
    error = entry.get(f"{figure}_error")
    return "-" if figure not in entry else fixed(scale * entry[figure], digits) + (
        "" if error is None else f" ± {fixed(scale * error, digits)}")


def perplexity_table(perplexity):
    """What evaluation.perplexity measured; errors are standard errors."""
    rows = []
    for length, by_name in perplexity["lengths"].items():
        for name, entry in by_name.items():
            passages, distribution = str(entry["passages"]), entry.get("distribution_passages")
            error = f" ± {entry['perplexity'] * entry['loss_error']:.2f}" if "loss_error" in entry else ""
            rows.append([length, name, passages + (f" ({distribution})" if distribution else ""), f"{entry['perplexity']:.3f}{error}"]
                        + [with_error(entry, *figure) for figure in (("relative_perplexity", 100, 3), ("agreement", 100, 2),
                                                                    ("divergence", 1, 6))])
    return markdown(["tokens", "attention", "passages", "perplexity", "relative to exact, %", "same next token, %",
                     "KL divergence, nats"], rows)


def held_out_table(perplexity):
    """Of attentions that were calibrated on passages, figures of the other passages."""
    rows = [[length, name, str(entry["passages"] - entry["held_out"]["passages"]), str(entry["held_out"]["passages"]),
             with_error(entry["held_out"], "relative_perplexity", 100, 3), with_error(entry["held_out"], "divergence", 1, 6)]
            for length, by_name in perplexity["lengths"].items() for name, entry in by_name.items()
            if entry.get("held_out", {}).get("passages")]
    return markdown(["tokens", "attention", "with its text", "held out", "relative to exact, %", "KL divergence, nats"], rows)


def engines_table(kernels, reference):
    """Relative perplexity by the two engines, on the passages that both measured; errors are over passages."""
    shown = lambda figure: " ± ".join(fixed(100 * value, 3) for value in figure if value is not None)
    return markdown(["tokens", "attention", "passages", "on the GPU, %", "on the CPU, %", "difference, %"],
                    [[length, name, str(count), *map(shown, figures)]
                     for length, name, count, *figures in common_passages.paired(kernels, reference)])


def retrieval_table(retrieval):
    """What evaluation.retrieval measured."""
    rows = []
    for length, by_name in retrieval["lengths"].items():
        for name, entry in by_name.items():
            rows.append([length, name, str(entry["keys"])] + [
                with_error(entry, *figure) for figure in (("found", 100, 1), ("log_probability", 1, 3), ("difference", 1, 3))])
    return markdown(["tokens", "attention", "keys", "found, %", "log probability", "difference from exact"], rows)


def layers_table(layers):
    """What evaluation.layers measured: attentions by kernels against float64."""
    rows = [[length, name, *detail(figures)] for length, by_name in layers["lengths"].items() for name, figures in by_name.items()]
    return markdown(["tokens", "attention", *DETAIL_HEADER], rows)


def largest(values):
    """With its place."""
    return f"{number(max(values), 2)} ({values.index(max(values))})"


def bounds_of(recipe, layers, bounds):
    """What parts of its error bound a recipe's kernels use, the worst of so many layers: sage-gpu-test's."""
    suffix = "" if recipe == "sage2-8b" else "-" + re.sub(r"[^a-z0-9]", "", recipe)
    name = f"sm90a-br-f16{suffix}-d64/"
    of_layer = sorted((result for result in bounds["results"] if result["name"].startswith(name)), key=lambda each: each["name"])
    passed = sum(result["passed"] for result in of_layer)
    if not len(of_layer) == passed == layers:
        raise ValueError(f"{recipe} must have passed on every layer of {name}, {layers}, but has on {passed} of {len(of_layer)}: "
                         "see the results of sage-gpu-test")
    return [largest([result["figures"][over] / (result["figures"][under] if under else 1) for result in of_layer])
            for over, under in (("element/bound", None), ("l1", "l1_bound"), ("lse/bound", None))]


def agreement_table(layers, bounds=None):
    """Kernels against the CPU reference, the worst of layers: evaluation.layers', and sage-gpu-test's bounds where they are."""
    rows = []
    for recipe, figures in layers["agreement"]["recipes"].items():
        equal = figures["equal"]
        rows.append([recipe, f"{100 * min(equal):.2f} % ({equal.index(min(equal))})", largest(figures["relative_l1"]),
                     largest(figures["lse"]), *(bounds_of(recipe, len(equal), bounds) if bounds else ()),
                     *(number(sum(figures[side]) / len(figures[side]), 4) for side in ("kernel", "reference"))])
    return markdown(["recipe", "equal bits, least", "relative L1", "LSE",
                     *(("element / bound", "L1 / bound", "LSE / bound") if bounds else ()),
                     "kernel to float64", "reference to float64"], rows)


_INT4 = {"Q, K": "INT4", "P, V": "E4M3"}


def tables(content):
    """Name → text of every table that the JSON has the figures for."""
    studies = content["studies"]
    makers = {
        "recipes": lambda: sources_table(studies["recipes"], {"geometry": "sm_90a"}),
        "recipes-detail": lambda: details_table(studies["recipes"], "activations"),
        "smoothing-paper": lambda: paper_table(studies["smoothing"], "smoothed", _INT4, paper.SMOOTHING),
        "smoothing-types": lambda: pivot_table(studies["smoothing"], "smoothed", ("Q, K", "P, V"), "activations", {}),
        "smoothing-sources": lambda: sources_table(studies["smoothing"], _INT4),
        "granularity-paper": lambda: paper_table(studies["granularity"], "scales", _INT4, paper.GRANULARITY),
        "granularity-types": lambda: pivot_table(studies["granularity"], "scales", ("Q, K", "P, V"), "activations", {}),
        "granularity-sources": lambda: sources_table(studies["granularity"], {"P, V": "E4M3"}),
        "values-paper": lambda: paper_table(studies["values"], "P, V", {"Q, K": "INT4"}, paper.VALUES),
        "values-detail": lambda: details_table(studies["values"], "activations", {"Q, K": "INT8"}),
        "values-sources": lambda: sources_table(studies["values"], {"Q, K": "INT8"}),
        "row-sums": lambda: sources_table(studies["row-sums"]),
        "better": lambda: details_table(studies["better"], "activations"),
        "better-sources": lambda: sources_table(studies["better"]),
        "claims": lambda: claims_table(studies),
        "accumulation-activations": lambda: accumulation_layers_table(studies["accumulation"]),
        "statistics": lambda: statistics_table(content["statistics"]),
        "perplexity": lambda: perplexity_table(content["perplexity"]),
        "held-out": lambda: held_out_table(content["perplexity"]),
        "engines": lambda: engines_table(content["perplexity"], content["perplexity-reference"]),
        "retrieval": lambda: retrieval_table(content["retrieval"]),
        "layers": lambda: layers_table(content["layers"]),
        "agreement": lambda: agreement_table(content["layers"], content.get("bounds")),
    }
    for kind in ("normal", "value-bias", "needle"):
        for against in ("exact", "alike"):
            makers[f"accumulation-{kind}-{against}"] = (
                lambda kind=kind, against=against: accumulation_table(content, kind, f"against_{against}"))
    return makers


def render(content, text):
    """The document with its tables made again. A mark that names no table is an error."""
    makers = tables(content)

    def table(match):
        name = match.group(2)
        if name not in makers:
            raise ValueError(f"the document marks a table '{name}'; there are {', '.join(makers)}")
        try:
            return match.group(1) + makers[name]() + match.group(3)
        except KeyError as error:
            raise ValueError(f"the JSON lacks the figures of table '{name}' ({error}): run `utils/evaluate.py run`") from error

    return _MARK.sub(table, text)


def write(content, document):
    text = render(content, document.read_text(encoding="utf-8"))
    part = document.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, document)
