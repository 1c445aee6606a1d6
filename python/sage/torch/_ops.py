"""The operator `sage::attention`: kernels for CPU and CUDA tensors, what a compiler may assume about it, and its launch.

Operands are logical [batch, heads, tokens, head dim] of any strides; a token-major result is a transposed view.
"""
import math

import torch

from . import _plans
from .. import _device, _run
from .._problem import Mask
from ..errors import DeviceError, InvalidArgumentError, UnsupportedError

SCHEMA = ("attention(Tensor query, Tensor key, Tensor value, Tensor? bias, Tensor? key_lengths, Tensor? query_offsets, "
          "Tensor? key_offsets, str mask, float scale, str recipe, bool token_major) -> (Tensor, Tensor)")
TYPES = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.bool: "bool"}
_CODES = {dtype: code for code, dtype in enumerate((torch.float16, torch.bfloat16, torch.float32, torch.bool))}


def new_output(query, value, token_major):
    b, h, n, _ = query.shape
    d = value.shape[3]
    if token_major:
        return query.new_empty((b, n, h, d)).transpose(1, 2)
    return query.new_empty((b, h, n, d))


def _fields(tensor):
    return (tensor.data_ptr(), *tensor.shape, *tensor.stride(), _CODES[tensor.dtype])


def _bias_fields(bias):
    """Extents that repeat are 1: nothing depends on an expanded tensor's size."""
    strides = bias.stride()
    extents = [extent if stride else min(extent, 1) for extent, stride in zip(bias.shape, strides)]
    return (bias.data_ptr(), *extents, *strides, _CODES[bias.dtype])


def _contiguous_channels(tensor):
    return tensor if tensor.stride(3) == 1 or tensor.shape[3] == 1 else tensor.contiguous()


def _pad(tensor, head_dim):
    missing = head_dim - tensor.shape[3]
    return torch.nn.functional.pad(tensor, (0, missing)) if missing else tensor


def _address(tensor):
    return 0 if tensor is None else tensor.data_ptr()


def _int32(name, tensor, device):
    if tensor is None:
        return None
    if tensor.device != device or tensor.dim() != 1 or tensor.dtype not in (torch.int32, torch.int64):
        raise InvalidArgumentError(f"{name} must be one-dimensional int32 on {device}, but is {tensor.dtype} of shape "
                                   f"{tuple(tensor.shape)} on {tensor.device}")
    return tensor.to(torch.int32).contiguous()


def _new_results(query, value, token_major, packed):
    output = new_output(query, value, token_major)
    lse = query.new_empty(query.shape[:3], dtype=torch.float32)
    if packed:  # rows of no sequence are not written
        output.zero_()
        lse.fill_(-math.inf)
    return output, lse


def _pack(query, key, value, bias, key_lengths, query_offsets, key_offsets, output, lse, scale):
    """The bytes of a sage_call; `output` is `_fields`, `lse` an address."""
    return _run.pack_call(
        _fields(query), _fields(key), _fields(value), output, lse,
        _run.c.NO_TENSOR if bias is None else _bias_fields(bias), _address(key_lengths), 0, _address(query_offsets),
        _address(key_offsets), 0 if query_offsets is None else query_offsets.shape[0] - 1, scale)


def _module(query, value, bias, key_lengths, packed, mask, recipe):
    """The loaded artifact for a call; found by its kind once."""
    state = _device.state()
    kind = bias.dtype if bias is not None else None
    key = (query.device.index, query.dtype, query.shape[3], value.shape[3], kind, key_lengths is not None, packed, mask,
           recipe)
    found = state.routes.get(key)
    if found is None:
        if torch.cuda.is_current_stream_capturing():
            raise DeviceError("the first call of a kind must not be captured into a CUDA graph: it loads code",
                              "make the same call once before the capture")
        features = Mask(mask, bias=TYPES.get(kind), key_lengths=key_lengths is not None, packed=packed)
        found = state.routes[key] = _device.select(query.device.index, recipe, max(query.shape[3], value.shape[3]),
                                                   TYPES[query.dtype], features)
    return found


