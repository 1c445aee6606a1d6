"""Simulates attention in any variant of what docs/Spec.md specifies, and of what is only studied, in NumPy.

The named recipes equal the project's CPU reference (python/tests/test_variants.py); every other variant is the same code
with other data. Sums of products of quantized numbers are exact where the specification says so: float32 holds them.
"""
from dataclasses import dataclass, fields, replace
from typing import Optional

import numpy as np

from .accumulation import accumulate
from .formats import round_to
from .quantization import (GEOMETRIES, block_means, expand, group_of_tokens, hadamard, quantize_scores, quantize_values,
                           smoothquant_factors, token_means, value_range)

_CHOICES = {"qk": ("int8", "int4", "e4m3", "f16"), "granularity": ("tensor", "block", "warp", "thread", "token"),
            "rotate": ("none", "hadamard"), "scales": ("absmax", "mse"), "pv": ("int8", "uint8", "e5m2", "e4m3", "f16"),
            "value_scales": ("channel", "tensor"), "probability_scale": ("static", "tile"),
            "row_sum": ("float", "quantized"), "accumulation": ("single", "two_level"), "inner": ("f32", "f16"),
            "accumulator_bits": (22, 32), "geometry": tuple(GEOMETRIES)}
_LOG2E = 1.44269504088896340736


