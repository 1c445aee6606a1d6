"""PyTorch's and SageAttention's signatures over `sage::attention`."""
import math

import torch
from torch.autograd import forward_ad

from .. import _problem
from ..errors import ArgumentTypeError, InvalidArgumentError, UnsupportedError, choice, describe
from . import _plans
from ._ops import attend, plan_for

HEAD_DIM_LIMIT = 256
_HALF = (torch.float16, torch.bfloat16)
_torch_attention = torch.nn.functional.scaled_dot_product_attention


def _is_dense(tensor):
    """Asked before shapes and strides: nested and sparse tensors raise PyTorch's own errors there."""
    return tensor.layout == torch.strided and not tensor.is_nested


def _not_dense(name, tensor):
    return UnsupportedError(f"{name} must be a dense tensor, but is {'nested' if tensor.is_nested else tensor.layout}")


def _check_tensors(query, key, value):
    """None, or the error: what all functions ask of Q, K and V."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not isinstance(tensor, torch.Tensor):
            return ArgumentTypeError(f"{name} must be a torch.Tensor, but got {describe(tensor)}")
        if tensor.dtype not in _HALF or tensor.dtype != query.dtype:
            wanted = "torch.float16 or torch.bfloat16" if name == "query" else f"the query's, {query.dtype}"
            return UnsupportedError(f"{name}.dtype must be {wanted}, but is {tensor.dtype}", "cast the tensors")
        if not _is_dense(tensor):
            return _not_dense(name, tensor)
        if tensor.device != query.device or tensor.device.type not in ("cpu", "cuda"):
            wanted = "a CPU or CUDA device" if name == "query" else f"the query's, {query.device}"
            return UnsupportedError(f"{name}.device must be {wanted}, but is {tensor.device}")
        if tensor.requires_grad and torch.is_grad_enabled():
            return UnsupportedError(f"{name} must not require a gradient: there is no backward pass",
                                    "use torch.no_grad() or torch.inference_mode()")
        if forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None:
            return UnsupportedError(f"{name} must not have a tangent: there is no forward-mode derivative",
                                    "call it outside of torch.autograd.forward_ad")
        if tensor.shape[-1] > HEAD_DIM_LIMIT or tensor.shape[-1] < 1:
            return UnsupportedError(f"{name}'s head dim must be 1 to {HEAD_DIM_LIMIT}, but is {tensor.shape[-1]}")
    return None


def _check_scale(name, scale):
    if scale is None:
        return None
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        return ArgumentTypeError(f"{name} must be a number or None, but got {describe(scale)}")
    if not 1.5e-45 <= scale <= 3.4e38:
        return UnsupportedError(f"{name} must be finite and positive, but is {scale}")
    return None


def _check_heads(query, key, value, grouped):
    for axis, what in ((-2, "tokens"), (-3, "heads")):
        if key.dim() >= -axis and key.shape[axis] != value.shape[axis]:
            return InvalidArgumentError(f"key and value must have the same {what}, but have {key.shape[axis]} and "
                                        f"{value.shape[axis]}")
    if query.shape[-1] != key.shape[-1]:
        return InvalidArgumentError(f"key must have the query's head dim, {query.shape[-1]}, but has {key.shape[-1]}")
    heads, key_heads = (query.shape[-3], key.shape[-3]) if query.dim() > 2 else (1, 1)
    if grouped and (key_heads == 0 or heads % key_heads):
        return InvalidArgumentError("query heads must be a multiple of key heads with enable_gqa=True, but got "
                                    f"{heads} and {key_heads}")
    if not grouped and key_heads not in (heads, 1) and heads != 1:
        return InvalidArgumentError(f"query and key must have the same heads, but have {heads} and {key_heads}",
                                    "pass enable_gqa=True if query heads share key heads")
    return None


def _check_mask(query, key, mask, is_causal):
    if mask is None:
        return None
    if not isinstance(mask, torch.Tensor):
        return ArgumentTypeError(f"attn_mask must be a torch.Tensor or None, but got {describe(mask)}")
    if not _is_dense(mask):
        return _not_dense("attn_mask", mask)
    if is_causal:
        return InvalidArgumentError("attn_mask must be None with is_causal=True")
    if mask.dtype not in (torch.bool, torch.float32, query.dtype):
        return InvalidArgumentError(f"attn_mask.dtype must be bool, float32 or the query's, {query.dtype}, but is {mask.dtype}")
    if mask.device != query.device:
        return InvalidArgumentError(f"attn_mask.device must be the query's, {query.device}, but is {mask.device}")
    if mask.requires_grad and torch.is_grad_enabled():
        return UnsupportedError("attn_mask must not require a gradient: there is no backward pass", "use torch.no_grad()")
    lead = [k if q == 1 else q for q, k in zip(query.shape[:-2], key.shape[:-2])]
    scores = (*lead, query.shape[-2], key.shape[-2])
    if mask.dim() > len(scores) or any(
            got not in (1, full) for got, full in zip(reversed(mask.shape), reversed(scores))):
        return InvalidArgumentError(f"attn_mask must broadcast to {list(scores)}, but has shape {list(mask.shape)}")
    return None


def _check(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa):
    """The error that a call is worth, or None."""
    error = _check_tensors(query, key, value)
    if error is not None:
        return error
    if dropout_p != 0.0:
        return UnsupportedError(f"dropout_p must be 0, but is {dropout_p}", "call model.eval()")
    for name, flag in (("is_causal", is_causal), ("enable_gqa", enable_gqa)):
        if not isinstance(flag, bool):
            return ArgumentTypeError(f"{name} must be True or False, but got {describe(flag)}")
    if min(query.dim(), key.dim(), value.dim()) < 2 or not query.dim() == key.dim() == value.dim():
        return InvalidArgumentError("query, key and value must have the same number of dimensions, at least 2, but have "
                                    f"{query.dim()}, {key.dim()} and {value.dim()}")
    for axis in range(query.dim() - 3):
        extents = [tensor.shape[axis] for tensor in (query, key, value) if tensor.shape[axis] != 1]
        if any(extent != extents[0] for extent in extents):
            return InvalidArgumentError(f"dimension {axis} of query, key and value must be the same or 1, but is "
                                        f"{query.shape[axis]}, {key.shape[axis]} and {value.shape[axis]}")
    return (_check_heads(query, key, value, enable_gqa) or _check_scale("scale", scale)
            or _check_mask(query, key, attn_mask, is_causal))


def _in_autocast(tensors):
    """PyTorch's attention is on autocast's list of what runs in half precision."""
    kind = tensors[0].device.type if isinstance(tensors[0], torch.Tensor) else None
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(tensor.to(dtype) if isinstance(tensor, torch.Tensor) and tensor.dtype in (torch.float32, *_HALF) else tensor
                 for tensor in tensors)


def _broadcast(*shapes):
    """Of shapes that were checked. PyTorch's own function imports sympy when it is first called: seconds on a cold disk."""
    return tuple(next((extent for extent in extents if extent != 1), 1) for extents in zip(*shapes))


