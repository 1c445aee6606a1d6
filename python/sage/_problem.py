"""What one attention asks for: checked arguments, without tensors."""
import math
from typing import NamedTuple, Optional, Tuple

from . import _library as c
from .errors import ArgumentTypeError, InvalidArgumentError, choice, describe

ALIGNMENTS = ("top-left", "bottom-right")
LAYOUTS = ("HND", "NHD")
RECIPES = ("auto",) + c.RECIPES
#: Spec C16.
WINDOW_LIMIT = 1 << 30


class Mask(NamedTuple):
    """Everything that hides keys or changes scores and is fixed when an artifact is compiled."""
    kind: str = "none"  # of _library.MASKS
    left: Optional[int] = None
    right: Optional[int] = None
    sink_tokens: int = 0
    softcap: float = 0.0
    bias: Optional[str] = None  # element type
    key_lengths: bool = False
    sinks: bool = False
    packed: bool = False

    def describe(self):
        parts = [] if self.kind == "none" else [self.kind]
        parts += [f"{name} = {value}" for name, value in (("left", self.left), ("right", self.right)) if value is not None]
        parts += [f"{name} = {value}" for name, value in (("sink_tokens", self.sink_tokens), ("softcap", self.softcap)) if value]
        parts += [f"bias of {self.bias}"] if self.bias else []
        parts += [name for name in ("key_lengths", "sinks", "packed") if getattr(self, name)]
        return ", ".join(parts) or "no mask"


def integer(name, value, low, high):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"{name} must be an integer, but got {describe(value)}")
    value = value.__index__()
    if not low <= value <= high:
        raise InvalidArgumentError(f"{name} must be {low} to {high}, but got {value}")
    return value


def flag(name, value):
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be True or False, but got {describe(value)}")
    return value


def number(name, value, low=0.0, high=math.inf, none=None):
    """A positive float32 number (the kernels take no other)."""
    if value is None:
        return none
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ArgumentTypeError(f"{name} must be a number, but got {describe(value)}")
    value = float(value)
    if not (max(low, 1.5e-45) <= value <= min(high, 3.4e38)):
        raise InvalidArgumentError(f"{name} must be finite and positive"
                                   + (f", {low:g} to {high:g}" if high < math.inf else "") + f", but got {value}")
    return value


def mask_of(causal=False, alignment="bottom-right", window=None, sink_tokens=0, softcap=None, bias=None,
            key_lengths=False, sinks=False, packed=False):
    """Checks the arguments of `sage.attention` that make the mask; `bias` is an element type or None."""
    flag("causal", causal)
    corner = choice("alignment", alignment, ALIGNMENTS).replace("-", "_")
    left = right = None
    if window is not None:
        if not isinstance(window, (tuple, list)) or len(window) != 2:
            raise ArgumentTypeError(f"window must be a pair (left, right) of integers or None, but got {describe(window)}")
        left, right = (None if bound is None else integer(f"window[{i}]", bound, 0, WINDOW_LIMIT)
                       for i, bound in enumerate(window))
        if causal and right not in (None, 0):
            raise InvalidArgumentError(f"window[1] must be None or 0 with causal=True, but got {right}")
    sink_tokens = integer("sink_tokens", sink_tokens, 0, WINDOW_LIMIT)
    if sink_tokens and left is None:
        raise InvalidArgumentError(f"sink_tokens must be 0 without a left window bound, but got {sink_tokens}",
                                   "give window=(left, …): only a left bound hides leading keys")
    if causal:
        kind, right = f"causal_{corner}", None
    elif left is None and right is None:
        kind = "none"
    else:
        kind = f"window_{corner}"
    softcap = number("softcap", softcap, 2.0**-64, 2.0**64, none=0.0)
    return Mask(kind, left, right, sink_tokens, softcap, bias, key_lengths, sinks, packed)


def scale_of(scale, head_dim):
    """The softmax scale as a float; None is 1/√head_dim."""
    return number("scale", scale, none=1.0 / math.sqrt(head_dim))


def check_heads(query_heads, key_heads):
    if (key_heads == 0 and query_heads) or (key_heads and query_heads % key_heads):
        raise InvalidArgumentError(f"query heads must be a multiple of key heads, but got {query_heads} and {key_heads}")


def check_shapes(query, key, value):
    """Logical extents B, H, N, D of Q, K and V; returns those of O."""
    for name, got in (("key", key), ("value", value)):
        if got[0] != query[0]:
            raise InvalidArgumentError(f"{name} must have the query's batch, {query[0]}, but has {got[0]}")
    if key[1:3] != value[1:3]:
        raise InvalidArgumentError(f"key and value must have the same heads and tokens, but have {key[1:3]} and {value[1:3]}")
    if key[3] != query[3]:
        raise InvalidArgumentError(f"key must have the query's head dim, {query[3]}, but has {key[3]}")
    for name, got in (("query", query), ("value", value)):
        if got[3] < 1:
            raise InvalidArgumentError(f"{name} must have a head dim of at least 1, but has {got[3]}")
    check_heads(query[1], key[1])
    return (query[0], query[1], query[2], value[3])


def fill_problem(problem, head_dim, value_head_dim, dtype, mask):
    """A sage_problem for the CPU reference."""
    problem.head_dim, problem.value_head_dim = head_dim, value_head_dim
    problem.element_type = c.ELEMENTS.index(dtype)
    problem.mask = c.MASKS.index(mask.kind)
    problem.has_window_left, problem.window_left = mask.left is not None, mask.left or 0
    problem.has_window_right, problem.window_right = mask.right is not None, mask.right or 0
    problem.sink_tokens, problem.softcap = mask.sink_tokens, mask.softcap
    problem.has_bias, problem.bias_type = mask.bias is not None, c.ELEMENTS.index(mask.bias) if mask.bias else 0
    problem.key_lengths, problem.sinks, problem.packed = mask.key_lengths, mask.sinks, mask.packed
    problem.lse = 1


def offsets_pair(query_offsets, key_offsets) -> Tuple[bool, bool]:
    if (query_offsets is None) != (key_offsets is None):
        missing = "key_offsets" if key_offsets is None else "query_offsets"
        raise InvalidArgumentError(f"query_offsets and key_offsets must be given together, but {missing} is None")
    return query_offsets is not None
