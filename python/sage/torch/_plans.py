"""Calls that were made before: the checks have passed and the arguments are packed, up to the addresses.

A call of the same function with the same options on tensors of the same shapes, strides, types and device needs nothing
else. What a call depends on besides is asked every time (`is_plain`).
"""
import ctypes

import torch
from torch.autograd import forward_ad

from .. import _device, _library, _run

#: Plans are small, but lengths that grow token by token would make ever more of them.
LIMIT = 4096
_Words = ctypes.c_uint64 * (_library.CALL.size // 8)
#: Indices into a sage_call of 8-byte words: where the addresses are.
_QUERY, _KEY, _VALUE, _OUTPUT, _LSE, _BIAS = 0, 10, 20, 30, 40, 41

_tensor_type = torch.Tensor
_dispatch_modes = torch._C._len_torch_dispatch_stack
_transforms = torch._C._functorch.peek_interpreter_stack
_tracing = torch._C._get_tracing_state
#: The stream's number without an object around it, as PyTorch's own generated code asks for it.
raw_stream = getattr(torch._C, "_cuda_getCurrentRawStream", None) or (
    lambda index: torch.cuda.current_stream(index).cuda_stream)


def listens(query, key, value, mask):
    """Whether the operator has to go through PyTorch's dispatcher: for a compiler, a mode, a transform, a trace, a
    subclass, a tangent, or a view that is negated when it is read."""
    return (torch.compiler.is_compiling() or type(query) is not _tensor_type or type(key) is not _tensor_type
            or type(value) is not _tensor_type or _dispatch_modes() or _transforms() is not None or _tracing() is not None
            or forward_ad._current_level >= 0 or query.is_neg() or key.is_neg() or value.is_neg()
            or (mask is not None and (type(mask) is not _tensor_type or mask.is_neg())))


def is_plain(query, key, value, mask):
    """Whether a plan may serve: CUDA tensors, no listener, no gradients, nothing for autocast to cast."""
    if listens(query, key, value, mask) or not query.is_cuda:
        return False
    if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad
                                    or (mask is not None and mask.requires_grad)):
        return False
    return (not torch.is_autocast_enabled("cuda")
            or query.dtype == key.dtype == value.dtype == torch.get_autocast_dtype("cuda"))


def signature(options, query, key, value, mask):
    """`options` is what else the call was given; None if they cannot be looked up, or a tensor is nested: those raise where
    they are asked for shapes, and the checks refuse them."""
    try:
        masked = None if mask is None else (mask.shape, mask.stride(), mask.dtype, mask.get_device())
        found = (options, query.shape, key.shape, value.shape, query.stride(), key.stride(), value.stride(), query.dtype,
                 key.dtype, value.dtype, query.get_device(), key.get_device(), value.get_device(), masked)
        hash(found)
    except (TypeError, RuntimeError):
        return None
    return found


def find(key):
    return _device.state().plans.get(key)


def store(key, plan):
    """Keeps a plan, if there is one."""
    if key is None or plan is None:
        return
    plans = _device.state().plans
    if len(plans) >= LIMIT:
        plans.clear()
    plans[key] = plan


class Plan:
    """`call` is packed for these shapes, O is (extents, strides); with `returns_lse` the result is a pair."""
    __slots__ = ("launch", "handle", "words", "extents", "strides", "dtype", "device", "index", "size", "bytes", "lse_shape")

    def __init__(self, module, call, extents, strides, query, lse_shape, returns_lse):
        self.launch, self.handle = module._launch, module.handle
        self.words, self.extents, self.strides = call, extents, strides
        self.dtype, self.device, self.index = query.dtype, query.device, query.device.index
        self.size = -(-module.workspace_bytes(call) // 16) * 16
        self.lse_shape = lse_shape if returns_lse else None
        lse_bytes = 4 * lse_shape[0] * lse_shape[1] * lse_shape[2]
        # One allocation: a log-sum-exp that nobody asked for lies behind the workspace.
        self.bytes = self.size + _run.WORKSPACE_ALIGNMENT + (0 if returns_lse else lse_bytes)

    def run(self, query, key, value, bias):
        output = torch.empty_strided(self.extents, self.strides, dtype=self.dtype, device=self.device)
        # Of the current stream: the allocator gives it out again only to what that stream runs later.
        workspace = torch.empty(self.bytes, dtype=torch.uint8, device=self.device)
        address = (workspace.data_ptr() + _run.WORKSPACE_ALIGNMENT - 1) & -_run.WORKSPACE_ALIGNMENT
        words = _Words.from_buffer_copy(self.words)
        words[_QUERY], words[_KEY], words[_VALUE], words[_OUTPUT] = (query.data_ptr(), key.data_ptr(), value.data_ptr(),
                                                                     output.data_ptr())
        if bias is not None:
            words[_BIAS] = bias.data_ptr()
        lse = None
        if self.lse_shape is None:
            words[_LSE] = address + self.size
        else:
            lse = torch.empty(self.lse_shape, dtype=torch.float32, device=self.device)
            words[_LSE] = lse.data_ptr()
        status = self.launch(self.handle, words, raw_stream(self.index), address, self.size)
        if status:
            _library.check(status)
        return output if lse is None else (output, lse)