def _four_dimensions(query, key, value, mask):
    """[batch, heads, tokens, head dim] views (copies where more than one leading dimension is broadcast)."""
    if query.dim() < 4:
        missing = 4 - query.dim()
        query, key, value = (tensor[(None,) * missing] for tensor in (query, key, value))
    elif query.dim() > 4:
        lead = _broadcast(query.shape[:-3], key.shape[:-3], value.shape[:-3])
        if mask is not None and mask.dim() > 3:
            mask = mask.expand(*lead, *mask.shape[-3:]).flatten(0, -4)
        query, key, value = (tensor.expand(*lead, *tensor.shape[-3:]).flatten(0, -4) for tensor in (query, key, value))
    if mask is not None:
        mask = mask[(None,) * (4 - mask.dim())] if mask.dim() < 4 else mask
    batch = max(query.shape[0], key.shape[0], value.shape[0]) if query.numel() else query.shape[0]
    if not query.shape[0] == key.shape[0] == value.shape[0]:
        query, key, value = (tensor.expand(batch, -1, -1, -1) for tensor in (query, key, value))
    if query.shape[1] < key.shape[1]:
        query = query.expand(-1, key.shape[1], -1, -1)
    return query, key, value, mask


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False, *, recipe="auto", fallback=False):
    """`torch.nn.functional.scaled_dot_product_attention`, quantized: the same arguments with the same meaning.

    query [..., heads, L, E], key [..., heads, S, E] and value [..., heads, S, Ev] are float16 or bfloat16 (or cast to
    one of them by autocast), E and Ev at most 256; leading dimensions broadcast. attn_mask broadcasts to
    [..., heads, L, S]: True takes part, numbers are added to the scores. is_causal is top-left aligned: query i sees keys
    up to i. enable_gqa lets query heads share key heads. A row that sees nothing is 0.

    recipe: as in `sage.attention`. What is not supported raises: dropout, inputs that require a gradient (while
    gradients are enabled), float32 and float64, nested tensors, larger head dims, a scale that is not positive. With
    fallback=True PyTorch's own function computes such a call instead.
    """
    signature = None
    if not torch.compiler.is_compiling() and dropout_p == 0.0 and _plans.is_plain(query, key, value, attn_mask):
        # True is 1 where it is looked up, but not where it is checked.
        options = ("sdpa", type(is_causal), is_causal, type(scale), scale, type(enable_gqa), enable_gqa, recipe)
        signature = _plans.signature(options, query, key, value, attn_mask)
        plan = _plans.find(signature)
        if plan is not None:
            return plan.run(query, key, value, attn_mask)
    query, key, value = _in_autocast((query, key, value))
    error = _check(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    if error is None:
        choice("recipe", recipe, _problem.RECIPES)
        if fallback and not torch.compiler.is_compiling() and query.is_cuda:
            error = _unavailable(query, value, attn_mask, is_causal, recipe)
    if error is not None:
        if not fallback:
            raise error
        return _torch_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    mask, head_dim = attn_mask, query.shape[-1]
    # The dimensions before the heads; None where there are no heads either.
    lead = None if query.dim() == 2 else _broadcast(query.shape[:-3], key.shape[:-3], value.shape[:-3])
    plain = query.dim() == 4 and query.shape[0] == key.shape[0] == value.shape[0] and query.shape[1] >= key.shape[1]
    if plain and mask is not None and mask.dim() < 4:
        mask = mask[(None,) * (4 - mask.dim())]
    elif not plain:
        query, key, value, mask = _four_dimensions(query, key, value, mask)
    kind = "causal_top_left" if is_causal else "none"
    scale = 1.0 / math.sqrt(head_dim) if scale is None else float(scale)
    token_major = query.stride(1) < query.stride(2)
    output, _ = attend(query, key, value, mask, None, None, None, kind, scale, recipe, token_major)
    if signature is not None and plain:
        _plans.store(signature, plan_for(query, key, value, mask, kind, scale, recipe, token_major, False, False))
    if lead is not None and len(lead) == 1:
        return output
    heads = () if lead is None else (query.shape[1],)
    return output.reshape(*(lead or ()), *heads, *output.shape[2:])


def _unavailable(query, value, mask, is_causal, recipe):
    """The error of a GPU for which the package carries nothing that fits, or None."""
    from .. import _device
    from ._ops import TYPES
    bias = None if mask is None else "bool" if mask.dtype == torch.bool else "f32"
    features = _problem.Mask("causal_top_left" if is_causal else "none", bias=bias)
    try:
        _device.select(query.device.index, recipe, max(query.shape[-1], value.shape[-1]), TYPES[query.dtype], features)
    except UnsupportedError as error:
        return error
    return None


_SAGEATTN_OPTIONS = ("recipe", "causal_alignment", "smooth_k")


def _sageattn_options(options):
    for name in options:
        if name not in _SAGEATTN_OPTIONS:
            raise ArgumentTypeError(f"option must be one of {', '.join(_SAGEATTN_OPTIONS)}, but got {name}={options[name]!r}")
    if not options.get("smooth_k", True):
        raise UnsupportedError(f"smooth_k must be True, but is {options['smooth_k']!r}",
                               "compile a recipe with smooth = none, and pass it to sage.attention as artifact=")
    recipe = choice("recipe", options.get("recipe", "auto"), _problem.RECIPES)
    corner = choice("causal_alignment", options.get("causal_alignment", "bottom-right"), _problem.ALIGNMENTS)
    return recipe, "causal_" + corner.replace("-", "_")


def _raise_first(*found):
    for error in found:
        if error is not None:
            raise error


def sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=None, return_lse=False, **options):
    """SageAttention's function of this name: a drop-in for `from sageattention import sageattn`.

    q: [batch, query heads, queries, head dim] ("HND") or [batch, queries, query heads, head dim] ("NHD"), float16 or
    bfloat16; k and v the same with key heads, which divide the query heads. Any head dim up to 256 (there: 128). Returns O
    in q's layout, with return_lse=True also the natural logarithm of the sum of exponentials, float32
    [batch, query heads, queries].

    Where SageAttention leaves the causal mask of unequal lengths undefined, the last query sees every key
    (causal_alignment="bottom-right"); "top-left" is the other choice. Options: recipe (as in `sage.attention`),
    causal_alignment, smooth_k (only True). Any other option is an error.
    """
    signature = None
    if not torch.compiler.is_compiling() and _plans.is_plain(q, k, v, None):
        chosen = ("sageattn", tensor_layout, type(is_causal), is_causal, type(sm_scale), sm_scale, type(return_lse), return_lse,
                  *options.items())
        signature = _plans.signature(chosen, q, k, v, None)
        plan = _plans.find(signature)
        if plan is not None:
            return plan.run(q, k, v, None)
    recipe, causal = _sageattn_options(options)
    choice("tensor_layout", tensor_layout, _problem.LAYOUTS)
    _problem.flag("is_causal", is_causal)
    _problem.flag("return_lse", return_lse)
    _raise_first(_check_tensors(q, k, v), _check_scale("sm_scale", sm_scale))
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.dim() != 4:
            raise InvalidArgumentError(f"{name} must have 4 dimensions, but has shape {list(tensor.shape)}")
    token_major = tensor_layout == "NHD"
    if token_major:
        q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    _raise_first(_check_heads(q, k, v, True))
    if not q.shape[0] == k.shape[0] == v.shape[0]:
        raise InvalidArgumentError(f"q, k and v must have the same batch, but have {q.shape[0]}, {k.shape[0]} and {v.shape[0]}")
    scale = 1.0 / math.sqrt(q.shape[-1]) if sm_scale is None else float(sm_scale)
    kind = causal if is_causal else "none"
    output, lse = attend(q, k, v, None, None, None, None, kind, scale, recipe, token_major)
    if signature is not None:
        _plans.store(signature, plan_for(q, k, v, None, kind, scale, recipe, token_major, token_major, return_lse))
    output = output.transpose(1, 2) if token_major else output
    return (output, lse) if return_lse else output


