"""Measures the studies' variants on their inputs, in several processes; what is measured is kept in a file of parts."""
import json
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from . import inputs, studies
from .metrics import exact_attention, sums_of
from .progress import Progress
from .variants import Variant, attention

#: To be raised when results change: parts of other versions are measured again.
VERSION = 1


class Unit(NamedTuple):
    """One set of inputs: a seed, or one layer of a passage. `source` is the kind of inputs in the JSON."""
    source: str
    name: str
    layer: int = 0
    seed: int = 0
    keys: int = 4096
    passage: str = ""
    folder: str = ""

    def load(self):
        if self.source == "activations-last":
            data = inputs.captured(self.folder, self.passage, self.layer, None)
            return data._replace(query=data.query[:, -studies.LAST_QUERIES:])
        if self.passage:
            return inputs.captured(self.folder, self.passage, self.layer, studies.SPANS[self.keys])
        kind = self.name.split(",")[0]
        if self.source == "long":
            return inputs.synthetic(kind, self.seed, keys=self.keys, **studies.LONG_SHAPE)
        return inputs.synthetic(kind, self.seed, spans=studies.SYNTHETIC_SPANS, **studies.SYNTHETIC_SHAPE)


def variant_key(variant):
    return json.dumps(variant.changes(), sort_keys=True)


def unit_key(unit):
    return f"{unit.source}/{unit.name}/{unit.layer}"


def units_of(source, passages, folder):
    """The units of a kind of inputs. `passages`: those of the index, by name."""
    if source in studies.SYNTHETIC:
        return [Unit(source, f"{source},{seed}", seed=seed) for seed in range(studies.SEEDS)]
    if source == "long":
        return [Unit(source, f"{kind},{keys},{seed}", seed=seed, keys=keys) for kind in studies.LONG
                for keys in studies.LENGTHS for seed in range(studies.LONG_SEEDS)]
    tokens = 2048 if source == "activations" else 8192
    return [Unit(source, name, layer, keys=tokens, passage=name, folder=str(folder))
            for name, passage in sorted(passages.items()) if passage["tokens"] == tokens
            for layer in range(passages_layers(folder))]


def passages_layers(folder):
    with open(folder / "index.json", encoding="utf-8") as file:
        return json.load(file)["model"]["layers"]


def measure(unit, variants):
    """[(key of the variant, sums, sums against the same rounding)] of one unit; runs in a process of its own."""
    data = unit.load()
    wanted = exact_attention(data.query, data.key, data.value, data.rows(), data.causal)
    results = []
    for changes in variants:
        variant = Variant(**changes)
        run = lambda chosen: attention(data.query, data.key, data.value, chosen, data.causal,
                                       query_blocks=data.query_blocks(chosen.geometry))
        got = run(variant)
        part = {"sums": sums_of(got, wanted)}
        if unit.source in studies.ACCUMULATORS:
            part["alike"] = sums_of(got, run(studies.rounded_alike(variant)))
        results.append((variant_key(variant), {name: np.vectorize(lambda x: float(f"{x:.9g}"))(sums).tolist()
                                               for name, sums in part.items()}))
    return results


class Parts:
    """What is measured already, one JSON object a line; an interruption loses the unit at work only."""

    def __init__(self, path):
        self.path, self.known = path, {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    part = json.loads(line)
                except ValueError:  # the line that an interruption cut off
                    continue
                if part.pop("version") == VERSION:
                    self.known[part.pop("unit"), part.pop("variant")] = part

    def add(self, unit, results):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            for key, part in results:
                self.known[unit_key(unit), key] = part
                file.write(json.dumps({"version": VERSION, "unit": unit_key(unit), "variant": key, **part}) + "\n")


def plan(chosen, passages, folder, parts):
    """[(unit, the variants that it lacks)], units whose source has nothing captured being left out."""
    wanted = {}
    for name in chosen:
        for source in studies.STUDIES[name].sources:
            for unit in units_of(source, passages, folder):
                wanted.setdefault(unit, {}).update((variant_key(row.variant), row.variant.changes())
                                                   for row in studies.STUDIES[name].rows)
    tasks = [(unit, [changes for key, changes in variants.items() if (unit_key(unit), key) not in parts.known])
             for unit, variants in wanted.items()]
    return [(unit, variants) for unit, variants in tasks if variants]


def run(tasks, parts, jobs, report=print):
    """Measures the tasks; long inputs first, so that the processes end together."""
    tasks = sorted(tasks, key=lambda task: -task[0].keys)
    progress = Progress(sum(unit.keys * len(variants) for unit, variants in tasks), report)
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [(unit, variants, pool.submit(measure, unit, variants)) for unit, variants in tasks]
        try:
            for unit, variants, future in waiting:
                parts.add(unit, future.result())
                progress.step(unit.keys * len(variants), unit_key(unit))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def first_of_each_length(passages, count):
    """The first `count` passages of each length, in the order of their names; all for None."""
    chosen = {}
    for name, passage in sorted(passages.items()):
        if passage["tokens"] in studies.SPANS:
            chosen.setdefault(passage["tokens"], []).append(name)
    return {name: passages[name] for names in chosen.values() for name in names[:count]}
