"""`sage.attention` on the CPU against float64."""
import numpy as np
import pytest

import sage
from conftest import BOUNDS, exact, relative_l1


@pytest.mark.parametrize("chip, recipe", [("sm_80", "sage1"), ("sm_86", "sage1"), ("sm_89", "sage2-8b"), ("sm_90a", "sage2-8b")])
def test_auto(inputs, chip, recipe):
    assert (sage.attention(*inputs(), chip=chip) == sage.attention(*inputs(), chip=chip, recipe=recipe)).all()


@pytest.mark.parametrize("chip", ["sm_80", "sm_90a"])
@pytest.mark.parametrize("recipe", BOUNDS)
def test_recipes(inputs, recipe, chip):
    q, k, v = inputs()
    got, lse = sage.attention(q, k, v, recipe=recipe, chip=chip, return_lse=True)
    wanted, wanted_lse = exact(q, k, v)
    assert got.dtype == np.float16 and got.shape == q.shape and lse.dtype == np.float32
    assert relative_l1(got, wanted) < BOUNDS[recipe]
    assert np.abs(lse - wanted_lse).max() < (0.5 if recipe.endswith("-4b") else 0.06)


@pytest.mark.parametrize("alignment", ["top-left", "bottom-right"])
@pytest.mark.parametrize("queries, keys", [(70, 90), (90, 70), (1, 50), (50, 1)])
def test_causal(inputs, alignment, queries, keys):
    q, k, v = inputs(queries=queries, keys=keys)
    got, lse = sage.attention(q, k, v, causal=True, alignment=alignment, recipe="f16", return_lse=True)
    wanted, wanted_lse = exact(q, k, v, causal=alignment)
    assert relative_l1(got, wanted) < BOUNDS["f16"]
    assert (np.isinf(lse) == np.isinf(wanted_lse)).all()


def test_bottom_right_is_the_default(inputs):
    q, k, v = inputs(queries=1, keys=50)
    assert (sage.attention(q, k, v, causal=True) == sage.attention(q, k, v)).all()


@pytest.mark.parametrize("kind", ["bool", "f16", "f32"])
@pytest.mark.parametrize("shape", [(70, 90), (1, 90), (4, 70, 90), (2, 1, 70, 90), (2, 1, 1, 90)])
def test_bias(inputs, kind, shape):
    q, k, v = inputs()
    random = np.random.default_rng(1)
    if kind == "bool":
        bias = random.random(shape) < 0.7
        got, wanted = sage.attention(q, k, v, bias=bias, recipe="f16"), exact(q, k, v, hidden=~bias)
    else:
        bias = random.standard_normal(shape).astype({"f16": np.float16, "f32": np.float32}[kind])
        got, wanted = sage.attention(q, k, v, bias=bias, recipe="f16"), exact(q, k, v, bias=bias)
    assert relative_l1(got, wanted[0]) < BOUNDS["f16"]


def test_layouts_and_strides(inputs):
    q, k, v = inputs()
    wanted = sage.attention(q, k, v)
    swapped = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in (q, k, v)]
    assert (sage.attention(*swapped, layout="NHD").transpose(0, 2, 1, 3) == wanted).all()
    views = [x.transpose(0, 2, 1, 3) for x in swapped]
    assert (sage.attention(*views) == wanted).all()
    wide = np.zeros((*q.shape[:3], 100), np.float16)
    wide[..., 7:71] = q
    assert (sage.attention(wide[..., 7:71], k, v) == wanted).all()


def test_out_is_written_and_returned(inputs):
    q, k, v = inputs()
    out = np.full_like(q, np.nan)
    assert sage.attention(q, k, v, out=out) is out
    assert (out == sage.attention(q, k, v)).all()


def test_scale(inputs):
    q, k, v = inputs()
    got = sage.attention(q, k, v, scale=0.3, recipe="f16")
    assert relative_l1(got, exact(q, k, v, scale=0.3)[0]) < BOUNDS["f16"]
    assert (sage.attention(q, k, v, scale=1 / 8) == sage.attention(q, k, v)).all()


