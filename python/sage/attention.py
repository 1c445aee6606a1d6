"""`sage.attention`: one function for arrays on the CPU and tensors on a GPU."""
import functools
import math

from . import _backends, _by_head, _device, _library as c, _problem, _run, _tensors
from ._artifacts import Artifact
from .errors import ArgumentTypeError, InvalidArgumentError, UnsupportedError, choice, describe

_ACCEPTED = ("f16", "bf16")
_CAST = "cast to float16 or bfloat16 first (ml_dtypes has one for NumPy)"


def attention(query, key, value, *, layout="HND", causal=False, alignment="bottom-right", window=None, sink_tokens=0,
              softcap=None, bias=None, key_lengths=None, sinks=None, query_offsets=None, key_offsets=None, scale=None,
              recipe="auto", return_lse=False, out=None, workspace=None, stream=None, artifact=None, chip="sm_90a",
              threads=0):
    """softmax(scale · Q · Kᵀ + bias) · V, quantized as the recipe says.

    NumPy arrays and CPU tensors are computed by the CPU reference, bit for bit docs/Spec.md. Tensors with DLPack on a
    CUDA device (torch, cupy, jax) are launched on the caller's current stream of their library, or on `stream`; nothing is
    synchronized, and O is a new tensor of the query's library.

    query: [batch, query heads, queries, head dim] with layout "HND", [batch, queries, query heads, head dim] with "NHD";
      float16 or bfloat16. Any strides whose innermost is 1.
    key, value: the same with key heads, which divide the query heads, and keys; V's head dim may differ.
    layout: "HND" or "NHD"; of query, key, value and the result.
    causal: key j is seen by query i only if j ≤ i' (see alignment).
    alignment: "bottom-right": i' = i + keys - queries, so that the last query sees every key; "top-left": i' = i.
    window: (left, right): key j is seen if i' - left ≤ j ≤ i' + right; None leaves a side open.
    sink_tokens: the leading keys that window's left side does not hide.
    softcap: scores x become softcap·tanh(x / softcap), before bias and masks.
    bias: broadcasts to [batch, query heads, queries, keys]; numbers are added to the scaled scores, False hides.
    key_lengths: int32 [batch]: the keys of each batch entry; what lies behind them is not read into a result.
    sinks: float32 [query heads]: one more score for each row, without a key and a value.
    query_offsets, key_offsets: int32 [sequences + 1]: the tokens of a batch of 1 are sequences, one after the other.
    scale: positive; None is 1/√(head dim).
    recipe: "auto", "sage2-8b", "sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b" or "f16" (not quantized). "auto" is
      sage2-8b, on chips without 8-bit float products (sm_80, sm_86) sage1. Or a list with one of these for each key head,
      such as a layer of `sage.RecipeTable`: one call for each run of equal neighbours, without return_lse and artifact.
    return_lse: also return the natural logarithm of the sum of exponentials, float32 [batch, query heads, queries].
    out: where O goes, of the result's shape and type; it is returned. A new tensor otherwise.
    workspace: GPU only: uint8 tensor with the bytes that the call needs; otherwise it is taken from the library's
      allocator, in the order of the stream.
    stream: GPU only: a CUstream as an integer, instead of the library's current one. What is allocated for the call is
      allocated for that stream.
    artifact: a `sage.Artifact` to use instead of a precompiled one; recipe and masks must be what it was compiled for.
    chip: CPU only: whose instructions the scale groups and tiles follow, with the keys in one part. Where a schedule chose
      others, or few queries with long keys are computed in parts (docs/Spec.md N18), artifact= gives what that artifact
      has, and the GPU's result but for the order of sums.
    threads: CPU only: 0 is as many as the machine has. Results do not depend on it.

    Rows that see no key are 0, with an LSE of -∞. A tensor that cannot be taken raises an exception of sage.errors.
    """
    choice("layout", layout, _problem.LAYOUTS)
    by_head = isinstance(recipe, (list, tuple))
    if by_head:
        _by_head.check(query, recipe, out, return_lse, artifact)
    else:
        choice("recipe", recipe, _problem.RECIPES)
    choice("chip", chip, tuple(_run.CHIPS))
    _problem.flag("return_lse", return_lse)
    threads = _problem.integer("threads", threads, 0, 4096)
    if artifact is not None and not isinstance(artifact, Artifact):
        raise ArgumentTypeError(f"artifact must be a sage.Artifact or None, but got {describe(artifact)}")
    packed = _problem.offsets_pair(query_offsets, key_offsets)
    call = _Call(query, key, value, bias=bias, key_lengths=key_lengths, sinks=sinks, query_offsets=query_offsets,
                 key_offsets=key_offsets, layout=layout, stream=stream, workspace=workspace)
    mask = _problem.mask_of(causal, alignment, window, sink_tokens, softcap,
                            call.bias.dtype if call.bias else None, key_lengths is not None, sinks is not None, packed)
    scale = _problem.scale_of(scale, call.head_dim)
    if by_head:
        run = functools.partial(
            attention, layout=layout, causal=causal, alignment=alignment, window=window, sink_tokens=sink_tokens,
            softcap=softcap, key_lengths=key_lengths, query_offsets=query_offsets, key_offsets=key_offsets, scale=scale,
            workspace=workspace, stream=call.stream, chip=chip, threads=threads)
        select = functools.partial(_module, call, mask) if call.on_gpu else None
        return _by_head.attend(run, select, call, recipe, query, key, value, bias, sinks, out)
    if artifact is not None:
        _check_artifact(artifact, call, mask, recipe)
    if call.on_gpu:
        return _launch(call, mask, scale, recipe, artifact, out, return_lse)
    return _compute(call, mask, scale, recipe, artifact, out, return_lse, chip, threads)


