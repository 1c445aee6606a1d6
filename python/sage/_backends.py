"""What differs between array libraries: how to allocate and which stream is current. None is imported unless it is used."""
import contextlib
import sys

from . import _tensors
from .errors import ArgumentTypeError, UnsupportedError, describe


def numpy_array_type():
    numpy = sys.modules.get("numpy")
    return numpy.ndarray if numpy else ()


class NumPy:
    def on(self, stream, ordinal):
        return contextlib.nullcontext()

    def fill(self, array, number):
        array[...] = number

    def device_of(self, array):
        return (_tensors.CPU, 0)

    def empty(self, shape, dtype, ordinal):
        import numpy
        if dtype == "bf16":
            import ml_dtypes
            return numpy.empty(shape, ml_dtypes.bfloat16)
        return numpy.empty(shape, {"f16": numpy.float16, "f32": numpy.float32}[dtype])

    def finish(self, array):
        return array


class Torch:
    def __init__(self):
        import torch
        self.torch = torch
        self.types = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "u8": torch.uint8}

    def on(self, stream, ordinal):
        """Where memory is allocated and filled: the allocator gives memory out again in the order of one stream."""
        cuda = self.torch.cuda
        if stream is None or stream == self.stream(ordinal):
            return contextlib.nullcontext()
        return cuda.stream(cuda.ExternalStream(stream, device=ordinal) if stream else cuda.default_stream(ordinal))

    def fill(self, array, number):
        array.fill_(number)

    def device_of(self, array):
        return (_tensors.CUDA, array.device.index) if array.is_cuda else (_tensors.CPU, 0)

    def stream(self, ordinal):
        return self.torch.cuda.current_stream(ordinal).cuda_stream

    def empty(self, shape, dtype, ordinal):
        device = "cpu" if ordinal is None else f"cuda:{ordinal}"
        return self.torch.empty(shape, dtype=self.types[dtype], device=device)

    def finish(self, array):
        return array


class TorchCpu(Torch):
    def empty(self, shape, dtype, ordinal):
        return super().empty(shape, dtype, None)


class Cupy:
    def __init__(self):
        import cupy
        self.cupy = cupy

    @contextlib.contextmanager
    def on(self, stream, ordinal):
        with self.cupy.cuda.Device(ordinal):
            with self.cupy.cuda.ExternalStream(stream, ordinal):
                yield

    def fill(self, array, number):
        array.fill(number)

    def device_of(self, array):
        return (_tensors.CUDA, array.device.id)

    def stream(self, ordinal):
        with self.cupy.cuda.Device(ordinal):
            return self.cupy.cuda.get_current_stream().ptr

    def empty(self, shape, dtype, ordinal):
        if dtype == "bf16":
            raise UnsupportedError("query must be float16 with cupy, which has no bfloat16", "use torch or jax")
        return self.cupy.empty(shape, {"f16": "float16", "f32": "float32", "u8": "uint8"}[dtype])

    def finish(self, array):
        return array


class Jax:
    """JAX arrays cannot be written: results are allocated by torch, or else cupy, on its current stream, and imported."""

    def __init__(self):
        import jax
        self.jax, self.inner = jax, None

    def device_of(self, array):
        device = tuple(int(part) for part in array.__dlpack_device__())
        if device[0] == _tensors.CUDA:
            for kind in (Torch, Cupy):
                try:
                    self.inner = kind()
                    break
                except ImportError:
                    continue
            else:
                raise UnsupportedError("query must not be a JAX array on a GPU without torch or cupy, which allocate the "
                                       "result", "install one of them")
        return device

    def stream(self, ordinal):
        return self.inner.stream(ordinal)

    def on(self, stream, ordinal):
        return (self.inner or NumPy()).on(stream, ordinal)

    def fill(self, array, number):
        (self.inner or NumPy()).fill(array, number)

    def empty(self, shape, dtype, ordinal):
        return self.inner.empty(shape, dtype, ordinal) if self.inner else NumPy().empty(shape, dtype, None)

    def finish(self, array):
        return self.jax.dlpack.from_dlpack(array) if self.inner else self.jax.numpy.asarray(array)


#: By the first part of the type's module.
LIBRARIES = {"torch": lambda array: Torch() if array.is_cuda else TorchCpu(), "cupy": lambda array: Cupy(),
             "jax": lambda array: Jax()}


def of(name, array):
    """The backend of an array's library; any other library's CPU tensors are taken as NumPy's."""
    library = LIBRARIES.get(_tensors.library_of(array))
    if _tensors.is_numpy(array):
        return NumPy()
    if library:
        return library(array)
    if hasattr(array, "__dlpack_device__"):
        if int(array.__dlpack_device__()[0]) == _tensors.CPU:
            return NumPy()
        raise UnsupportedError(f"{name} must be a tensor of {', '.join(LIBRARIES)} on a GPU, but got {describe(array)}",
                               "import it there with from_dlpack")
    raise ArgumentTypeError(f"{name} must be a NumPy array or a tensor with DLPack (torch, cupy, jax, …), but got "
                            f"{describe(array)}")
