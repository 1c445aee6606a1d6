"""The studies of docs/Accuracy.md as data: what is varied, and on which inputs."""
from typing import NamedTuple, Tuple

from .variants import RECIPES, Variant

SYNTHETIC = ("normal", "outliers", "channel-bias")
SEEDS = 5
#: Spans of rows (inputs.SPAN) that are measured of a passage of so many tokens, and of the synthetic inputs' 4096.
SPANS = {2048: (1, 4), 8192: (20,)}
SYNTHETIC_SPANS = (5,)
SYNTHETIC_SHAPE = {"heads": 2, "keys": 4096, "dim": 128}
#: Key lengths of the accumulation study, and its inputs.
LENGTHS = (1024, 4096, 16384, 65536, 131072)
LONG = ("normal", "value-bias", "needle")
LONG_SEEDS = 3
#: Inputs that are measured against the same P and V, too.
ACCUMULATORS = ("long", "activations-last")
LONG_SHAPE = {"heads": 1, "queries": 16, "dim": 64}
#: On captured activations: the last queries of the passages of 8192 tokens.
LAST_QUERIES = 16


class Row(NamedTuple):
    labels: dict
    variant: Variant


class Study(NamedTuple):
    title: str
    columns: Tuple[str, ...]
    rows: Tuple[Row, ...]
    #: Kinds of inputs: names of SYNTHETIC, "activations" (of 2048 tokens), "activations-8k", and for accumulators "long" and
    #: "activations-last".
    sources: Tuple[str, ...] = SYNTHETIC + ("activations",)


_SCORES = {"INT4": "int4", "INT8": "int8", "E4M3": "e4m3"}
_SMOOTHING = {
    "none": {"smooth": ""}, "K": {"smooth": "k"}, "Q": {"smooth": "q"}, "Q + K": {"smooth": "qk"}, "V": {"smooth": "v"},
    "Hadamard": {"smooth": "", "rotate": "hadamard"}, "SmoothQuant": {"smooth": "", "smoothquant": True},
    "K, Hadamard": {"smooth": "k", "rotate": "hadamard"}, "K, SmoothQuant": {"smooth": "k", "smoothquant": True},
    "Q + K, Hadamard": {"smooth": "qk", "rotate": "hadamard"},
}
#: What each type of Q and K is smoothed with where that is not varied: sage2-4b's and sage2-8b's choice.
_USUAL = {"INT4": {"qk": "int4", "smooth": "qk"}, "INT8": {"qk": "int8", "smooth": "k"}}
_SIXTEEN = {"pv": "f16", "accumulation": "single", "row_sum": "float"}
_FLOAT_SUMS = Variant(row_sum="float")
_VALUES = {
    "INT8": {"pv": "int8"}, "INT8, a scale a row and tile": {"pv": "int8", "probability_scale": "tile"},
    "UINT8, a scale a row and tile": {"pv": "uint8", "probability_scale": "tile"}, "E5M2": {"pv": "e5m2"}, "E4M3": {},
    "E4M3, a scale a row and tile": {"probability_scale": "tile"}, "E4M3, smooth V": {"smooth_v": True}, "FP16": _SIXTEEN,
}
_SUMMED = {"E4M3": {}, "E5M2": {"pv": "e5m2"}, "INT8": {"pv": "int8"}}


def _with_values(base, changes):
    changes = dict(changes)
    smooth = base.smooth + ("v" if changes.pop("smooth_v", False) else "")
    return base.but(smooth=smooth, **changes)


def _values_for(qk):
    """P and V in 16 bits show what is lost in Q and K; INT4's part is large enough to be seen without."""
    return (("E4M3", {}),) if qk == "INT4" else (("E4M3", {}), ("FP16", _SIXTEEN))


def _smoothing():
    return tuple(Row({"Q, K": qk, "smoothed": smoothing, "P, V": pv}, _FLOAT_SUMS.but(qk=_SCORES[qk], **changes, **values))
                 for qk in _SCORES for smoothing, changes in _SMOOTHING.items()
                 for pv, values in _values_for(qk))


def _granularity():
    return tuple(Row({"Q, K": qk, "scales": granularity, "P, V": pv},
                     _FLOAT_SUMS.but(granularity=granularity, **usual, **values))
                 for qk, usual in _USUAL.items() for granularity in ("token", "thread", "warp", "block", "tensor")
                 for pv, values in _values_for(qk))


