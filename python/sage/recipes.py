"""Recipes by layer and key head, as `sage.calibrate` chooses them."""
import json
import os
from typing import NamedTuple, Tuple

from . import _library as c
from .errors import ArgumentTypeError, FileError, InvalidArgumentError, choice, describe

_VERSION = 1


class RecipeTable(NamedTuple):
    """One recipe for each key head of each layer; `table.layers[layer]` is what `sage.attention` takes as recipe=.

    As a file, JSON: {"version": 1, "layers": [["sage-4b", "sage-8b", …], …]}, and whatever else is of interest to people.
    """
    layers: Tuple[Tuple[str, ...], ...]

    @classmethod
    def load(cls, path):
        if not isinstance(path, (str, os.PathLike)):
            raise ArgumentTypeError(f"path must be a path, but got {describe(path)}")
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"cannot read recipes from {path}: {error}") from error
        if not isinstance(content, dict) or content.get("version") != _VERSION:
            raise InvalidArgumentError(f"{path}: version must be {_VERSION}", "make the file again with sage.calibrate")
        layers = content.get("layers")
        if not isinstance(layers, list) or not layers or not all(isinstance(heads, list) and heads for heads in layers):
            raise InvalidArgumentError(f"{path}: layers must be a list with a list of recipes, one for each key head, in it",
                                       "make the file again with sage.calibrate")
        table = cls(tuple(map(tuple, layers)))
        table.check(f"{path}: recipe")
        return table

    def check(self, name):
        """Every recipe must have a name, and "auto" is none: a table is for every chip. `name` begins the error."""
        for number, heads in enumerate(self.layers):
            for head, recipe in enumerate(heads):
                choice(f"{name} of layer {number}, key head {head},", recipe, c.RECIPES)

    def save(self, path, **notes):
        """notes: further members of the file, for people."""
        content = {"version": _VERSION, **notes, "layers": [list(heads) for heads in self.layers]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")


def runs(recipes):
    """(first key head, end, recipe) of neighbours with one recipe."""
    first = 0
    for head in range(1, len(recipes) + 1):
        if head == len(recipes) or recipes[head] != recipes[first]:
            yield first, head, recipes[first]
            first = head