def sageattn_varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q=None, max_seqlen_k=None, is_causal=False,
                    sm_scale=None, **options):
    """SageAttention's function of this name: sequences one after the other.

    q: [tokens, query heads, head dim]; k, v: [tokens, key heads, head dim]; cu_seqlens_q, cu_seqlens_k: int32
    [sequences + 1], where each sequence begins, and the last ends. The maxima are not needed. Rows of no sequence are 0.
    """
    recipe, causal = _sageattn_options(options)
    _problem.flag("is_causal", is_causal)
    _raise_first(_check_tensors(q, k, v), _check_scale("sm_scale", sm_scale))
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.dim() != 3:
            raise InvalidArgumentError(f"{name} must have 3 dimensions, but has shape {list(tensor.shape)}")
    for name, offsets in (("cu_seqlens_q", cu_seqlens_q), ("cu_seqlens_k", cu_seqlens_k)):
        if not isinstance(offsets, torch.Tensor) or offsets.dim() != 1 or offsets.shape[0] < 1:
            raise InvalidArgumentError(f"{name} must be a tensor of sequences + 1 integers, but got {describe(offsets)}")
    if cu_seqlens_q.shape != cu_seqlens_k.shape:
        raise InvalidArgumentError(f"cu_seqlens_k must have as many elements as cu_seqlens_q, {cu_seqlens_q.shape[0]}, but "
                                   f"has {cu_seqlens_k.shape[0]}")
    scale = 1.0 / math.sqrt(q.shape[-1]) if sm_scale is None else float(sm_scale)
    q, k, v = (tensor[None].transpose(1, 2) for tensor in (q, k, v))
    _raise_first(_check_heads(q, k, v, True))
    output, _ = attend(q, k, v, None, None, cu_seqlens_q, cu_seqlens_k, causal if is_causal else "none", scale, recipe, True)
    return output.transpose(1, 2)[0]
