"""Attention on tensors: Sage's kernels, what PyTorch and cuDNN offer instead, and FP8 with a scale for each head."""
import math
from functools import partial

import torch
from torch.nn.functional import scaled_dot_product_attention

from . import torch_model
from .attentions import Attention, calibration_of, table_text
from .cudnn_fp8 import CudnnFp8
from .formats import E4M3_MAX

KERNELS = ("sage1", "sage2pp", "sage2-8b", "sage2-4b", "sage-8b", "sage-4b", "f16")
_KEY_TILE, _PROBABILITY_RANGE = 128, 256.0


def sage_attention(layer, query, key, value, recipe="auto", artifact=None):
    """The package `sage`: the GPU's kernels for tensors there, the CPU reference for others."""
    import sage
    arrays = (x[None].half() for x in (query, key, value))
    return sage.attention(*arrays, causal=True, recipe=recipe, artifact=artifact)[0].float()


def kernels(recipe, device):
    """A recipe by the kernels that the package carries."""
    import sage
    return Attention(recipe, partial(sage_attention, recipe=recipe), f"kernels of {recipe}, {sage.version()}, {device}")


def of_artifact(name, path, device):
    """By the kernels of a file of sage-compile."""
    import sage
    artifact = sage.Artifact.load(path)
    return Attention(name, partial(sage_attention, artifact=artifact), f"artifact {artifact.checksum}, {device}")


def of_table(name, path, device):
    """A recipe for each key head of each layer."""
    import sage
    table = sage.RecipeTable.load(path)

    def function(layer, query, key, value):
        return sage_attention(layer, query, key, value, list(table.layers[layer]))
    return Attention(name, function, f"kernels, {table_text(table)}, {sage.version()}, {device}", calibration_of(path))


def pytorch(name, backend, device):
    """PyTorch's attention in float16. Key heads are repeated: not every backend takes fewer."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    chosen = getattr(SDPBackend, backend)

    def function(layer, query, key, value):
        group = query.shape[0] // key.shape[0]
        query, key, value = (x[None].half() for x in (query, *(x.repeat_interleave(group, 0) for x in (key, value))))
        with sdpa_kernel(chosen):
            return scaled_dot_product_attention(query, key, value, is_causal=True)[0].float()
    return Attention(name, function, f"PyTorch {torch.__version__} {backend}, {device}")


def to_e4m3(x, largest):
    """(what a scale for each head makes of x [heads, tokens, D] in E4M3, the scales [heads, 1, 1])"""
    limit = x.abs().amax((1, 2), keepdim=True)
    limit[limit == 0] = largest
    return (x * (largest / limit)).to(torch.float8_e4m3fn), limit / largest


def fp8_head(layer, query, key, value, block=512):
    """The variant `fp8-head` of variants.py: E4M3 Q, K, V with one scale a head; P in E4M3 against the running maximum of
    key tiles, the last first; one level. O is rounded to float16, as a kernel stores it."""
    (q, q_scale), (k, k_scale), (v, v_scale) = (to_e4m3(x, E4M3_MAX) for x in (query, key, value))
    group, tokens, queries = query.shape[0] // key.shape[0], key.shape[1], query.shape[1]
    pad = (0, 0, 0, -tokens % _KEY_TILE)
    k, v = (torch.nn.functional.pad(x.float(), pad).repeat_interleave(group, 0) for x in (k, v))
    factor = q_scale * k_scale.repeat_interleave(group, 0) * (query.shape[2] ** -0.5 * math.log2(math.e))
    parts = []
    for start in range(0, queries, block):
        rows = q[:, start:start + block].float()
        first = tokens - queries + start
        end = -(-(first + rows.shape[1]) // _KEY_TILE) * _KEY_TILE
        x = rows @ k[:, :end].mT * factor
        x.masked_fill_(torch_model.hidden(x, first), -torch.inf)
        tiles = x.unflatten(2, (-1, _KEY_TILE))
        running = tiles.amax(3).flip(2).cummax(2).values.flip(2)
        shown = running.masked_fill(running == -torch.inf, 0)[..., None]
        p = (tiles - shown + math.log2(_PROBABILITY_RANGE)).exp2()
        rescaled = (running - running[..., :1]).exp2()[..., None]
        rounded = (p.to(torch.float8_e4m3fn).float() * rescaled).flatten(2)
        parts.append(rounded @ v[:, :end] / (p * rescaled).sum((2, 3))[..., None])
    return (torch.cat(parts, 1) * v_scale.repeat_interleave(group, 0)).half().float()


#: Name → maker, from what computes it; `exact` is what the others are compared with.
PEERS = {
    "exact": lambda device: Attention("exact", torch_model.exact, f"exact in float64, {device}"),
    "fp8-head": lambda device: Attention("fp8-head", fp8_head, f"fp8-head in PyTorch, {device}"),
    "pytorch-flash": lambda device: pytorch("pytorch-flash", "FLASH_ATTENTION", device),
    "pytorch-cudnn": lambda device: pytorch("pytorch-cudnn", "CUDNN_ATTENTION", device),
    "cudnn-fp8": lambda device: Attention("cudnn-fp8", CudnnFp8(), f"cuDNN's FP8, a scale a head, {device}"),
}


def names():
    return [*PEERS, *KERNELS]


def named(name, device):
    """An attention of PEERS, or a recipe by Sage's kernels. device: its name, a part of the identity."""
    if name in PEERS:
        return PEERS[name](device)
    if name in KERNELS:
        return kernels(name, device)
    raise ValueError(f"{name} is no attention on tensors; choose one of {', '.join(names())}, or name a file by --artifact "
                     "or --table")
