"""Chooses four or eight bits for each layer and key head from captured activations.

    python -m sage.calibrate FOLDER... --out recipes.json [--share=0.5 | --limit=0.1] [--relative-to=layer]
    python -m sage.calibrate --divergence=FILE --out recipes.json [--share=0.5 | --limit=0.1]

A folder has the operands of attention, one .npy file each: layer-NN-q.npy, layer-NN-k.npy and layer-NN-v.npy with float16
[batch, heads, tokens, head dim], after rotary embedding; heads of K and V divide those of Q. Several folders are
several passages: their errors are averaged. What is written is a `sage.RecipeTable` with the errors beside.

Everything is computed by the CPU reference. With --divergence=FILE nothing is: the file says what each head costs the model by
itself, {"divergence": {RECIPE: [[nats of each key head] of each layer]}}, and its root is taken as the error.
"""
import argparse
import json
import math
import re
import sys
import time
from pathlib import Path

from . import _library as c
from .attention import attention
from .errors import FileError, InvalidArgumentError, SageError, choice
from .recipes import RecipeTable


#: Whose O a head's error is relative to. A layer's heads are summed by the output projection: errors relative to the whole layer say
#: what a head adds to the sum, where one with small O adds little.
RELATIVE_TO = ("layer", "head")


def head_errors(query, key, value, recipe, *, causal=True, chip="sm_90a", exact=None, relative_to="layer"):
    """The error of each key head's query heads, the root of Σ(O' - O)² / ΣO²: a list of floats.

    query, key, value: float16 [batch, heads, tokens, head dim]. exact: O of recipe "f16", where it is known.
    relative_to: "layer" sums O² over all heads, "head" over the same as the numerator.
    """
    import numpy
    choice("relative_to", relative_to, RELATIVE_TO)
    exact = attention(query, key, value, causal=causal, recipe="f16", chip=chip) if exact is None else exact
    got = attention(query, key, value, causal=causal, recipe=recipe, chip=chip)
    exact = exact.astype(numpy.float64)
    squares = lambda x: numpy.square(x).sum(axis=(0, 2, 3)).reshape(key.shape[1], -1).sum(axis=1)
    wanted = squares(exact)
    if relative_to == "layer":
        wanted[:] = wanted.sum()
    return list(numpy.sqrt(squares(got.astype(numpy.float64) - exact) / numpy.where(wanted > 0, wanted, 1)))


def choose(four_errors, eight_errors, four, eight, *, share=None, limit=None):
    """A RecipeTable from errors by layer and key head.

    share: this part of all heads gets four bits, those that lose least by it. limit: every head whose error in four bits is at
    most that. Exactly one of the two is given.
    """
    if (share is None) == (limit is None):
        raise InvalidArgumentError("either share or limit must be given")
    if share is not None and not 0 <= share <= 1:
        raise InvalidArgumentError(f"share must be 0 to 1, but got {share}")
    if limit is not None and not limit >= 0:
        raise InvalidArgumentError(f"limit must be at least 0, but got {limit}")
    heads = [(f**2 - e**2, layer, head) for layer, (fours, eights) in enumerate(zip(four_errors, eight_errors))
             for head, (f, e) in enumerate(zip(fours, eights))]
    if share is not None:
        chosen = {(layer, head) for _, layer, head in sorted(heads)[:round(share * len(heads))]}
    else:
        chosen = {(layer, head) for _, layer, head in heads if four_errors[layer][head] <= limit}
    return RecipeTable(tuple(tuple(four if (layer, head) in chosen else eight for head in range(len(errors)))
                             for layer, errors in enumerate(four_errors)))


def _layers(folder):
    """The beginnings of the layers' files, e.g. "layer-07", in the layers' order."""
    names = [match[1] for match in (re.fullmatch(r"(layer-\d+)-q\.npy", path.name) for path in folder.iterdir()) if match]
    number = lambda name: int(name[len("layer-"):])
    names.sort(key=number)
    if not names or list(map(number, names)) != list(range(len(names))):
        raise FileError(f"{folder} must have layer-00-q.npy and so on without gaps, but has layers {list(map(number, names))}")
    return names


def _load(folder, name):
    """Q, K and V of the layer whose files' names begin with `name`."""
    import numpy
    arrays = []
    for operand in "qkv":
        path = folder / f"{name}-{operand}.npy"
        try:
            array = numpy.load(path)
        except (OSError, ValueError, EOFError) as error:
            raise FileError(f"{path} cannot be read: {error}", "write it with numpy.save") from error
        if not isinstance(array, numpy.ndarray) or array.dtype != numpy.float16 or array.ndim != 4 or 0 in array.shape:
            raise FileError(f"{path} must have float16 [batch, heads, tokens, head dim], but has "
                            f"{getattr(array, 'dtype', 'no array')} {list(getattr(array, 'shape', ()))}")
        if not numpy.isfinite(array).all():
            raise FileError(f"{path} must have finite elements, but {numpy.count_nonzero(~numpy.isfinite(array))} are not")
        arrays.append(array)
    return arrays


