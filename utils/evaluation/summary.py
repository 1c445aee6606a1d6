"""docs/accuracy.json: the studies' figures from the parts that were measured."""
import numpy as np

from . import studies
from .metrics import METRICS, metrics_of, statistics_of
from .runner import unit_key, units_of, variant_key

VERSION = 1


def digits(value, count=5):
    """Numbers and nested lists with few digits."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [digits(item, count) for item in value]
    return float(f"{value:.{count}g}")


def over_layers(sums):
    """Of sums [passages, layers, heads, 7]: by metric the mean, the worst layer and the worst head with where they are, and
    the spread of the passages' means; the relative L1 of every layer and of every passage."""
    by_layer, by_head = metrics_of(sums.sum(axis=2)), metrics_of(sums)
    result = {}
    for name, worse in METRICS.items():
        layers, heads = by_layer[name].mean(axis=0), by_head[name].mean(axis=0)
        pick = np.argmax if worse is max else np.argmin
        layer, (of_layer, head) = int(pick(layers)), np.unravel_index(pick(heads), heads.shape)
        result[name] = {"mean": digits(layers.mean()), "worst_layer": digits(layers[layer]), "layer": layer,
                        "worst_head": digits(heads[of_layer, head]), "head": [int(of_layer), int(head)]}
        if len(sums) > 1:
            result[name]["spread"] = digits(by_layer[name].mean(axis=1).std(ddof=1), 2)
    result["relative_l1"]["units"] = digits(by_layer["relative_l1"].mean(axis=1))
    result["layers"] = digits(by_layer["relative_l1"].mean(axis=0), 4)
    return result


def _over_seeds(sums):
    """Of sums [seeds, heads, 7]: as above, each seed in the place of a layer; worst is the worst seed."""
    by_seed, by_head = metrics_of(sums.sum(axis=1)), metrics_of(sums)
    result = {name: {"mean": digits(by_seed[name].mean()), "worst_layer": digits(worse(by_seed[name])),
                     "worst_head": digits(worse(by_head[name].ravel())), "spread": digits(by_seed[name].std(ddof=1), 2)}
              for name, worse in METRICS.items()}
    result["relative_l1"]["units"] = digits(by_seed["relative_l1"])
    return result


def _long(parts, variant):
    """{kind: {"against_exact" | "against_alike": [[relative L1, its spread over seeds] by key length]}}."""
    result = {}
    for kind in studies.LONG:
        of_kind = {}
        for name, key in (("against_exact", "sums"), ("against_alike", "alike")):
            rows = []
            for keys in studies.LENGTHS:
                of_seeds = [parts.known.get((f"long/{kind},{keys},{seed}/0", variant_key(variant)))
                            for seed in range(studies.LONG_SEEDS)]
                if None in of_seeds:
                    return None
                errors = [metrics_of(np.sum(part[key], axis=0))["relative_l1"] for part in of_seeds]
                rows.append([digits(np.mean(errors)), digits(np.std(errors, ddof=1), 2)])
            of_kind[name] = rows
        result[kind] = of_kind
    return result


def _of_source(source, variant, parts, passages, folder):
    if source == "long":
        return _long(parts, variant)
    units = units_of(source, passages, folder)
    found = [parts.known.get((unit_key(unit), variant_key(variant))) for unit in units]
    if not units or None in found:
        return None
    sums = np.array([part["sums"] for part in found])
    if source in studies.SYNTHETIC:
        return _over_seeds(sums)
    layers = 1 + max(unit.layer for unit in units)
    figures = over_layers(sums.reshape(-1, layers, *sums.shape[1:]))
    if source in studies.ACCUMULATORS:
        alike = np.array([part["alike"] for part in found])
        figures["alike"] = over_layers(alike.reshape(-1, layers, *alike.shape[1:]))
    return figures


def statistics(passages, folder):
    """What the activations of the first passage of 2048 tokens are like, by layer."""
    units = units_of("activations", passages, folder)
    units = [unit for unit in units if unit.passage == units[0].passage]
    layers = [statistics_of(unit.load()) for unit in units]
    return {"passage": units[0].passage, "layers": {name: [digits(layer[name], 3) for layer in layers] for name in layers[0]}}


def summarize(parts, passages, folder):
    """The JSON's "studies": what is measured completely."""
    result = {}
    for name, study in studies.STUDIES.items():
        rows = []
        for row in study.rows:
            sources = {source: _of_source(source, row.variant, parts, passages, folder) for source in study.sources}
            rows.append({"labels": row.labels, "variant": row.variant.changes(),
                         "results": {source: figures for source, figures in sources.items() if figures}})
        if any(row["results"] for row in rows):
            result[name] = {"title": study.title, "columns": list(study.columns), "rows": rows}
    return result
