"""What the tests share: float64 attention, random inputs, and a CUDA device that is none."""
import numpy as np
import pytest


def exact(query, key, value, *, scale=None, causal=None, bias=None, hidden=None):
    """Attention in float64 on [B, H, N, D]; causal is an alignment, hidden a boolean array. Returns O and the LSE."""
    q, k, v = (x.astype(np.float64) for x in (query, key, value))
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scores = np.einsum("bhid,bhjd->bhij", q, k) * (q.shape[3] ** -0.5 if scale is None else scale)
    i, j = np.arange(q.shape[2])[:, None], np.arange(k.shape[2])[None]
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = np.where(j <= i + (k.shape[2] - q.shape[2] if causal == "bottom-right" else 0), scores, -np.inf)
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    with np.errstate(all="ignore"):
        top = scores.max(-1, keepdims=True, initial=-np.inf)
        p = np.exp(scores - np.where(np.isfinite(top), top, 0))
        total = p.sum(-1, keepdims=True)
        lse = np.log(total[..., 0]) + np.where(np.isfinite(top), top, 0)[..., 0]
        return np.where(total > 0, p @ v / np.where(total > 0, total, 1), 0), lse


def relative_l1(got, wanted):
    return np.abs(got.astype(np.float64) - wanted).sum() / max(np.abs(wanted).sum(), 1e-12)


#: Bound of the relative L1 error on N(0,1), by recipe.
BOUNDS = {"sage2-8b": 0.06, "sage2-4b": 0.35, "sage2pp": 0.06, "sage1": 0.03, "sage-8b": 0.06, "sage-4b": 0.3, "f16": 0.002}


@pytest.fixture
def inputs():
    def make(batch=2, heads=4, key_heads=2, queries=70, keys=90, dim=64, value_dim=None, seed=0):
        random = np.random.default_rng(seed)
        draw = lambda h, n, d: random.standard_normal((batch, h, n, d)).astype(np.float16)
        return draw(heads, queries, dim), draw(key_heads, keys, dim), draw(key_heads, keys, value_dim or dim)
    return make