def attend_cuda(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major):
    if bias is not None and bias.dtype in (torch.float16, torch.bfloat16):
        bias = bias.float()  # exact
    packed = query_offsets is not None
    module = _module(query, value, bias, key_lengths, packed, mask, recipe)
    head_dim, plain_value = module.artifact.head_dim, value
    query, key, value = (_contiguous_channels(_pad(tensor, head_dim)) for tensor in (query, key, value))
    output, lse = _new_results(query, value, token_major, packed)
    call = _pack(query, key, value, bias, key_lengths, query_offsets, key_offsets, _fields(output), lse.data_ptr(),
                 scale)
    size = module.workspace_bytes(call)
    # Of the current stream: the allocator gives it out again only to what that stream runs later.
    workspace = torch.empty(size + _run.WORKSPACE_ALIGNMENT, dtype=torch.uint8, device=query.device)
    address = -(-workspace.data_ptr() // _run.WORKSPACE_ALIGNMENT) * _run.WORKSPACE_ALIGNMENT
    module.launch(call, _plans.raw_stream(query.device.index), address, size)
    if value is plain_value or value.shape == plain_value.shape:
        return output, lse
    # Of the strides that compilers were promised.
    return new_output(query, plain_value, token_major).copy_(output[..., :plain_value.shape[3]]), lse


def plan_for(query, key, value, bias, mask, scale, recipe, token_major, swapped, returns_lse):
    """A plan for calls like this one, which was just made; None if they need copies. O's heads and tokens are `swapped`
    for the caller, who wants the log-sum-exp or not."""
    if bias is not None and bias.dtype not in (torch.bool, torch.float32):
        return None
    module = _module(query, value, bias, None, False, mask, recipe)
    dims = (query.shape[3], value.shape[3])
    if (module.artifact.head_dim, module.artifact.value_head_dim) != dims or any(
            tensor.stride(3) != 1 for tensor in (query, key, value)):
        return None
    b, h, n, d = *query.shape[:3], value.shape[3]
    extents, strides = (b, h, n, d), (n * h * d, d, h * d, 1) if token_major else (h * n * d, n * d, d, 1)
    call = _pack(query, key, value, bias, None, None, None, (0, *extents, *strides, _CODES[query.dtype]), 0, scale)
    if swapped:
        extents, strides = (b, n, h, d), (strides[0], strides[2], strides[1], 1)
    return _plans.Plan(module, call, extents, strides, query, (b, h, n), returns_lse)


def attend_cpu(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major):
    query, key, value = (_contiguous_channels(tensor) for tensor in (query, key, value))
    packed = query_offsets is not None
    features = Mask(mask, bias=TYPES[bias.dtype] if bias is not None else None, key_lengths=key_lengths is not None,
                    packed=packed)
    program = _run.program_for(recipe, "sm_90a", query.shape[3], value.shape[3], TYPES[query.dtype], features)
    output, lse = _new_results(query, value, token_major, packed)
    call = _pack(query, key, value, bias, key_lengths, query_offsets, key_offsets, _fields(output), lse.data_ptr(),
                 scale)
    _run.run_reference(program, call, torch.get_num_threads())
    return output, lse


def _fake(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major):
    return new_output(query, value, token_major), query.new_empty(query.shape[:3], dtype=torch.float32)


def _operator_cuda(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major):
    """What the operator runs: as `attend_cuda`, with plans of its own."""
    signature = plan = None
    if key_lengths is None and query_offsets is None:
        signature = _plans.signature(("operator", mask, scale, recipe, token_major), query, key, value, bias)
        plan = _plans.find(signature)
    if plan is not None:
        return plan.run(query, key, value, bias)
    results = attend_cuda(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major)
    if signature is not None:
        _plans.store(signature, plan_for(query, key, value, bias, mask, scale, recipe, token_major, False, True))
    return results


def _no_backward(context, *gradients):
    raise UnsupportedError("sage::attention has no backward pass", "call it under torch.no_grad()")


_library = torch.library.Library("sage", "DEF")
_library.define(SCHEMA, tags=(torch.Tag.pt2_compliant_tag,))
_library.impl("attention", attend_cpu, "CPU")
_library.impl("attention", _operator_cuda, "CUDA")
torch.library.register_fake("sage::attention", _fake, lib=_library)
torch.library.register_autograd("sage::attention", _no_backward, lib=_library)
_operator = torch.ops.sage.attention.default


def attend(query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major):
    """The operator; called past PyTorch's dispatcher where nobody listens, which saves its time."""
    key_lengths = _int32("key_lengths", key_lengths, query.device)
    query_offsets = _int32("query_offsets", query_offsets, query.device)
    key_offsets = _int32("key_offsets", key_offsets, query.device)
    arguments = (query, key, value, bias, key_lengths, query_offsets, key_offsets, mask, scale, recipe, token_major)
    if _plans.listens(query, key, value, bias):
        return _operator(*arguments)
    return (attend_cuda if query.is_cuda else attend_cpu)(*arguments)
