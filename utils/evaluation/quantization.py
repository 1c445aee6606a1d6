"""Smoothing, rotation and quantization of operands, docs/Spec.md N1 to N5, and what is only studied here."""
from typing import NamedTuple

import numpy as np

from .formats import E4M3_MAX, E5M2_MAX, INTEGER_RANGES, round_to

_CHUNK, _PARTIAL = 256, 8
#: Ratios to the absolute maximum that scales="mse" tries.
CLIP_RATIOS = tuple(np.float32(1 - step / 20) for step in range(13))


class Geometry(NamedTuple):
    """Tokens that share a tile, a smoothing block or a warp (docs/Spec.md, Geometry)."""
    query_block: int
    key_tile: int
    warp_rows: int


GEOMETRIES = {"sm_90a": Geometry(192, 128, 16), "sm_89": Geometry(128, 64, 16)}


def token_means(rows):
    """N1 and N2: means over the second last axis, the sums in the order of the specification."""
    tokens, columns = rows.shape[-2:]
    padded = np.zeros((*rows.shape[:-2], -(-tokens // _CHUNK) * _CHUNK, columns), np.float32)
    padded[..., :tokens, :] = rows
    steps = padded.reshape(*rows.shape[:-2], -1, _CHUNK // _PARTIAL, _PARTIAL, columns)
    partial = np.zeros_like(steps[..., 0, :, :])
    for step in range(steps.shape[-3]):
        partial += steps[..., step, :, :]
    for width in (4, 2, 1):
        partial = partial[..., :width, :] + partial[..., width:2 * width, :]
    total = np.zeros((*rows.shape[:-2], columns), np.float32)
    for chunk in range(partial.shape[-3]):
        total += partial[..., chunk, 0, :]
    return total / np.float32(max(tokens, 1))


def block_means(rows, block):
    """[…, blocks, D]: means of blocks of tokens, the last of which may be shorter; 0 is one block."""
    tokens = rows.shape[-2]
    block = block or tokens
    return np.stack([token_means(rows[..., first:first + block, :]) for first in range(0, tokens, block)], axis=-2)


def expand(blocks, block, tokens):
    """One row for each token from one for each block."""
    return np.repeat(blocks, block or tokens, axis=-2)[..., :tokens, :]


def hadamard(rows, is_key):
    """N3: rows transformed in blocks of the largest power of two that divides their length. The products of Q and K are what
    they were: halvings are shared."""
    dims = rows.shape[-1]
    block, shape, width = dims & -dims, rows.shape, 1
    while width < block:
        pairs = rows.reshape(*shape[:-1], dims // (2 * width), 2, width)
        rows = np.stack((pairs[..., 0, :] + pairs[..., 1, :], pairs[..., 0, :] - pairs[..., 1, :]), axis=-2).reshape(shape)
        width *= 2
    doublings = block.bit_length() - 1
    return rows * np.float32(2.0**-(doublings // 2 if is_key else (doublings + 1) // 2))


def group_of_tokens(granularity, geometry, tokens, is_key):
    """N3: the index of each token's scale. Rows t, t + 8 of a warp, key columns 2c, 2c + 1 of every eight are one lane's."""
    n = np.arange(tokens)
    block = geometry.key_tile if is_key else geometry.query_block
    rows = block if is_key else geometry.warp_rows
    if granularity == "tensor":
        return np.zeros(tokens, np.int64)
    if granularity == "block":
        return n // block
    if granularity == "warp":
        return n // rows
    if granularity == "thread":
        return n // rows * 4 + n % 8 // 2 if is_key else n // rows * 8 + n % 8
    return n


class Groups:
    """Reductions over the tokens that share a scale."""

    def __init__(self, groups):
        self.order = np.argsort(groups, kind="stable")
        ordered = groups[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.of_token = np.empty(len(groups), np.int64)
        self.of_token[self.order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])

    def reduce(self, operation, per_token):
        return operation.reduceat(per_token[..., self.order], self.starts, axis=-1)


def _scale(largest, limit):
    """N4: (scale, inverse); a group of zeros has scale 1 and inverse 0."""
    zero = largest == 0
    safe = np.where(zero, np.float32(1), largest)
    return (np.where(zero, np.float32(1), safe / np.float32(limit)),
            np.where(zero, np.float32(0), np.float32(limit) / safe))


def quantize_scores(rows, qk, groups, scales="absmax", fraction=1.0):
    """N4 on [heads, tokens, D]: (values as float32, one scale for each token).

    scales="mse": of CLIP_RATIOS the one with the least squared error of the group.
    """
    if qk == "f16":
        return round_to(rows, "f16"), np.ones(rows.shape[:-1], np.float32)
    limit = INTEGER_RANGES.get(qk, E4M3_MAX)
    groups = Groups(groups)
    largest = groups.reduce(np.maximum, np.abs(rows).max(axis=-1)) * np.float32(fraction)

    def quantize(ratio):
        scale, inverse = (part[..., groups.of_token] for part in _scale(largest * ratio, limit))
        return round_to(rows * inverse[..., None], qk), scale

    if scales == "absmax":
        return quantize(np.float32(1))
    best, ratios = None, np.ones_like(largest)
    for ratio in CLIP_RATIOS:
        values, scale = quantize(ratio)
        error = groups.reduce(np.add, np.square(values * scale[..., None] - rows).sum(axis=-1))
        better = np.ones(error.shape, bool) if best is None else error < best
        best = error if best is None else np.where(better, error, best)
        ratios = np.where(better, ratio, ratios)
    return quantize(ratios)


def value_range(pv, inner):
    """R7: what P = 1 and the largest V of a channel are stored as."""
    if pv == "e4m3":
        return (224.0, 4.5) if inner == "f16" else (E4M3_MAX, E4M3_MAX)
    return {"e5m2": (E5M2_MAX, E5M2_MAX), "f16": (1.0, 1.0), "int8": (127.0, 127.0), "uint8": (255.0, 127.0)}[pv]


def quantize_values(rows, pv, limit, per_channel=True):
    """N5 on [tokens, D]: (values as float32, a scale for each channel)."""
    if pv == "f16":
        return round_to(rows, "f16"), np.ones(rows.shape[-1], np.float32)
    largest = np.abs(rows).max(axis=0)
    scale, inverse = _scale(largest if per_channel else np.full_like(largest, largest.max()), limit)
    return round_to(rows * inverse, "int8" if pv == "uint8" else pv), scale


def smoothquant_factors(queries, keys):
    """SmoothQuant's migration with α = 1/2: by channel, what Q is multiplied and K divided by."""
    q, k = np.abs(queries).max(axis=(0, 1)), np.abs(keys).max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.sqrt(k / q)
    return np.where(np.isfinite(factors) & (factors > 0), factors, np.float32(1)).astype(np.float32)