def _values():
    return tuple(Row({"Q, K": qk, "P, V": pv}, _with_values(_FLOAT_SUMS.but(**usual), changes))
                 for qk, usual in _USUAL.items() for pv, changes in _VALUES.items())


def _row_sums():
    return tuple(Row({"P, V": pv, "row sums of": text}, Variant(row_sum=row_sum, **changes))
                 for pv, changes in _SUMMED.items() for text, row_sum in (("P in float32", "float"), ("P in 8 bits", "quantized")))


def _accumulation():
    bits = _FLOAT_SUMS.but(accumulator_bits=22)
    tile = bits.tiles.key_tile
    f16 = {"inner": "f16", "accumulator_bits": 32, "interval": 64}
    choices = {
        "one level": {"accumulation": "single"}, "two levels, every 4 tiles": {"interval": 4 * tile},
        "two levels, every 2 tiles": {"interval": 2 * tile}, "two levels, every tile": {},
        "two levels, every 32 keys": {"interval": 32}, "two levels, FP16 inside, every 64 keys": f16,
        "one level, smooth V": {"accumulation": "single", "smooth": "kv"},
        "two levels, every tile, quantized row sums": {"row_sum": "quantized"},
    }
    return tuple(Row({"accumulation": text}, bits.but(**changes)) for text, changes in choices.items())


def _better():
    four, eight = RECIPES["sage2-4b"], RECIPES["sage2-8b"]
    rotated, blocks = four.but(rotate="hadamard"), four.but(smooth_key_block=128)
    both = rotated.but(smooth_key_block=128)
    clipped = {"query_fraction": 15 / 16, "key_fraction": 3 / 4}
    choices = {
        "`sage2-4b`": four, "MSE scales": four.but(scales="mse"), "clipped scales": four.but(**clipped), "Hadamard": rotated,
        "Hadamard, MSE scales": rotated.but(scales="mse"), "`sage-4b`: Hadamard, clipped scales": RECIPES["sage-4b"],
        "K smoothed by 128 keys": blocks, "K smoothed by 128 keys, Hadamard": both,
        "K smoothed by 128 keys, Hadamard, MSE scales": both.but(scales="mse"),
        "K smoothed by 128 keys, Hadamard, clipped scales": both.but(**clipped),
        "Hadamard, UINT8 P": rotated.but(pv="uint8", probability_scale="tile"),
        "`sage2-8b`": eight, "`sage-8b`: Hadamard": RECIPES["sage-8b"],
        "INT8 P": eight.but(pv="int8", probability_scale="tile"), "UINT8 P": eight.but(pv="uint8", probability_scale="tile"),
        "Hadamard, UINT8 P, 8 bits": RECIPES["sage-8b"].but(pv="uint8", probability_scale="tile"),
    }
    return tuple(Row({"variant": text}, variant) for text, variant in choices.items())


def _recipes():
    shown = {**RECIPES, "sage2-4b, not smoothed": RECIPES["sage2-4b"].but(smooth="")}
    return tuple(Row({"recipe": name, "geometry": chip}, variant.but(geometry=chip))
                 for name, variant in shown.items() for chip in (("sm_90a", "sm_89") if name.startswith(("sage2-", "sage-")) else ("sm_90a",)))


STUDIES = {
    "recipes": Study("Recipes", ("recipe", "geometry"), _recipes(), SYNTHETIC + ("activations", "activations-8k")),
    "smoothing": Study("Smoothing", ("Q, K", "smoothed", "P, V"), _smoothing()),
    "granularity": Study("Granularity of scales", ("Q, K", "scales", "P, V"), _granularity()),
    "values": Study("Types of P and V", ("Q, K", "P, V"), _values()),
    "row-sums": Study("Row sums", ("P, V", "row sums of"), _row_sums()),
    "better": Study("Better than the paper", ("variant",), _better()),
    "accumulation": Study("Accumulation", ("accumulation",), _accumulation(), ACCUMULATORS),
}


def rounded_alike(variant):
    """The same numbers added in float32: what is left is the accumulator's error."""
    if variant.inner == "f16":
        return variant.but(inner="f32", interval=0, probability_range=224.0, value_range=4.5)
    return variant.but(accumulation="two_level", interval=0, accumulator_bits=32)
