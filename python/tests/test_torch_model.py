"""The engine gpu of utils/evaluation, on PyTorch's CPU tensors: against the NumPy model, the simulator and the CPU reference."""
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from evaluation import attentions, cudnn_fp8, layers, metrics, model as models, passes, perplexity, torch_attentions, torch_model, variants  # noqa: E402
from test_model import CONFIG, TOKENS, passage, tiny  # noqa: E402

QUIET = dict(report=lambda *_, **__: None)


def random_heads(seed, queries=300, keys=300, dim=64):
    random = np.random.default_rng(seed)
    return [random.standard_normal((heads, tokens, dim)).astype(np.float16).astype(np.float32)
            for heads, tokens in ((6, queries), (2, keys), (2, keys))]


def distance(got, wanted):
    return np.abs(got - wanted).sum() / np.abs(wanted).sum()


@pytest.fixture(scope="module")
def pair():
    model = tiny()
    return model, torch_model.TorchModel(model, "cpu")


def test_forward(pair):
    model, other = pair
    captured = []
    wanted = model.forward(TOKENS, logits="all")
    got = other.forward(TOKENS, logits="all", capture=lambda layer, *arrays: captured.append(arrays))
    assert isinstance(got, torch.Tensor) and distance(got.numpy(), wanted) < 1e-4
    assert [tuple(x.shape) for x in captured[1]] == [(6, 50, 8), (2, 50, 8), (2, 50, 8)]
    assert all((x == x.half()).all() for x in captured[1])
    assert distance(other.forward(TOKENS, logits=np.array([3, 7])).numpy(), wanted[[3, 7]]) < 1e-4
    with pytest.raises(ValueError, match="layer 0: V must fit float16, but reaches"):
        torch_model.TorchModel.through_float16(0, "V", torch.full((2,), 1e6))
    with pytest.raises(ValueError, match="attention must return the shape"):
        other.forward(TOKENS, attention=lambda layer, q, k, v: k)


@pytest.mark.parametrize("queries", [1, 300, 700])
def test_exact(queries):
    arrays = random_heads(queries, queries, 700)
    wanted = metrics.exact_attention(*arrays, np.arange(queries), causal=True)
    got = torch_model.exact(0, *map(torch.tensor, arrays), block=256).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_perplexity(pair, tmp_path):
    blurred = lambda layer, *arrays: torch_model.exact(layer, *map(torch.as_tensor, arrays)).round(decimals=1)
    attention = attentions.Attention("blurred", blurred, "rounded to a tenth")
    exact = torch_attentions.named("exact", "cpu")
    documents = [perplexity.measure(model, [passage()], chosen, tmp_path, **QUIET)
                 for model, chosen in zip(pair, ([attention], [exact, attention]))]
    for name in ("exact", "blurred"):
        first, second = (document["lengths"]["50"][name] for document in documents)
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-4)
    assert second["divergence"] == pytest.approx(first["divergence"], rel=0.02)
    # The engines' results stay apart, though they have one place: what is of the other is measured again.
    assert documents[0]["attentions"]["exact"] != documents[1]["attentions"]["exact"] == "exact in float64, cpu"
    assert documents[0]["model"] != documents[1]["model"] and "PyTorch" in documents[1]["model"]
    assert passes.Store(tmp_path, pair[0]).get(attentions.EXACT, passage()) is None
    assert passes.Store(tmp_path, pair[1]).get(exact, passage()) is not None


def test_fp8_head():
    arrays = random_heads(1)
    wanted = variants.attention(*arrays, variants.RECIPES["fp8-head"], causal=True)
    got = torch_attentions.fp8_head(0, *map(torch.tensor, arrays), block=128).numpy()
    error = distance(wanted, metrics.exact_attention(*arrays, np.arange(300), causal=True))
    # But for roundings at a boundary: 0.0002 measured.
    assert distance(got, wanted) < 0.01 * 0.1 and 0.02 < error < 0.1
    zero = torch.zeros(1, 5, 16)
    assert (torch_attentions.fp8_head(0, zero, zero, zero) == 0).all()


