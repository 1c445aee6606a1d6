"""Q, K and V to measure on: synthetic distributions, and activations that were captured from a model."""
from typing import NamedTuple

import numpy as np

from .quantization import GEOMETRIES

#: A whole number of query blocks of every geometry: rows are measured in such spans.
SPAN = 384
_STREAMS = {"normal": 1, "outliers": 2, "channel-bias": 3, "value-bias": 4, "needle": 5}


class Inputs(NamedTuple):
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    causal: bool
    #: Spans of rows to measure; None is all.
    spans: tuple = None

    def query_blocks(self, geometry):
        """Indices of the query blocks of the measured rows; None is all."""
        if self.spans is None:
            return None
        per_span, blocks = SPAN // GEOMETRIES[geometry].query_block, -(-self.query.shape[1] // GEOMETRIES[geometry].query_block)
        return [b for span in self.spans for b in range(span * per_span, min((span + 1) * per_span, blocks))]

    def rows(self):
        queries = self.query.shape[1]
        if self.spans is None:
            return np.arange(queries)
        return np.concatenate([np.arange(span * SPAN, min((span + 1) * SPAN, queries)) for span in self.spans])


def synthetic(kind, seed, heads, keys, dim, queries=None, spans=None):
    """[heads, tokens, dim], values that float16 holds.

    normal: N(0, 1). outliers: plus N(0, 100) in one element of a thousand. channel-bias: in one channel of ten a constant,
    of standard deviation 3 in Q and 8 in K. value-bias: 8 to 9 added to the channels of V. needle: each query has one key,
    anywhere, that gets about half of its probability.
    """
    random = np.random.default_rng([_STREAMS[kind], seed, keys])
    shapes = [(heads, keys if queries is None else queries, dim), (heads, keys, dim), (heads, keys, dim)]
    q, k, v = (random.standard_normal(shape) for shape in shapes)
    if kind == "outliers":
        for x in (q, k, v):
            chosen = random.random(x.shape) < 0.001
            x[chosen] += 10 * random.standard_normal(np.count_nonzero(chosen))
    elif kind == "channel-bias":
        for x, size in ((q, 3), (k, 8)):
            x += size * random.standard_normal((heads, 1, dim)) * (random.random((heads, 1, dim)) < 0.1)
    elif kind == "value-bias":
        v += random.uniform(8, 9, (heads, 1, dim))
    elif kind == "needle":
        where = random.permuted(np.tile(np.arange(keys), (heads, 1)), axis=1)[:, :q.shape[1]]
        length = np.square(q).sum(axis=2, keepdims=True)
        np.put_along_axis(k, where[..., None], q * (np.log(keys) + 0.5) * dim**0.5 / length, axis=1)
    return Inputs(*(x.astype(np.float16) for x in (q, k, v)), False, spans)


def captured(folder, passage, layer, spans):
    """One layer of a captured passage; causal."""
    from . import activations  # needs the packages of the model
    return Inputs(*(np.asarray(x[0]) for x in activations.load(folder, passage, layer)), True, spans)