class _Call:
    """The operands as views, checked against one another."""

    def __init__(self, query, key, value, *, bias, key_lengths, sinks, query_offsets, key_offsets, layout, stream,
                 workspace):
        self.backend = _backends.of("query", query)
        given = {"query": query, "key": key, "value": value, "bias": bias, "key_lengths": key_lengths, "sinks": sinks,
                 "query_offsets": query_offsets, "key_offsets": key_offsets}
        given = {name: array for name, array in given.items() if array is not None or name in ("query", "key", "value")}
        self.device = self.backend.device_of(query)
        self.on_gpu = self.device[0] in (_tensors.CUDA, _tensors.CUDA_MANAGED)
        if not self.on_gpu:
            for name, value_ in (("stream", stream), ("workspace", workspace)):
                if value_ is not None:
                    raise InvalidArgumentError(f"{name} must be None for tensors on the CPU, but got {describe(value_)}")
        elif stream is not None:
            stream = _problem.integer("stream", stream, 0, 2**64 - 1)
        self.stream = (self.backend.stream(self.device[1]) if stream is None else stream) if self.on_gpu else None
        self.workspace = workspace
        self.views = {name: _tensors.view(name, array, self.stream) for name, array in given.items()}
        self.token_major = layout == "NHD"
        self._check()

    def _check(self):
        axes = "batch, tokens, heads, head dim" if self.token_major else "batch, heads, tokens, head dim"
        for name, view in self.views.items():
            if view.device != self.device:
                raise InvalidArgumentError(f"{name} must be on the query's device {self.device}, but is on {view.device} "
                                           "(DLPack's device type, ordinal)")
        for name in ("query", "key", "value"):
            _tensors.require_dtype(name, self.views[name], _ACCEPTED, _CAST)
            _tensors.require_rank(name, self.views[name], 4, axes)
        self.dtype = self.views["query"].dtype
        for name in ("key", "value"):
            _tensors.require_dtype(name, self.views[name], (self.dtype,), "query, key and value have one type")
        self.query, self.key, self.value = (_tensors.logical(self.views[name], self.token_major)
                                            for name in ("query", "key", "value"))
        self.output_extents = _problem.check_shapes(self.query[0], self.key[0], self.value[0])
        self.head_dim, self.value_head_dim = self.query[0][3], self.value[0][3]
        self.bias = self.views.get("bias")
        if self.bias:
            _tensors.require_dtype("bias", self.bias, c.ELEMENTS, "cast it to float32")
            full = (*self.query[0][:3], self.key[0][2])
            self.bias_layout = _tensors.broadcast("bias", self.bias, full)
        for name, dtype, length in (("key_lengths", "i32", self.query[0][0]), ("sinks", "f32", self.query[0][1]),
                                    ("query_offsets", "i32", None), ("key_offsets", "i32", None)):
            if name in self.views:
                self._check_vector(name, dtype, length)
        self.sequences = max(self.views["query_offsets"].shape[0] - 1, 0) if "query_offsets" in self.views else 0
        if self.sequences and self.views["key_offsets"].shape != self.views["query_offsets"].shape:
            raise InvalidArgumentError("key_offsets must have as many elements as query_offsets, "
                                       f"{self.sequences + 1}, but has {self.views['key_offsets'].shape[0]}")

    def _check_vector(self, name, dtype, length):
        view = self.views[name]
        _tensors.require_dtype(name, view, (dtype,))
        _tensors.require_rank(name, view, 1, "elements")
        if length is not None and view.shape[0] != length:
            raise InvalidArgumentError(f"{name} must have {length} elements, but has {view.shape[0]}")
        if view.shape[0] > 1 and view.strides[0] != 1:
            raise InvalidArgumentError(f"{name} must be contiguous, but has stride {view.strides[0]}")

    def result_shape(self):
        b, h, n, d = self.output_extents
        return (b, n, h, d) if self.token_major else (b, h, n, d)

    def output_view(self, out):
        """The view of O, and O: given or new."""
        if out is None:
            out = self.backend.empty(self.result_shape(), self.dtype, self.device[1])
            if self.sequences:  # rows of no sequence are not written
                self.backend.fill(out, 0)
        view = _tensors.view("out", out, self.stream)
        if view.device != self.device:
            raise InvalidArgumentError(f"out must be on the query's device {self.device}, but is on {view.device}")
        _tensors.require_dtype("out", view, (self.dtype,))
        if tuple(view.shape) != self.result_shape():
            raise InvalidArgumentError(f"out must have shape {self.result_shape()}, but has {tuple(view.shape)}")
        if isinstance(out, _backends.numpy_array_type()) and not out.flags.writeable:
            raise InvalidArgumentError("out must be writable, but is read-only")
        return out, view

    def new_lse(self):
        lse = self.backend.empty(self.output_extents[:3], "f32", self.device[1])
        if self.sequences:
            self.backend.fill(lse, -math.inf)
        return lse

    def pack(self, output, lse, scale):
        address = lambda name: self.views[name].address if name in self.views else 0
        tensor = lambda name, layout: _run.fields(self.views[name].address, *layout, self.views[name].dtype)
        bias = tensor("bias", self.bias_layout) if self.bias else c.NO_TENSOR
        return _run.pack_call(
            tensor("query", self.query), tensor("key", self.key), tensor("value", self.value),
            _run.fields(output.address, *_tensors.logical(output, self.token_major), self.dtype), lse, bias,
            address("key_lengths"), address("sinks"), address("query_offsets"), address("key_offsets"), self.sequences,
            scale)


