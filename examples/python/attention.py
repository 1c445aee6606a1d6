"""Quantized attention on NumPy arrays, checked against float64.

    pip install build/wheel/dist/sage_mlir-*.whl numpy
    python examples/python/attention.py
"""
import numpy as np

import sage


def exact(query, key, value):
    """Causal attention in float64; the last query sees every key."""
    query, key, value = (array.astype(np.float64) for array in (query, key, value))
    scores = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[3])
    visible = np.tri(query.shape[2], key.shape[2], key.shape[2] - query.shape[2], dtype=bool)
    weights = np.exp(np.where(visible, scores - scores.max(-1, keepdims=True), -np.inf))
    return weights @ value / weights.sum(-1, keepdims=True)


def main():
    random = np.random.default_rng(0)
    query = random.standard_normal((1, 4, 300, 64)).astype(np.float16)  # batch, heads, tokens, head dim
    key, value = (random.standard_normal((1, 4, 500, 64)).astype(np.float16) for _ in range(2))
    wanted = exact(query, key, value)
    for recipe, bound in (("f16", 0.001), ("sage1", 0.03), ("sage2-8b", 0.06), ("sage2-4b", 0.35)):
        output = sage.attention(query, key, value, causal=True, recipe=recipe)
        error = np.abs(output - wanted).sum() / np.abs(wanted).sum()
        print(f"{recipe}: relative L1 {error:.4f}")
        assert error < bound
    try:
        sage.attention(query, key[..., :32], value)
    except sage.InvalidArgumentError as error:
        print(f"refused: {error}")
    print("checked")


if __name__ == "__main__":
    main()
