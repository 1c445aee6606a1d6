"""Rounding of float32 arrays to narrower floats, to nearest even: the value that the format holds, as float32."""
import numpy as np

#: Largest finite number of the format.
E4M3_MAX, E5M2_MAX = 448.0, 57344.0
#: Bits behind the leading one, exponent of the least normal number, largest finite number.
_FORMATS = {"e4m3": (3, -6, E4M3_MAX), "e5m2": (2, -14, E5M2_MAX), "f16": (10, -14, 65504.0)}
#: Integers: the largest magnitude.
INTEGER_RANGES = {"int8": 127, "int4": 7, "uint8": 255}


def round_to(values, name):
    """Values of the format `name`. 8-bit floats saturate (Spec N5), f16 overflows to infinity (Spec P2); integers saturate.

    Adding 1.5·2^(e + 23 - m) leaves m bits behind the leading one of a number with the exponent e: the float adder itself
    rounds to nearest even. NaN stays NaN.
    """
    values = np.ascontiguousarray(values, np.float32)
    if name in INTEGER_RANGES:
        limit = np.float32(INTEGER_RANGES[name])
        return np.clip(np.rint(values), -limit if name != "uint8" else np.float32(0), limit)
    mantissa, least, largest = _FORMATS[name]
    shift = (values.view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    np.maximum(shift, np.float32(2.0**least), out=shift)
    shift *= np.float32(1.5 * 2.0**(23 - mantissa))
    with np.errstate(invalid="ignore"):
        rounded = values + shift
        rounded -= shift
    if name != "f16":
        return np.clip(rounded, -np.float32(largest), np.float32(largest), out=rounded)
    rounded[np.abs(rounded) > largest] *= np.inf
    return rounded


def truncate_bits(values, kept):
    """`values` with `kept` bits behind the leading one; the others are dropped, as tensor cores do."""
    mask = np.uint32(0xFFFFFFFF << (23 - kept) & 0xFFFFFFFF)
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) & mask).view(np.float32)
