"""The key relations of docs/Accuracy.md on small inputs: what each technique buys, and what it does not.

A relation is asserted for every seed, by the ratio of two relative L1 errors: the bounds are about half as far from 1 as
the least ratio measured, or nearer.
"""
import functools

import numpy as np
import pytest

from evaluation import inputs
from evaluation.metrics import exact_attention, metrics_of, sums_of
from evaluation.studies import rounded_alike
from evaluation.variants import RECIPES, Variant, attention

SEEDS = 4
EIGHT, FOUR = Variant(row_sum="float"), Variant(qk="int4", smooth="qk", row_sum="float")
SIXTEEN = EIGHT.but(pv="f16", accumulation="single")
LONG = EIGHT.but(accumulator_bits=22)
SINGLE = LONG.but(accumulation="single")


@functools.lru_cache(None)
def data(kind, seed, keys=1024, queries=192):
    made = inputs.synthetic(kind, seed, heads=1, queries=queries, keys=keys, dim=64)
    return made, exact_attention(made.query, made.key, made.value, made.rows())


@functools.lru_cache(None)
def error(kind, seed, variant, keys=1024, queries=192, alike=False):
    made, wanted = data(kind, seed, keys, queries)
    got = attention(made.query, made.key, made.value, variant)
    if alike:
        wanted = attention(made.query, made.key, made.value, rounded_alike(variant))
    return float(metrics_of(sums_of(got, wanted).sum(axis=0))["relative_l1"])


def least_ratio(kind, worse, better, **options):
    return min(error(kind, seed, worse, **options) / error(kind, seed, better, **options) for seed in range(SEEDS))


@pytest.mark.parametrize("kind, worse, better, bound", [
    # Smoothing removes channels' biases; either half alone leaves the other operand's.
    ("channel-bias", FOUR.but(smooth=""), FOUR.but(smooth="q"), 1.2),
    ("channel-bias", FOUR.but(smooth=""), FOUR.but(smooth="k"), 1.3),
    ("channel-bias", FOUR.but(smooth="k"), FOUR, 1.3),
    ("channel-bias", FOUR.but(smooth="q"), FOUR, 1.5),
    ("channel-bias", FOUR.but(smooth="", rotate="hadamard"), FOUR, 1.2),
    ("channel-bias", FOUR.but(smooth="", smoothquant=True), FOUR, 1.2),
    ("channel-bias", EIGHT.but(smooth=""), EIGHT, 1.1),
    # Rotation spreads what single elements hold; it is no smoothing.
    ("outliers", FOUR, FOUR.but(rotate="hadamard"), 1.5),
    ("outliers", EIGHT, EIGHT.but(rotate="hadamard"), 1.1),
    # Finer scales.
    ("outliers", FOUR.but(granularity="block"), FOUR.but(granularity="warp"), 1.3),
    ("outliers", FOUR.but(granularity="warp"), FOUR, 1.2),
    ("outliers", FOUR, FOUR.but(granularity="token"), 1.1),
    ("normal", FOUR.but(granularity="tensor"), FOUR, 1.1),
    ("normal", FOUR, FOUR.but(granularity="token"), 1.05),
    # Scales for the least squared error: better where there are no outliers, worse where the outliers matter.
    ("normal", FOUR, FOUR.but(scales="mse"), 1.05),
    ("outliers", FOUR.but(scales="mse"), FOUR, 1.05),
    # Types of P and V: E4M3's rounding is most of the 8-bit recipe's error, 8-bit integers of P have less.
    ("normal", EIGHT.but(pv="e5m2"), EIGHT, 1.3),
    ("normal", EIGHT, SIXTEEN, 1.5),
    ("normal", EIGHT, EIGHT.but(pv="int8"), 1.2),
    ("normal", EIGHT.but(pv="int8"), EIGHT.but(pv="int8", probability_scale="tile"), 1.05),
    ("normal", EIGHT.but(pv="int8", probability_scale="tile"), EIGHT.but(pv="uint8", probability_scale="tile"), 1.1),
    # Recipes.
    ("normal", RECIPES["sage1"], RECIPES["f16"], 5),
    ("normal", RECIPES["sage2-8b"], RECIPES["sage1"], 1.5),
    ("normal", RECIPES["sage2-4b"], RECIPES["sage2-8b"], 2),
    ("normal", RECIPES["fp8-head"], RECIPES["sage2-8b"], 1.1),
    ("channel-bias", RECIPES["fp8-head"], RECIPES["sage2-8b"], 1.2),
    ("outliers", RECIPES["fp8-head"], RECIPES["sage2-8b"], 1.2),
])
def test_worse_than(kind, worse, better, bound):
    assert least_ratio(kind, worse, better) > bound


@pytest.mark.parametrize("kind, one, other", [
    # Nothing to smooth, nothing to rotate.
    ("normal", FOUR, FOUR.but(smooth="")), ("normal", FOUR, FOUR.but(rotate="hadamard")),
    # Row sums of P8 cost nothing; nor does the FP16 inner accumulator.
    ("normal", EIGHT, EIGHT.but(row_sum="quantized")), ("normal", RECIPES["sage2-8b"], RECIPES["sage2pp"]),
    # The chips' tiles and groups differ, the errors do not.
    ("normal", RECIPES["sage2-8b"], RECIPES["sage2-8b"].but(geometry="sm_89")),
])
def test_alike(kind, one, other):
    """Within 6 %; seeds differ by 2 %."""
    ratios = [error(kind, seed, one) / error(kind, seed, other) for seed in range(SEEDS)]
    assert 0.94 < np.mean(ratios) < 1.06


@pytest.mark.parametrize("worse, better, bound", [
    (SINGLE, LONG.but(interval=512), 1.5), (LONG.but(interval=512), LONG.but(interval=256), 1.1),
    (LONG.but(interval=256), LONG, 1.1), (LONG, LONG.but(interval=32), 1.2)])
def test_second_level(worse, better, bound):
    """The error of the accumulator alone: 22 bits against float32 sums of the same P8 and V8."""
    assert least_ratio("normal", worse, better, keys=4096, queries=4, alike=True) > bound


def test_one_level_loses_with_the_length():
    of = lambda variant, keys: np.mean([error("normal", seed, variant, keys=keys, queries=4, alike=True) for seed in range(2)])
    assert of(SINGLE, 8192) > 2 * of(SINGLE, 1024)
    assert of(LONG, 8192) < 1.3 * of(LONG, 1024)


@pytest.mark.parametrize("worse, better, bound", [
    # A bias of V makes sums large, of which 22 bits cut off much; what two levels leave is E4M3's rounding of biased values.
    (SINGLE, LONG, 2), (LONG, LONG.but(smooth="kv"), 3), (SINGLE, SINGLE.but(smooth="kv"), 20)])
def test_smooth_v(worse, better, bound):
    assert least_ratio("value-bias", worse, better, keys=4096, queries=4) > bound