def test_attentions(tmp_path):
    arrays = random_heads(2)
    tensors = list(map(torch.tensor, arrays))
    exact = torch_model.exact(0, *tensors).float()
    assert distance(torch_attentions.named("pytorch-flash", "cpu")(0, *tensors), exact) < 0.001
    with pytest.raises(ValueError, match="no-such is no attention on tensors; choose one of exact, fp8-head"):
        torch_attentions.named("no-such", "cpu")
    sage = pytest.importorskip("sage")
    kernels = torch_attentions.named("sage2-8b", "cpu")
    np.testing.assert_array_equal(kernels(0, *tensors), attentions.reference("sage2-8b")(0, *arrays))
    table = tmp_path / "recipes.json"
    sage.RecipeTable((("sage2-4b", "sage2-8b"),)).save(table)
    mixed = torch_attentions.of_table("mixed", table, "cpu")
    np.testing.assert_array_equal(mixed(0, *tensors), attentions.of_table("mixed", table)(0, *arrays))
    np.testing.assert_array_equal(mixed(0, *tensors)[3:], kernels(0, *tensors)[3:])
    assert mixed.identity.startswith("kernels, recipes ")


def test_cudnn_fp8(monkeypatch):
    """The scales that cuDNN is given: a graph that does what its documentation says, in float32."""
    class Graph:
        def execute(self, pack, workspace):
            q, k, v = (pack[name][0].float() * pack["descale_" + name] for name in "qkv")
            pack["o"][0] = (torch_model.exact(0, q[0], k[0], v[0]) * pack["scale_o"][0]).to(torch.float8_e4m3fn)
            assert float(pack["descale_s"] * pack["scale_s"]) == 1

    def build(query, key):
        names = ["q", "k", "v", "o", "amax_s", "amax_o", "descale_q", "descale_k", "descale_v", "descale_s", "scale_s", "scale_o"]
        return Graph(), names, torch.empty_like(query), None, [None, None]
    monkeypatch.setattr(cudnn_fp8.CudnnFp8, "_build", staticmethod(build))
    tensors = list(map(torch.tensor, random_heads(3)))
    exact = torch_model.exact(0, *tensors).float()
    assert 0.01 < distance(cudnn_fp8.CudnnFp8()(0, *tensors), exact) < 0.08


def test_layers(pair, tmp_path):
    pytest.importorskip("sage")
    fails = attentions.Attention("fails", lambda *_: 1 / 0, "")
    exact, flash = (torch_attentions.named(name, "cpu") for name in ("exact", "pytorch-flash"))
    passages = [passage(), passage("random-50-1", TOKENS[::-1])]
    document = layers.measure(pair[1], passages, [exact, flash, fails], tmp_path, **QUIET)
    assert document == json.loads((tmp_path / "layers.json").read_text()) and document["failed"] == {
        "fails": "ZeroDivisionError: division by zero"}
    figures = document["lengths"]["50"]
    assert list(figures) == ["pytorch-flash"] and 0 < figures["pytorch-flash"]["relative_l1"]["mean"] < 0.001
    assert len(figures["pytorch-flash"]["layers"]) == CONFIG.layers and len(figures["pytorch-flash"]["relative_l1"]["units"]) == 2
    assert "fails failed: Zero" in layers.table(document)
    got, wanted = (torch.tensor(x) for x in random_heads(4)[1:])
    np.testing.assert_allclose(layers.sums_of(got, wanted), metrics.sums_of(got.numpy(), wanted.numpy()), rtol=1e-12)


def test_agreement():
    row = layers.Agreement.row
    one = np.array([[1, -2]], np.float16)
    next_one = np.nextafter(one, np.float16(9)).astype(np.float16)
    zero = np.zeros((1, 1), np.float32)
    assert row(one, zero, one, zero, one) == {"relative_l1": 0, "equal": 1, "steps": 0, "difference": 0, "lse": 0, "kernel": 0,
                                              "reference": 0}
    other = row(next_one, zero + 0.5, one, zero, one)
    assert other["steps"] == 1 and other["equal"] == 0 and other["lse"] == 0.5 and other["difference"] == 2 ** -10
    assert np.abs(np.diff(layers.ordered(np.array([-0.0, 0.0, 6e-8], np.float16)))).tolist() == [0, 1]


def test_command(monkeypatch, capsys):
    assert passes.pair("a, b=c=d") == ("a, b", "c=d")
    with pytest.raises(Exception, match="must be NAME=FILE, but is abc"):
        passes.pair("abc")
    monkeypatch.setattr(models, "load", lambda path: tiny())
    monkeypatch.setattr(sys, "argv", ["x", "--artifact", "a=b"])
    with pytest.raises(SystemExit, match="--artifact must come with --engine=gpu"):
        passes.main("perplexity", "", None, None)
    arguments = SimpleNamespace(engine="gpu", device="cpu", weights=None, attention=["fp8-head"], artifact=[], table=[], source=None,
                                length=[20], count=1, text="none")
    monkeypatch.setattr(passes.text, "passages", lambda *_: [])
    model, _, chosen = passes.prepare(arguments)
    assert isinstance(model, torch_model.TorchModel) and [each.name for each in chosen] == ["exact", "fp8-head"]
