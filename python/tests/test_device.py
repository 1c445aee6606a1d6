"""GPU calls on the stub driver: its device memory is the host's, kernels do not run, launches are recorded."""
import contextlib
import ctypes
import lzma
import os
import threading

import numpy as np
import pytest

import sage
from sage import _backends, _by_head, _device, _tensors
from sage._artifacts import Entry, Store, pack, unpack

STUB = os.environ.get("SAGE_STUB_DRIVER", "")
pytestmark = pytest.mark.skipif(not os.path.exists(STUB), reason="SAGE_STUB_DRIVER names no stub driver")
HAVE = Entry("sm_90a", "sage2-8b", 64, "f16")
CALIBRATED = (HAVE._replace(recipe="sage-8b"), HAVE._replace(recipe="sage-4b"))
WINDOW = HAVE._replace(mask="causal_bottom_right", left=127, sinks=True)


class StubTensor:
    """A NumPy array that says it is on CUDA device 0."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __getitem__(self, index):
        return StubTensor(self.array[index])

    def __dlpack_device__(self):
        return (_tensors.CUDA, 0)

    def __dlpack__(self, stream=None):
        capsule = self.array.__dlpack__()
        _tensors._Tensor.from_address(_tensors._get_pointer(capsule, b"dltensor")).device_type = _tensors.CUDA
        return capsule


class StubBackend:
    streams = []
    #: The streams for which memory was allocated.
    allocations = []
    current = None

    def device_of(self, array):
        return array.__dlpack_device__()

    def stream(self, ordinal):
        return 0x5757

    def empty(self, shape, dtype, ordinal):
        self.allocations.append(self.current)
        return StubTensor(np.empty(shape, {"f16": np.float16, "f32": np.float32, "u8": np.uint8}[dtype]))

    @contextlib.contextmanager
    def on(self, stream, ordinal):
        self.streams.append(stream)
        self.current = stream
        yield
        self.current = None

    def fill(self, array, number):
        array.array[...] = number

    def finish(self, array):
        return array


@pytest.fixture
def stub(monkeypatch):
    library = ctypes.CDLL(STUB)
    library.sage_stub_reset()
    monkeypatch.setitem(_backends.LIBRARIES, StubTensor.__module__.split(".")[0], lambda array: StubBackend())
    monkeypatch.setattr(_by_head, "LIBRARIES", (StubTensor.__module__.split(".")[0],))
    sage.configure(driver=STUB)
    yield library
    library.sage_stub_reset()
    sage.configure()


def tensors(heads=4, queries=70, keys=90, dim=64):
    draw = lambda h, n: StubTensor(np.zeros((2, h, n, dim), np.float16))
    return draw(heads, queries), draw(2, keys), draw(2, keys)


def test_devices(stub):
    stub.sage_stub_set_devices(2, 8, 9)
    found = sage.devices()
    assert [device.ordinal for device in found] == [0, 1]
    assert found[0].chip == "sm_89" and found[0].compute_capability == (8, 9) and found[0].name == "Stub GPU"


@pytest.mark.parametrize("capability, chip", [((8, 0), "sm_80"), ((8, 6), "sm_86"), ((8, 7), "sm_86"), ((9, 0), "sm_90a"),
                                              ((10, 0), "sm_89"), ((12, 0), "sm_120a"), ((12, 1), "sm_89"), ((7, 5), None)])
def test_chip_of_a_device(stub, capability, chip):
    stub.sage_stub_set_devices(1, *capability)
    assert sage.devices()[0].chip == chip


def test_no_driver():
    sage.configure(driver="/nonexistent/libcuda.so")
    assert sage.devices() == []
    with pytest.raises(sage.DeviceError, match="libcuda.so"):
        _device.state().open()
    sage.configure()


@pytest.mark.skipif(HAVE not in _device.artifacts(), reason="the wheel was made without sm_90a/sage2-8b-d64-f16")
class TestLaunch:
    def test_enqueues_on_the_librarys_stream(self, stub):
        q, k, v = tensors()
        got, lse = sage.attention(q, k, v, return_lse=True)
        assert got.array.shape == (2, 4, 70, 64) and lse.array.shape == (2, 4, 70)
        assert stub.sage_stub_launches() >= 3
        for forbidden in ("cuCtxSynchronize", "cuStreamSynchronize", "cuMemAlloc_v2"):
            assert stub.sage_stub_calls(forbidden.encode()) == 0

    def test_loads_once(self, stub):
        q, k, v = tensors()
        barrier = threading.Barrier(8)

        def call():
            barrier.wait()
            sage.attention(q, k, v)

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(_device.state().modules) == 1
        loads = stub.sage_stub_calls(b"cuModuleLoadDataEx")
        sage.attention(q, k, v)
        assert stub.sage_stub_calls(b"cuModuleLoadDataEx") == loads

    def test_takes_the_callers_memory_and_stream(self, stub):
        q, k, v = tensors()
        out, workspace = StubTensor(np.zeros((2, 4, 70, 64), np.float16)), StubTensor(np.zeros(1 << 20, np.uint8))
        assert sage.attention(q, k, v, out=out, workspace=workspace, stream=7) is out
        assert StubBackend.streams[-1] == 7

    @pytest.mark.skipif(not {*CALIBRATED} <= {*_device.artifacts()}, reason="the wheel was made without sage-8b and sage-4b")
    def test_recipes_by_head(self, stub):
        """O is one tensor, allocated for the stream of the call, and each run of heads is launched into it."""
        q, k, v = tensors()
        launches = lambda: stub.sage_stub_launches()
        for recipe in ("sage-8b", "sage-4b"):
            sage.attention(q, k, v, recipe=recipe)
        once = launches()
        StubBackend.allocations.clear()
        out = sage.attention(q, k, v, recipe=["sage-8b", "sage-4b"], stream=7)
        assert out.shape == (2, 4, 70, 64) and launches() == 2 * once
        assert set(StubBackend.allocations) == {7}

    def test_a_recipe_by_head_that_is_missing(self, stub):
        """Nothing runs before every recipe has code."""
        with pytest.raises(sage.UnsupportedError, match="recipe 'sage2-8b' of key heads 0 to 1: softcap = 5.0 with f16 is not "
                                                        "precompiled for sm_90a, recipe sage2-8b .*sage-compile"):
            sage.attention(*tensors(), recipe=["sage2-8b", "sage2-8b"], softcap=5.0)
        with pytest.raises(sage.UnsupportedError, match="recipe 'sage-4b' of key heads 1 to 1: .*sm_80.*choose another recipe for "
                                                        "them, or compile one with sage-compile .*a call for each run of heads"):
            stub.sage_stub_set_devices(1, 8, 0)
            sage.configure(driver=STUB)
            sage.attention(*tensors(), recipe=["auto", "sage-4b"])
        assert stub.sage_stub_launches() == 0

    @pytest.mark.parametrize("changed, kind, text", [
        (dict(workspace=StubTensor(np.zeros(100, np.uint8))), sage.InvalidArgumentError, "workspace must be contiguous.*100 bytes"),
        (dict(workspace=StubTensor(np.zeros(1 << 20, np.float32))), sage.ArgumentTypeError, "workspace must have elements of u8"),
        (dict(stream=-1), sage.InvalidArgumentError, "stream must be 0 to"),
        (dict(window=(3, 3)), sage.UnsupportedError, "window_bottom_right, left = 3, right = 3 with f16 is not precompiled for sm_90a"),
        (dict(softcap=5.0), sage.UnsupportedError, "softcap = 5.0 with f16 is not precompiled"),
        (dict(recipe="sage1"), sage.UnsupportedError, "recipe must be one of .* on sm_90a, but got 'sage1'"),
        (dict(bias=StubTensor(np.zeros((70, 90), np.float16))), sage.UnsupportedError, "bias must be bool or float32"),
        (dict(out=np.zeros((2, 4, 70, 64), np.float16)), sage.InvalidArgumentError, "out must be on the query's device"),
    ])
    def test_refuses(self, stub, changed, kind, text):
        if "recipe" in changed and any(e.recipe == "sage1" and e.chip == "sm_90a" for e in sage.artifacts()):
            pytest.skip("the wheel has it")
        q, k, v = tensors()
        with pytest.raises(kind, match=text):
            sage.attention(q, k, v, **changed)
        assert stub.sage_stub_launches() == 0

    def test_head_dims(self, stub):
        with pytest.raises(sage.UnsupportedError, match="head dim must be"):
            sage.attention(*tensors(dim=40))
        with pytest.raises(sage.UnsupportedError, match="head dim must be at most"):
            sage.attention(*tensors(dim=512))

    @pytest.mark.skipif(WINDOW not in _device.artifacts(), reason="the wheel was made without windows")
    def test_windows_are_those_that_were_compiled(self, stub):
        sinks = StubTensor(np.zeros(4, np.float32))
        sage.attention(*tensors(), causal=True, window=(127, None), sinks=sinks)
        sage.attention(*tensors(), window=(127, 0), sinks=sinks)
        assert [module.artifact.mask for module in _device.state().modules.values()] == [WINDOW.features()]
        with pytest.raises(sage.UnsupportedError, match="left = 100, sinks with f16 is not precompiled .* there are: .*"
                                                        "causal_bottom_right, left = 127, sinks.*sage-compile"):
            sage.attention(*tensors(), causal=True, window=(100, None), sinks=sinks)
        with pytest.raises(sage.UnsupportedError, match="is not precompiled"):
            sage.attention(*tensors(), causal=True, alignment="top-left", window=(127, None), sinks=sinks)

    def test_cache_of_assembled_code(self, stub, tmp_path):
        if not any(entry[:4] == ("sm_89", "sage2-8b", 64, "f16") for entry in sage.artifacts()):
            pytest.skip("the wheel was made without sm_89/sage2-8b-d64-f16")
        stub.sage_stub_set_devices(1, 8, 9)
        origins = []
        for _ in range(2):  # the stub takes no real cubin, and assembles
            sage.configure(driver=STUB, cache_dir=tmp_path / "cache")
            sage.attention(*tensors())
            origins += [module.origin for module in _device.state().modules.values()]
        assert "now stored in the cubin cache" in origins[0] and origins[1].startswith("cubin cache")
        assert len(list((tmp_path / "cache").iterdir())) == 1

    def test_another_chip(self, stub):
        stub.sage_stub_set_devices(1, 7, 5)
        sage.configure(driver=STUB)
        with pytest.raises(sage.DeviceError, match="compute capability 8.0 or later, but Stub GPU has 7.5"):
            sage.attention(*tensors())

    def test_mixed_devices(self, stub):
        q, k, v = tensors()
        with pytest.raises(sage.InvalidArgumentError, match="key must be on the query's device"):
            sage.attention(q, k.array, v)

    def test_the_callers_artifact(self, stub):
        artifact = _device.state().store.artifact(HAVE)
        assert (artifact.chip, artifact.recipe, artifact.head_dim, artifact.element_type) == HAVE[:4]
        assert "sage2-8b for sm_90a" in repr(artifact)
        q, k, v = tensors()
        sage.attention(q, k, v, artifact=artifact)
        with pytest.raises(sage.InvalidArgumentError, match="artifact must be for this call's mask"):
            sage.attention(q, k, v, artifact=artifact, causal=True)
        with pytest.raises(sage.InvalidArgumentError, match="recipe must be \"auto\" or the artifact's"):
            sage.attention(q, k, v, artifact=artifact, recipe="f16")
        # On the CPU an artifact's own geometry is computed.
        random = np.random.default_rng(0)
        q, k, v = (random.standard_normal((1, 2, 50, 64)).astype(np.float16) for _ in range(3))
        assert (sage.attention(q, k, v, artifact=artifact) == sage.attention(q, k, v, recipe="sage2-8b", chip="sm_90a")).all()

    def test_driver_failures_are_exceptions(self, stub):
        stub.sage_stub_fail(b"cuModuleLoadDataEx", 1, 719)
        stub.sage_stub_fail(b"cuLaunchKernel", 1, 719)
        with pytest.raises(sage.DeviceError, match="719"):
            sage.attention(*tensors())
            sage.attention(*tensors())

    def test_damaged_files(self, stub, tmp_path):
        folder = tmp_path / "sm_90a"
        folder.mkdir()
        (tmp_path / "index.json").write_text('{"version": 1, "artifacts": [["sm_90a", "sage2-8b", 64, "f16"]]}')
        store = Store(tmp_path)
        assert store.entries() == {HAVE}
        with pytest.raises(sage.FileError, match="cannot be read"):
            store.artifact(HAVE)
        (folder / (HAVE.name() + ".xz")).write_bytes(b"damaged")
        with pytest.raises(sage.ArtifactError, match="damaged"):
            store.artifact(HAVE)
        sage.configure(driver=STUB, artifacts=tmp_path)
        with pytest.raises(sage.ArtifactError, match="damaged"):
            sage.attention(*tensors())


def test_pack_and_unpack():
    members = {"f16": (b"ptx\n\0", b"cubin\n", b'{"a": 1}'), "bf16": (b"other", b"", b"")}
    packed = pack(members)
    assert {name: unpack(packed, name) for name in members} == members
    with pytest.raises(sage.ArtifactError, match="nothing in it is for f32"):
        unpack(packed, "f32")
    for damaged in (packed[:-1], lzma.compress(b"[]\n"), lzma.compress(b'{"f16": 3}\n'), b""):
        with pytest.raises(sage.ArtifactError, match="damaged"):
            unpack(damaged, "f16")


def test_without_artifacts(stub, tmp_path):
    sage.configure(driver=STUB, artifacts=tmp_path)
    assert sage.artifacts() == []
    with pytest.raises(sage.UnsupportedError, match="the package carries no artifact for sm_90a .*sage-compile"):
        sage.attention(*tensors())
