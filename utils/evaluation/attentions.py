"""Attention functions by name: what a model's layers are replaced with."""
import hashlib
import json
import platform
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Callable

import numpy as np

from . import model as models
from . import variants


@dataclass(frozen=True)
class Attention:
    """function(layer, query, key, value) is Model.forward's. identity: stored results of the same one are taken. calibration:
    the passages that it was made from."""
    name: str
    function: Callable
    identity: str
    calibration: tuple = ()

    def __call__(self, *arguments):
        return self.function(*arguments)


EXACT = Attention("exact", models.exact, "exact in float32")


def simulated(name, variant):
    """A variant of the simulator (variants.py). O is rounded to float16, as a kernel stores it."""
    def function(layer, query, key, value):
        return variants.attention(query, key, value, variant, causal=True).astype(np.float16).astype(np.float32)
    # What is not the default, so that a choice that is new does not make stored results of others stale.
    own = [f"{field.name}={getattr(variant, field.name)!r}" for field in fields(variant)
           if getattr(variant, field.name) != field.default]
    return Attention(name, function, f"simulated, {', '.join(own) or 'defaults'}")


def reference(recipe, chip="sm_90a"):
    """The project's CPU reference, through the Python package."""
    import sage

    def function(layer, query, key, value):
        arrays = (array[None].astype(np.float16) for array in (query, key, value))
        return sage.attention(*arrays, causal=True, recipe=recipe, chip=chip)[0].astype(np.float32)
    return Attention(recipe, function, f"reference {recipe} {chip} {sage.version()} {platform.machine()}")


def table_text(table):
    return f"recipes {hashlib.sha256(repr(table.layers).encode()).hexdigest()[:16]}"


def calibration_of(path):
    """The names of the folders that sage-calibrate made a table from, where the file says so."""
    return tuple(json.loads(Path(path).read_text(encoding="utf-8")).get("passages", ()))


def of_table(name, path, chip="sm_90a"):
    """The CPU reference with a recipe for each key head of each layer."""
    import sage
    table = sage.RecipeTable.load(path)

    def function(layer, query, key, value):
        arrays = (array[None].astype(np.float16) for array in (query, key, value))
        return sage.attention(*arrays, causal=True, recipe=list(table.layers[layer]), chip=chip)[0].astype(np.float32)
    return Attention(name, function, f"reference {table_text(table)} {chip} {sage.version()} {platform.machine()}",
                     calibration_of(path))


def has_reference(recipe):
    """Whether the package is there and knows the recipe."""
    try:
        import sage
    except ImportError:
        return False
    tiny = np.zeros((1, 1, 1, 64), np.float16)
    try:
        sage.attention(tiny, tiny, tiny, recipe=recipe)
    except sage.SageError:
        return False
    return True


#: Name → what makes it. Other modules add theirs.
REGISTRY = {"exact": lambda: EXACT}


def named(name, engine="auto"):
    """The attention of a name: of REGISTRY, or a recipe by the CPU reference, or by the simulator where it is not there.

    engine: "auto", "reference" or "simulator" for recipes.
    """
    if name in REGISTRY:
        return REGISTRY[name]()
    if engine != "simulator" and has_reference(name):
        return reference(name)
    if engine != "reference" and name in variants.RECIPES:
        return simulated(name, variants.RECIPES[name])
    raise ValueError(f"{name} is no attention of the engine {engine}; choose one of {', '.join(names())}, or install the "
                     "package sage (docs/Python.md) for the reference's")


def names():
    return [*REGISTRY, *variants.RECIPES]
