"""Means over the tokens of texts, with the error of sampling: which tokens happened to be looked at."""
import math

import numpy as np

#: Tokens that are taken as one observation: neighbours have errors in common, blocks as long as this hardly do.
BLOCK = 256


def block_means(values, block=BLOCK):
    """Means of nearly equal parts of about `block` values."""
    return np.array([part.mean() for part in np.array_split(np.asarray(values, np.float64), max(1, round(len(values) / block)))])


def estimate(passages, block=BLOCK):
    """The mean of all values and its standard error, None where one block is all there is.

    passages: one array of values per passage.
    """
    mean = float(np.concatenate([np.asarray(values, np.float64) for values in passages]).mean())
    blocks = np.concatenate([block_means(values, block) for values in passages])
    return mean, float(blocks.std(ddof=1) / math.sqrt(len(blocks))) if len(blocks) > 1 else None


def ratio(passages, block=BLOCK):
    """exp(mean) - 1 and its standard error, from differences of logarithms."""
    mean, error = estimate(passages, block)
    return math.expm1(mean), None if error is None else math.exp(mean) * error