def _check_artifact(artifact, call, mask, recipe):
    wanted = (call.head_dim, call.value_head_dim, call.dtype, mask)
    got = (artifact.head_dim, artifact.value_head_dim, artifact.element_type, artifact.mask)
    for name, asked, has in zip(("head dim", "head dim of V", "element type", "mask"), wanted, got):
        if asked != has:
            text = (lambda part: part.describe() if name == "mask" else part)
            raise InvalidArgumentError(f"artifact must be for this call's {name}, {text(asked)}, but is for {text(has)}",
                                       "compile another, or leave artifact out")
    if recipe not in ("auto", artifact.recipe):
        raise InvalidArgumentError(f"recipe must be \"auto\" or the artifact's, {artifact.recipe!r}, but got {recipe!r}")


def _compute(call, mask, scale, recipe, artifact, out, return_lse, chip, threads):
    program = _run.program_for(recipe, chip, call.head_dim, call.value_head_dim, call.dtype, mask, artifact)
    program.problem.lse = 1
    out, output = call.output_view(out)
    lse = call.new_lse()
    packed = call.pack(output, _tensors.view("lse", lse).address, scale)
    _run.run_reference(program, packed, threads)
    result = call.backend.finish(out)
    return (result, call.backend.finish(lse)) if return_lse else result


