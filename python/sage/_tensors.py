"""Arrays of any library as address, extents and strides; nothing is copied and no library is needed."""
import ctypes
import sys
from ctypes import POINTER, Structure, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p
from typing import Any, NamedTuple, Tuple

from .errors import ArgumentTypeError, InvalidArgumentError, UnsupportedError, describe

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13


class View(NamedTuple):
    """`strides` are in elements; `owner` keeps the memory."""
    address: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]
    dtype: str
    device: Tuple[int, int]  # DLPack's device type, ordinal
    owner: Any


class _Tensor(Structure):
    _fields_ = [("data", c_void_p), ("device_type", c_int32), ("device_id", c_int32), ("ndim", c_int32),
                ("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16), ("shape", POINTER(c_int64)),
                ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


#: DLDataTypeCode and bits; what is not here has no name that a call accepts.
_DLPACK_TYPES = {(2, 16): "f16", (4, 16): "bf16", (2, 32): "f32", (2, 64): "f64", (6, 8): "bool", (0, 32): "i32",
                 (0, 64): "i64", (1, 8): "u8"}
_NUMPY_TYPES = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "bool": "bool", "int32": "i32",
                "int64": "i64"}

_TORCH_TYPES = {**_NUMPY_TYPES, "uint8": "u8"}

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = c_void_p, [ctypes.py_object, ctypes.c_char_p]


def is_numpy(array):
    return hasattr(array, "__array_interface__") and type(array).__module__.split(".")[0] in ("numpy", "ml_dtypes")


def library_of(array):
    """ "torch", "cupy", "jax", "numpy", …: where the type comes from."""
    name = type(array).__module__.split(".")[0]
    return {"jaxlib": "jax"}.get(name, name)


def view_numpy(name, array):
    if not array.dtype.isnative:
        raise ArgumentTypeError(f"{name} must be in the machine's byte order, but got {array.dtype}")
    size = array.dtype.itemsize
    if any(stride % size for stride in array.strides):
        raise InvalidArgumentError(f"{name}: strides must be whole elements, but got {array.strides} bytes",
                                   "make a contiguous copy")
    strides = tuple(stride // size for stride in array.strides)
    return View(array.ctypes.data, array.shape, strides, _NUMPY_TYPES.get(array.dtype.name, array.dtype.name), (CPU, 0),
                array)


def view_dlpack(name, array, stream=None):
    """The capsule is not consumed: its own destructor gives the tensor back when the view's owner goes."""
    device = tuple(int(part) for part in array.__dlpack_device__())
    if device[0] not in (CPU, CUDA, CUDA_HOST, CUDA_MANAGED):
        raise UnsupportedError(f"{name} must be on the CPU or a CUDA device, but is on DLPack device {device}")
    on_gpu = device[0] in (CUDA, CUDA_MANAGED)
    # Stream 0 is not allowed in DLPack: 1 is CUDA's legacy default stream.
    capsule = array.__dlpack__(stream=stream or 1) if on_gpu else array.__dlpack__()
    tensor = _Tensor.from_address(_get_pointer(capsule, b"dltensor"))
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    if tensor.strides:
        strides = tuple(tensor.strides[i] for i in range(tensor.ndim))
    else:
        strides, step = [], 1
        for extent in reversed(shape):
            strides.insert(0, step)
            step *= extent
        strides = tuple(strides)
    dtype = _DLPACK_TYPES.get((tensor.code, tensor.bits), f"DLPack type {tensor.code} of {tensor.bits} bits")
    if tensor.lanes != 1:
        raise ArgumentTypeError(f"{name} must have plain elements, but has vectors of {tensor.lanes}")
    return View((tensor.data or 0) + tensor.byte_offset, shape, strides, dtype, device, (capsule, array))


def view_torch(name, tensor):
    """Without DLPack, which costs a hundred microseconds and an event on the stream."""
    torch, kind = sys.modules["torch"], tensor.device.type
    if tensor.requires_grad and torch.is_grad_enabled():
        raise UnsupportedError(f"{name} must not require a gradient: there is no backward pass", "use torch.no_grad()")
    forward_ad = torch.autograd.forward_ad
    if forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None:
        raise UnsupportedError(f"{name} must not have a tangent: there is no forward-mode derivative")
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    if kind not in ("cpu", "cuda") or tensor.layout is not torch.strided or tensor.is_nested:
        raise UnsupportedError(f"{name} must be a dense tensor on the CPU or a CUDA device, but is "
                               f"{'nested' if tensor.is_nested else tensor.layout} on {tensor.device}")
    device = (CPU, 0) if kind == "cpu" else (CUDA, tensor.device.index)
    dtype = str(tensor.dtype)[6:]
    return View(tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), _TORCH_TYPES.get(dtype, dtype), device, tensor)


def view(name, array, stream=None):
    """A view of a NumPy array, a torch tensor or anything with DLPack."""
    if is_numpy(array):
        return view_numpy(name, array)
    if library_of(array) == "torch" and hasattr(array, "data_ptr"):
        return view_torch(name, array)
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return view_dlpack(name, array, stream)
    raise ArgumentTypeError(f"{name} must be a NumPy array or a tensor with DLPack (torch, cupy, jax, …), but got "
                            f"{describe(array)}")


def require_dtype(name, given, accepted, remedy=""):
    if given.dtype not in accepted:
        raise ArgumentTypeError(f"{name} must have elements of {' or '.join(accepted)}, but got {given.dtype}", remedy)


def require_rank(name, given, rank, axes):
    if len(given.shape) != rank:
        raise InvalidArgumentError(f"{name} must have {rank} dimensions ({axes}), but has shape {tuple(given.shape)}")


def logical(given, token_major):
    """Extents and strides of B, H, N, D."""
    shape, strides = given.shape, given.strides
    if token_major:
        return (shape[0], shape[2], shape[1], shape[3]), (strides[0], strides[2], strides[1], strides[3])
    return tuple(shape), tuple(strides)


def broadcast(name, given, shape):
    """Extents and strides of a bias as B, Hq, Nq, Nk (1 where it repeats), from any number of dimensions up to 4."""
    if len(given.shape) > 4:
        raise InvalidArgumentError(f"{name} must have at most 4 dimensions, but has shape {tuple(given.shape)}")
    extents = (1,) * (4 - len(given.shape)) + tuple(given.shape)
    strides = (0,) * (4 - len(given.shape)) + tuple(given.strides)
    if any(extent not in (1, full) for extent, full in zip(extents, shape)):
        raise InvalidArgumentError(f"{name} must broadcast to [batch, query heads, queries, keys] = {list(shape)}, but "
                                   f"has shape {tuple(given.shape)}")
    return extents, strides
