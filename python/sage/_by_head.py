"""Attention whose key heads have recipes of their own: one call for each run of neighbours, on views."""
from . import _problem, _tensors
from .errors import InvalidArgumentError, UnsupportedError, choice
from .recipes import RecipeTable, runs

#: Whose slices are views.
LIBRARIES = ("numpy", "ml_dtypes", "torch", "cupy")


def check(query, recipes, out, return_lse, artifact):
    """What does not need the operands' shapes."""
    if isinstance(recipes, RecipeTable):
        raise InvalidArgumentError("recipe must be one layer of a RecipeTable, but got the table", "pass table.layers[layer]")
    for number, recipe in enumerate(recipes):
        choice(f"recipe of key head {number}", recipe, _problem.RECIPES)
    if artifact is not None:
        raise InvalidArgumentError("artifact must be None where key heads have recipes of their own",
                                   "call sage.attention for each run of heads")
    if return_lse:
        raise UnsupportedError("return_lse must be False where key heads have recipes of their own",
                               "call sage.attention for each run of heads")
    for name, array in (("query", query), ("out", query if out is None else out)):
        if _tensors.library_of(array) not in LIBRARIES:
            raise UnsupportedError(f"{name} must be of NumPy, torch or cupy where key heads have recipes of their own, but is of "
                                   f"{_tensors.library_of(array)}", "call sage.attention for each run of heads")


def attend(run, select, call, recipes, query, key, value, bias, sinks, out):
    """`run` on the heads of each run, into one tensor. Nothing runs unless `select` finds code for every recipe."""
    axis, query_heads, key_heads = 2 if call.token_major else 1, call.query[0][1], call.key[0][1]
    if len(recipes) != key_heads:
        raise InvalidArgumentError(f"recipe must be a name, or a list with one for each of the {key_heads} key heads, but got "
                                   f"{len(recipes)}")
    for first, end, recipe in runs(recipes) if select else ():
        try:
            select(recipe)
        except UnsupportedError as error:
            raise UnsupportedError(
                f"recipe {recipe!r} of key heads {first} to {end - 1}: {error.message}",
                f"choose another recipe for them, or {error.remedy}; artifact= needs a call for each run of heads") from error
    group = query_heads // max(key_heads, 1)
    with call.backend.on(call.stream, call.device[1]):
        out, _ = call.output_view(out)

    def heads(array, first, end, of=axis):
        return array[(slice(None),) * of + (slice(first, end),)]

    for first, end, recipe in runs(recipes):
        of_queries = (first * group, end * group)
        part = bias
        if bias is not None and len(bias.shape) >= 3 and bias.shape[-3] != 1:
            part = heads(bias, *of_queries, of=len(bias.shape) - 3)
        run(heads(query, *of_queries), heads(key, first, end), heads(value, first, end), bias=part,
            sinks=None if sinks is None else heads(sinks, *of_queries, of=0), recipe=recipe, out=heads(out, *of_queries))
    return out