def _module(call, mask, recipe, artifact=None):
    """The loaded code for a call."""
    if artifact is None and (mask.bias in ("f16", "bf16")):
        raise UnsupportedError(f"bias must be bool or float32 for the precompiled artifacts, but is {mask.bias}",
                               "cast it to float32, which is exact")
    module = _device.select(call.device[1], recipe, max(call.head_dim, call.value_head_dim), call.dtype, mask, artifact)
    given = module.artifact
    if (given.head_dim, given.value_head_dim) != (call.head_dim, call.value_head_dim):
        raise UnsupportedError(f"head dim must be one that is precompiled, the next being {given.head_dim}, but is "
                               f"{call.head_dim}" + (f" and {call.value_head_dim}" if call.value_head_dim != call.head_dim
                                                     else ""), "pad Q, K and V with zeros and pass scale, or use sage.torch")
    return module


def _launch(call, mask, scale, recipe, artifact, out, return_lse):
    backend, ordinal = call.backend, call.device[1]
    module = _module(call, mask, recipe, artifact)
    if return_lse and not module.artifact.lse:
        raise InvalidArgumentError("return_lse must be False: the artifact does not write the log-sum-exp",
                                   "compile with a log-sum-exp output")
    with backend.on(call.stream, ordinal):
        out, lse = _enqueue(call, module, scale, out)
    result = backend.finish(out)
    return (result, backend.finish(lse)) if return_lse else result


def _enqueue(call, module, scale, out):
    """O and the log-sum-exp, if the artifact writes it."""
    out, output = call.output_view(out)
    lse = call.new_lse() if module.artifact.lse else None
    packed = call.pack(output, _tensors.view("lse", lse, call.stream).address if lse is not None else 0, scale)
    size = module.workspace_bytes(packed)
    address, held = _workspace(call, size)
    module.launch(packed, call.stream, address, size)
    del held
    return out, lse


def _workspace(call, size):
    """(address, owner): the caller's, or of the library's allocator, which gives it out again in the stream's order."""
    if not size:
        return 0, None
    alignment = _run.WORKSPACE_ALIGNMENT
    if call.workspace is None:
        held = call.backend.empty((size + alignment,), "u8", call.device[1])
        return -(-_tensors.view("workspace", held, call.stream).address // alignment) * alignment, held
    view = _tensors.view("workspace", call.workspace, call.stream)
    _tensors.require_dtype("workspace", view, ("u8",))
    _tensors.require_rank("workspace", view, 1, "bytes")
    start = -(-view.address // alignment) * alignment
    if view.device != call.device or view.address + view.shape[0] < start + size or view.strides[0] != 1:
        raise InvalidArgumentError(f"workspace must be contiguous, on the query's device, with {size} bytes behind an "
                                   f"address that is a multiple of {alignment}, but has {view.shape[0]} bytes",
                                   f"{size + alignment} bytes always suffice")
    return start, call.workspace
