"""Writes the tables of docs/Accuracy.md and docs/Perplexity.md from docs/accuracy.json alone, between marks; standard library only."""
import json
import os
import re

from . import model_tables, paper
from .cells import markdown, number, percent, spread_text

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
        "perplexity": lambda: model_tables.perplexity(content["perplexity"]),
        "calibrated": lambda: model_tables.calibrated(content["perplexity"]),
        "engines": lambda: model_tables.engines(content["perplexity"], content["perplexity-reference"]),
        "retrieval": lambda: model_tables.retrieval(content["retrieval"]),
        "layers": lambda: model_tables.layers(content["layers"]),
        "agreement": lambda: model_tables.agreement(content["layers"], content.get("bounds")),
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