def test_window_and_sink_tokens(inputs):
    q, k, v = inputs()
    i, j = np.arange(70)[:, None] + 20, np.arange(90)[None]
    for window, hidden in (((10, 5), (j < i - 10) | (j > i + 5)), ((10, None), j < i - 10), ((None, 5), j > i + 5)):
        got = sage.attention(q, k, v, window=window, recipe="f16")
        assert relative_l1(got, exact(q, k, v, hidden=hidden)[0]) < BOUNDS["f16"]
    got = sage.attention(q, k, v, window=(10, 0), sink_tokens=3, causal=True, recipe="f16")
    assert relative_l1(got, exact(q, k, v, hidden=((j < i - 10) & (j >= 3)) | (j > i))[0]) < BOUNDS["f16"]


def test_softcap_and_sinks(inputs):
    q, k, v = inputs()
    scores = np.einsum("bhid,bhjd->bhij", q.astype(float), np.repeat(k, 2, 1).astype(float)) / 8
    capped = 2 * np.tanh(scores / 2)
    got = sage.attention(q, k, v, softcap=2.0, recipe="f16")
    assert relative_l1(got, exact(q, k, v, bias=capped - scores)[0]) < BOUNDS["f16"]
    sinks = np.array([0.5, -1, 2, 0], np.float32)
    wanted, lse = exact(q, k, v)
    share = 1 / (1 + np.exp(sinks[None, :, None] - lse))
    got = sage.attention(q, k, v, sinks=sinks, recipe="f16")
    assert relative_l1(got, wanted * share[..., None]) < BOUNDS["f16"]


def test_key_lengths(inputs):
    q, k, v = inputs()
    lengths = np.array([90, 13], np.int32)
    k[1, :, 13:] = np.nan  # padding is not read into a result
    got = sage.attention(q, k, v, key_lengths=lengths)
    for b, n in enumerate(lengths):
        assert (got[b] == sage.attention(q[b:b + 1], k[b:b + 1, :, :n], v[b:b + 1, :, :n])[0]).all()


def test_packed_sequences(inputs):
    q, k, v = inputs(batch=1)
    starts, key_starts = np.array([0, 30, 30, 70], np.int32), np.array([0, 20, 50, 90], np.int32)
    got = sage.attention(q, k, v, query_offsets=starts, key_offsets=key_starts, causal=True)
    for s in (0, 2):
        n, m = slice(starts[s], starts[s + 1]), slice(key_starts[s], key_starts[s + 1])
        assert (got[:, :, n] == sage.attention(q[:, :, n], k[:, :, m], v[:, :, m], causal=True)).all()


@pytest.mark.parametrize("batch, queries, keys", [(1, 0, 5), (1, 5, 0), (0, 5, 5)])
def test_empty(inputs, batch, queries, keys):
    q, k, v = inputs(batch=batch, queries=queries, keys=keys)
    got, lse = sage.attention(q, k, v, return_lse=True)
    assert got.shape == q.shape and (got == 0).all() and np.isneginf(lse).all()


def test_results_do_not_depend_on_threads(inputs):
    q, k, v = inputs()
    assert (sage.attention(q, k, v, threads=1) == sage.attention(q, k, v, threads=3)).all()


def test_bfloat16(inputs):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    q, k, v = (x.astype(ml_dtypes.bfloat16) for x in inputs())
    got = sage.attention(q, k, v)
    assert got.dtype == ml_dtypes.bfloat16
    assert relative_l1(got, exact(*(x.astype(np.float32) for x in (q, k, v)))[0]) < BOUNDS["sage2-8b"]


def test_any_dlpack_tensor_on_the_cpu(inputs):
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    q, k, v = inputs()
    assert (sage.attention(Foreign(q), Foreign(k), Foreign(v)) == sage.attention(q, k, v)).all()
