"""Attention whose key heads have recipes of their own: one call for each run of neighbours, on views."""
from . import _backends, _problem, _tensors
from .errors import InvalidArgumentError, UnsupportedError, choice
from .recipes import runs


def attend(attention, query, key, value, recipes, *, layout, bias, sinks, out, return_lse, artifact, **options):
    """`attention` on the heads of each run; O is one tensor."""
    for number, recipe in enumerate(recipes):
        choice(f"recipe of key head {number}", recipe, _problem.RECIPES)
    if artifact is not None:
        raise InvalidArgumentError("artifact must be None where key heads have recipes of their own")
    if return_lse:
        raise UnsupportedError("return_lse must be False where key heads have recipes of their own",
                               "call sage.attention for each run of heads")
    if _tensors.library_of(query) not in ("numpy", "ml_dtypes", "torch", "cupy"):
        raise UnsupportedError(f"recipes by key head are for NumPy, torch and cupy, but got {_tensors.library_of(query)}",
                               "call sage.attention for each run of heads")
    axis = 2 if layout == "NHD" else 1
    views = {name: _tensors.view(name, array) for name, array in (("query", query), ("key", key), ("value", value))}
    for name, view in views.items():
        _tensors.require_rank(name, view, 4, "batch, heads, tokens, head dim in the order of layout")
    key_heads, query_heads = views["key"].shape[axis], views["query"].shape[axis]
    if len(recipes) != key_heads or not recipes or query_heads % len(recipes):
        raise InvalidArgumentError(f"recipe must be a name, or one for each of the {key_heads} key heads, which divide the "
                                   f"{query_heads} query heads, but got {len(recipes)}")
    group = query_heads // key_heads
    if out is None:
        backend, view = _backends.of("query", query), views["query"]
        out = backend.empty((*view.shape[:3], views["value"].shape[3]), view.dtype, view.device[1])
        if options["query_offsets"] is not None:  # rows of no sequence are not written
            backend.fill(out, 0)

    def heads(array, first, end, of=axis):
        return array[(slice(None),) * of + (slice(first, end),)]

    for first, end, recipe in runs(recipes):
        of_queries = (first * group, end * group)
        part = bias
        if bias is not None and len(bias.shape) >= 3 and bias.shape[-3] != 1:
            part = heads(bias, *of_queries, of=len(bias.shape) - 3)
        attention(heads(query, *of_queries), heads(key, first, end), heads(value, first, end), layout=layout, bias=part,
                  sinks=None if sinks is None else heads(sinks, *of_queries, of=0), out=heads(out, *of_queries),
                  recipe=recipe, **options)
    return out
