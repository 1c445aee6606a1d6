"""The sum of P·V over key tiles, docs/Spec.md N10 and N11, with models of the accumulators of tensor cores."""
import numpy as np

from .formats import round_to, truncate_bits

#: k of the 8-bit matrix instructions: what is added at once.
_STEP_KEYS = 32
_KEPT_BITS = 13


def _add_float32(total, p, values):
    return total + p @ values


def _add_float16(total, p, values):
    for first in range(0, p.shape[1], _STEP_KEYS):
        step = slice(first, first + _STEP_KEYS)
        total = round_to(total + p[:, step] @ values[step], "f16")
    return total


def _step_22_bits(total, p, values):
    """All addends are aligned to the largest, cut off to 13 bits behind its leading one, and added; so is the sum."""
    products = p[:, :, None] * values[None]
    largest = np.maximum(np.abs(products).max(axis=1), np.abs(total))
    exponents = (largest.view(np.uint32) >> 23).astype(np.int32)
    shift = np.clip(254 + _KEPT_BITS - exponents, 1, 253)
    to_integer = (shift.astype(np.uint32) << 23).view(np.float32)
    to_float = ((254 - shift).astype(np.uint32) << 23).view(np.float32)
    products *= to_integer[:, None]
    np.trunc(products, out=products)
    # Up to 33 integers below 2^14: their sum is exact in float32.
    sums = products.sum(axis=1) + np.trunc(total * to_integer)
    return truncate_bits(sums * to_float, _KEPT_BITS)


def _add_22_bits(total, p, values):
    for first in range(0, p.shape[1], _STEP_KEYS):
        step = slice(first, first + _STEP_KEYS)
        # A step of zeros changes nothing.
        if p[:, step].any():
            total = _step_22_bits(total, p[:, step], values[step])
    return total


def _fused(total, factor, addend):
    """fma(total, factor, addend) but for one rounding in 2^29."""
    return (total.astype(np.float64) * factor[:, None] + addend).astype(np.float32)


def accumulate(tiles, rescale, variant, key_tile):
    """Σ P8·V8 over tiles in the order in which they are visited.

    tiles: pairs of P8 [rows, keys] and V8 [keys, columns], and None or the factor [rows] that turns the tile's sum into the
    units of the others; rescale: [rows, tiles], α of each tile.
    """
    add = _add_float16 if variant.inner == "f16" else _add_22_bits if variant.accumulator_bits == 22 else _add_float32
    interval = variant.interval or key_tile
    total = inner = None
    pending = 0
    for t, (p, values, factor) in enumerate(tiles):
        alpha = rescale[:, t]
        if total is None:
            total = np.zeros((p.shape[0], values.shape[1]), np.float32)
            inner, outer_alpha = np.zeros_like(total), np.ones_like(alpha)
        if variant.accumulation == "single":
            total = add(total * alpha[:, None], p, values)
            continue
        if interval <= key_tile:
            for first in range(0, key_tile, interval):
                panel = slice(first, first + interval)
                part = add(np.zeros_like(total), p[:, panel], values[panel])
                if factor is not None:
                    part *= factor[:, None]
                total = _fused(total, alpha if first == 0 else np.ones_like(alpha), part)
            continue
        # Promotion after several tiles: the inner accumulator follows the running maximum.
        inner = add(inner * alpha[:, None], p, values)
        outer_alpha = outer_alpha * alpha
        pending += key_tile
        if pending >= interval:
            total, inner, pending = _fused(total, outer_alpha, inner), np.zeros_like(total), 0
            outer_alpha = np.ones_like(alpha)
    return _fused(total, outer_alpha, inner) if pending else total
