"""Quantized attention: NumPy arrays on the CPU, DLPack tensors on the GPU; see docs/Python.md.

    import sage
    output = sage.attention(query, key, value, causal=True)

`sage.torch` has PyTorch's and SageAttention's signatures, `sage.transformers` registers with transformers.
"""
from ._artifacts import Artifact
from ._device import artifacts, configure, devices
from ._library import version
from .attention import attention
from .errors import (ArgumentTypeError, ArtifactError, DeviceError, FileError, HostMemoryError, InvalidArgumentError,
                     SageError, UnsupportedError)
from .recipes import RecipeTable

__all__ = ["attention", "Artifact", "RecipeTable", "artifacts", "configure", "devices", "version", "SageError", "InvalidArgumentError",
           "ArgumentTypeError", "UnsupportedError", "ArtifactError", "DeviceError", "FileError", "HostMemoryError"]
