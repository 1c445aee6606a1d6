"""Attention for PyTorch: its own signature, SageAttention's, and an operator that torch.compile understands.

Kernels run on the current stream, allocate from PyTorch's caching allocator and synchronize nothing, so that calls may be
captured into CUDA graphs (after one call of the same kind, which loads the code). CPU tensors are computed by the CPU
reference. What is not supported raises; `fallback=True` asks PyTorch instead. There is no backward pass.
"""
from ._functions import sageattn, sageattn_varlen, scaled_dot_product_attention
from ._ops import attend as _attend  # noqa: F401  registers the operator

__all__ = ["scaled_dot_product_attention", "sageattn", "sageattn_varlen"]