def measure(folders, recipes, *, causal=True, chip="sm_90a", relative_to="layer", report=lambda done, total: None):
    """{recipe: errors by layer and key head}, the means of the folders."""
    layers = _layers(folders[0])
    names = [(folder, layer, name) for folder in folders for layer, name in enumerate(_layers(folder))]
    if len(names) != len(folders) * len(layers):
        numbers = ", ".join(f"{folder}: {len(_layers(folder))}" for folder in folders)
        raise FileError(f"the folders must have as many layers as one another, but have {numbers}",
                        "capture every passage with the same model")
    sums = {recipe: [None] * len(layers) for recipe in recipes}
    for done, (folder, layer, name) in enumerate(names):
        operands = _load(folder, name)
        exact = attention(*operands, causal=causal, recipe="f16", chip=chip)
        for recipe in recipes:
            errors = head_errors(*operands, recipe, causal=causal, chip=chip, exact=exact, relative_to=relative_to)
            before = sums[recipe][layer] or [0.0] * len(errors)
            if len(before) != len(errors):
                raise InvalidArgumentError(f"{folder}: layer {layer} must have {len(before)} key heads, but has {len(errors)}")
            sums[recipe][layer] = [a + b / len(folders) for a, b in zip(before, errors)]
        report(done + 1, len(names))
    return sums


def _roots(path, found, recipe):
    """Of a recipe's divergences. Those of nearly nothing may be below 0 by a rounding."""
    rows = found[recipe]
    number = lambda value: type(value) in (int, float) and math.isfinite(value)
    if not (isinstance(rows, list) and rows and all(isinstance(heads, list) and heads and all(map(number, heads)) for heads in rows)):
        raise InvalidArgumentError(f"{path}: divergence of {recipe} must be a list of layers with a number for each key head",
                                   "measure it again")
    return [[math.sqrt(max(value, 0)) for value in heads] for heads in rows]


def read_divergence(path, four, eight):
    """({recipe: errors by layer and key head}, the passages) of a file. Where it has none of `eight`, they are 0."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path} cannot be read: {error}") from error
    found = content.get("divergence") if isinstance(content, dict) else None
    if not isinstance(found, dict) or four not in found:
        raise InvalidArgumentError(f"{path} must have the divergence of {four}, but has that of "
                                   f"{', '.join(found) if isinstance(found, dict) and found else 'nothing'}",
                                   f"measure it: python -m evaluation.sensitivity {four}, in utils/")
    fours = _roots(path, found, four)
    eights = _roots(path, found, eight) if eight in found else [[0.0] * len(heads) for heads in fours]
    if list(map(len, fours)) != list(map(len, eights)):
        raise InvalidArgumentError(f"{path}: {four} and {eight} must have the same layers and key heads", "measure them together")
    return {four: fours, eight: eights}, content.get("passages", [])


def measured_by(options, report):
    """({recipe: errors by layer and key head}, what they are of, for the file) as the command's options say."""
    if bool(options.folders) == bool(options.divergence):
        raise InvalidArgumentError("either folders or --divergence must be given")
    if options.divergence:
        unused = [name for name in ("chip", "relative_to", "not_causal") if getattr(options, name)]
        if unused:
            raise InvalidArgumentError(f"--{unused[0].replace('_', '-')} must come with folders, but --divergence is given",
                                       "leave it out: nothing is computed")
        errors, passages = read_divergence(options.divergence, options.four, options.eight)
        return errors, {"passages": passages, "error": "root of the divergence"}
    for folder in options.folders:
        if not folder.is_dir():
            raise FileError(f"{folder} must be a folder")
    chip, relative_to = options.chip or "sm_90a", options.relative_to or "layer"
    errors = measure(options.folders, (options.four, options.eight), causal=not options.not_causal, chip=chip,
                     relative_to=relative_to, report=report)
    return errors, {"passages": [folder.resolve().name for folder in options.folders], "chip": chip,
                    "error": f"relative to the {relative_to}'s O"}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="sage-calibrate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--divergence", metavar="FILE", help="what heads cost the model, as evaluation.sensitivity writes it, "
                        "instead of folders")
    parser.add_argument("--out", required=True, help="file to write")
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--share", type=float, help="part of the heads with four bits, those that lose least (default 0.5)")
    rule.add_argument("--limit", type=float, help="largest error of a head with four bits")
    parser.add_argument("--relative-to", choices=RELATIVE_TO, help="whose O a head's error is relative to: all of the layer's, or "
                        "its own (default: layer)")
    parser.add_argument("--four", default="sage-4b", help="recipe of four bits (default: %(default)s)")
    parser.add_argument("--eight", default="sage-8b", help="recipe of eight bits (default: %(default)s)")
    parser.add_argument("--chip", help="whose scale groups are used (default: sm_90a)")
    parser.add_argument("--not-causal", action="store_true", help="every query sees every key")
    options = parser.parse_args(arguments)
    share = 0.5 if options.share is None and options.limit is None else options.share
    begin = time.monotonic()

    def report(done, total):
        left = (time.monotonic() - begin) / done * (total - done)
        print(f"\r{done} of {total} layers, {left:.0f} s left ", end="" if done < total else "\n", file=sys.stderr, flush=True)

    try:
        choice("--four", options.four, c.RECIPES)
        choice("--eight", options.eight, c.RECIPES)
        if not Path(options.out).absolute().parent.is_dir():  # measuring takes long
            raise FileError(f"--out must be in a folder that exists, but is {options.out}")
        errors, measured = measured_by(options, report)
        four, eight = errors[options.four], errors[options.eight]
        table = choose(four, eight, options.four, options.eight, share=share, limit=options.limit)
        rounded = lambda rows: [[round(error, 6) for error in row] for row in rows]
        table.save(options.out, **measured, share=share, limit=options.limit,
                   errors={options.four: rounded(four), options.eight: rounded(eight)})
    except (SageError, OSError) as error:
        print(f"sage-calibrate: {error}", file=sys.stderr)
        return 1
    heads = [recipe for layer in table.layers for recipe in layer]
    print(f"{options.out}: {heads.count(options.four)} of {len(heads)} key heads {options.four}, the others {options.eight}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