@dataclass(frozen=True)
class Variant:
    """One way to compute attention. The defaults are `sage2-8b`."""
    qk: str = "int8"
    granularity: str = "thread"
    #: The tensors whose mean is subtracted: letters of "qkv".
    smooth: str = "k"
    #: Tokens that share a mean of K; 0 is all. What differs between the means is added to the scores.
    smooth_key_block: int = 0
    #: hadamard: Q and K, centred, are rotated along the head dim.
    rotate: str = "none"
    #: Channels of Q and K, centred, are balanced by SmoothQuant's factors.
    smoothquant: bool = False
    #: Scales of Q and K: a part of the largest magnitude; mse: the part with the least squared error.
    scales: str = "absmax"
    query_fraction: float = 1.0
    key_fraction: float = 1.0
    pv: str = "e4m3"
    value_scales: str = "channel"
    #: tile: the largest P of each row and key tile is stored as the largest number, not P = 1.
    probability_scale: str = "static"
    #: What P = 1 is stored as; None: docs/Spec.md R7.
    probability_range: Optional[float] = None
    #: What the largest V of a channel is stored as; None: docs/Spec.md R7.
    value_range: Optional[float] = None
    row_sum: str = "quantized"
    accumulation: str = "two_level"
    #: Tokens between two promotions: 0 is one key tile, several tiles are allowed.
    interval: int = 0
    inner: str = "f32"
    #: 22: the tensor core's accumulator with 13 bits behind the leading one.
    accumulator_bits: int = 32
    geometry: str = "sm_90a"

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, but is {getattr(self, name)!r}")
        if set(self.smooth) - set("qkv"):
            raise ValueError(f"smooth must be letters of 'qkv', but is {self.smooth!r}")
        tile = self.tiles.key_tile
        if self.interval < 0 or (self.interval and tile % self.interval and self.interval % tile):
            raise ValueError(f"interval must be 0, or divide or be a multiple of the key tile, {tile}, but is {self.interval}")
        single_level_only = self.accumulation == "single" or self.interval > tile
        if single_level_only and (self.pv in ("int8", "uint8") or self.probability_scale == "tile"):
            raise ValueError("an integer sum, or one of tiles with scales of their own, cannot follow the running maximum: "
                             "accumulation must be 'two_level' with an interval of at most one key tile")
        if self.inner == "f16" and (self.pv != "e4m3" or self.accumulation == "single"):
            raise ValueError("inner='f16' must come with pv='e4m3' and accumulation='two_level'")
        if self.smooth_key_block and "k" not in self.smooth:
            raise ValueError("smooth_key_block must come with 'k' in smooth")

    @property
    def tiles(self):
        return GEOMETRIES[self.geometry]

    def but(self, **changes):
        return replace(self, **changes)

    def changes(self):
        """What differs from the defaults, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) != field.default}


_SAGE2 = Variant()
#: The recipes of docs/Spec.md, and what FlashAttention-3 does in FP8: one scale for each head and tensor.
RECIPES = {
    "sage2-8b": _SAGE2,
    "sage2-4b": Variant(qk="int4", smooth="qk"),
    "sage-8b": Variant(rotate="hadamard"),
    "sage-4b": Variant(qk="int4", smooth="qk", rotate="hadamard", query_fraction=15 / 16, key_fraction=3 / 4),
    "sage2pp": Variant(row_sum="float", inner="f16", interval=64),
    "sage1": Variant(granularity="block", pv="f16", row_sum="float", accumulation="single"),
    "f16": Variant(qk="f16", granularity="tensor", smooth="", pv="f16", row_sum="float", accumulation="single"),
    "fp8-head": Variant(qk="e4m3", granularity="tensor", smooth="", value_scales="tensor", probability_range=256.0,
                        row_sum="float", accumulation="single"),
}


class _KeyHead:
    """The operands of one key head and of the query heads that read it, quantized."""

    def __init__(self, queries, keys, values, variant):
        tiles, tokens = variant.tiles, keys.shape[0]
        self.variant, self.tokens = variant, tokens
        mean_rows = block_means(keys, variant.smooth_key_block) if "k" in variant.smooth else None
        self.key_correction = None
        if mean_rows is not None:
            if variant.smooth_key_block:
                # The mean of all keys is constant along a row of scores: only what the blocks differ by is added.
                self.key_correction = queries @ (mean_rows - token_means(keys)).T
            keys = keys - expand(mean_rows, variant.smooth_key_block, tokens)
        self.score_correction = None
        if "q" in variant.smooth:
            means = block_means(queries, tiles.query_block)
            self.score_correction = means @ keys.T
            queries = queries - expand(means, tiles.query_block, queries.shape[1])
        if variant.smoothquant:
            factors = smoothquant_factors(queries, keys)
            queries, keys = queries * factors, keys / factors
        if variant.rotate == "hadamard":
            queries, keys = hadamard(queries, False), hadamard(keys, True)
        groups = [group_of_tokens(variant.granularity, tiles, n, is_key)
                  for n, is_key in ((queries.shape[1], False), (tokens, True))]
        self.queries, self.query_scales = quantize_scores(queries, variant.qk, groups[0], variant.scales, variant.query_fraction)
        keys, key_scales = quantize_scores(keys[None], variant.qk, groups[1], variant.scales, variant.key_fraction)
        self.keys, self.key_scales = keys[0], key_scales[0]
        self._quantize_values(values)

    def _quantize_values(self, values):
        variant = self.variant
        defaults = value_range(variant.pv, variant.inner)
        self.probability_range, limit = variant.probability_range or defaults[0], variant.value_range or defaults[1]
        self.value_mean = token_means(values) if "v" in variant.smooth else None
        centred = values if self.value_mean is None else values - self.value_mean
        rounded, self.value_scales = quantize_values(centred, variant.pv, limit, variant.value_scales == "channel")
        padded = -(-self.tokens // variant.tiles.key_tile) * variant.tiles.key_tile
        # A column of ones sums the rows of the quantized P (Spec N11).
        self.values = np.zeros((padded, values.shape[1] + (variant.row_sum == "quantized")), np.float32)
        self.values[:self.tokens, :values.shape[1]] = rounded
        self.values[:self.tokens, values.shape[1]:] = 1

    def logits(self, head, rows, keys, scale):
        """N8 for a slice of queries, and the leading keys."""
        scale_log2e = np.float32(float(np.float32(scale)) * _LOG2E)
        x = self.queries[head, rows] @ self.keys[:keys].T
        x *= (self.query_scales[head, rows] * scale_log2e)[:, None] * self.key_scales[:keys]
        if self.score_correction is not None:
            block = rows.start // self.variant.tiles.query_block
            x += self.score_correction[head, block, :keys] * scale_log2e
        if self.key_correction is not None:
            correction = self.key_correction[head, rows] * scale_log2e
            x += expand(correction.T, self.variant.smooth_key_block, self.tokens)[:keys].T
        return x

    def attend(self, head, rows, visible, scale):
        """N9 to N12: O of a slice of queries; `visible` is the number of leading keys that each row sees, or None."""
        variant, tile = self.variant, self.variant.tiles.key_tile
        keys = self.tokens if visible is None else int(max(visible.max(), 0))
        if keys == 0:
            return np.zeros((rows.stop - rows.start, self.value_scales.shape[0]), np.float32)
        tiles = -(-keys // tile)
        x = np.full((rows.stop - rows.start, tiles * tile), -np.inf, np.float32)
        x[:, :keys] = self.logits(head, rows, keys, scale)
        if visible is not None:
            x[:, :keys][np.arange(keys) >= visible[:, None]] = -np.inf
        x = x.reshape(-1, tiles, tile)[:, ::-1]
        largest = x.max(axis=2)
        running = np.maximum.accumulate(largest, axis=1)
        shown = np.where(np.isneginf(running), np.float32(0), running)
        before = np.concatenate((np.full_like(running[:, :1], -np.inf), running[:, :-1]), axis=1)
        rescale = np.exp2(before - shown)
        p = np.exp2(x + (np.float32(np.log2(self.probability_range)) - shown)[..., None])
        p[p < np.float32(2.0**-126)] = 0
        factors = None
        if variant.probability_scale == "tile":
            highest = p.max(axis=2)
            highest[highest == 0] = self.probability_range
            factors = highest / np.float32(self.probability_range)
        rounded = round_to(p if factors is None else p / factors[..., None], variant.pv)
        visited = ((rounded[:, t], self.values[(tiles - 1 - t) * tile:(tiles - t) * tile],
                    None if factors is None else factors[:, t]) for t in range(tiles))
        total = accumulate(visited, rescale, variant, tile)
        return self._output(total, p, rescale)

    def _output(self, total, p, rescale):
        dims = self.value_scales.shape[0]
        if self.variant.row_sum == "quantized":
            sums = total[:, dims]
        else:
            sums, in_tiles = np.zeros_like(total[:, 0]), p.sum(axis=2)
            for t in range(p.shape[1]):
                sums = sums * rescale[:, t] + in_tiles[:, t]
        inverse = np.float32(1) / np.where(sums == 0, np.float32(1), sums)
        output = total[:, :dims] * inverse[:, None] * self.value_scales
        if self.value_mean is not None:
            output += np.where(sums == 0, np.float32(0), np.float32(1))[:, None] * self.value_mean
        return output


def visible_keys(rows, queries, keys, causal):
    """N13, bottom-right alignment: the leading keys that each of the rows sees; None is all."""
    return np.arange(rows.start, rows.stop) + (keys - queries + 1) if causal else None


def attention(query, key, value, variant, causal=False, scale=None, query_blocks=None):
    """softmax(scale · Q · Kᵀ) · V in a variant, float32 [batch, query heads, queries, head dim of V].

    query, key, value: [batch, heads, tokens, head dim], or without a batch; 16-bit numbers, as any floats. Key heads divide
    the query heads.
    causal: aligned bottom-right. query_blocks: the indices of the query blocks to compute; O has their rows only.
    """
    arrays = [np.asarray(array) for array in (query, key, value)]
    if arrays[0].ndim not in (3, 4) or len({array.ndim for array in arrays}) != 1:
        raise ValueError("query, key and value must be [batch, heads, tokens, head dim] or [heads, tokens, head dim], but "
                         f"have shapes {', '.join(str(array.shape) for array in arrays)}")
    q, k, v = (array.reshape(-1, *array.shape[-2:]).astype(np.float32) for array in arrays)
    if q.shape[0] % k.shape[0] or k.shape[:2] != v.shape[:2] or q.shape[2] != k.shape[2]:
        raise ValueError(f"heads, tokens or head dims disagree: {q.shape}, {k.shape}, {v.shape}")
    if k.shape[1] == 0:
        raise ValueError("there must be a key")
    scale = q.shape[2]**-0.5 if scale is None else scale
    group, queries = q.shape[0] // k.shape[0], q.shape[1]
    block = variant.tiles.query_block
    chosen = range(-(-queries // block)) if query_blocks is None else query_blocks
    spans = [slice(b * block, min((b + 1) * block, queries)) for b in chosen]
    parts = []
    for head in range(k.shape[0]):
        operands = _KeyHead(q[head * group:(head + 1) * group], k[head], v[head], variant)
        for member in range(group):
            blocks = [operands.attend(member, rows, visible_keys(rows, queries, k.shape[1], causal), scale)
                      for rows in spans]
            parts.append(np.concatenate(blocks) if blocks else np.zeros((0, v.shape[2]), np.float32))
    return np.stack(parts).reshape(*arrays[0].shape[:-2], -1, v.shape[2])
