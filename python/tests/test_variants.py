"""The simulator of variants (utils/evaluation) against the CPU reference: named recipes, and programs of any other recipe."""
import ctypes
import itertools

import numpy as np
import pytest

import sage
from sage import _library as c, _problem, _run
from conftest import exact, relative_l1

pytest.importorskip("ml_dtypes")
from evaluation.formats import round_to  # noqa: E402
from evaluation.quantization import hadamard  # noqa: E402
from evaluation.variants import RECIPES, Variant, attention  # noqa: E402

#: Rounded to f16, as the reference's O: the part of the elements that are the same bits (0.9956 is the least measured, for
#: float32 sums in another order), and the relative L1 difference of the others (the most: 9.9e-6, one P8 that is rounded up instead of
#: down).
SAME, DIFFERENCE = 0.99, 3e-5
NAMES = [name for name in RECIPES if name in c.RECIPES]


def draw(kind, heads, tokens, dim, seed):
    random = np.random.default_rng(seed)
    x = random.standard_normal((1, heads, tokens, dim))
    if kind == "bias":
        x += 5 * random.standard_normal((1, heads, 1, dim)) * (random.random((1, heads, 1, dim)) < 0.2)
    return x.astype(np.float16)


def tensors(kind="normal", heads=4, key_heads=2, queries=300, keys=500, dim=64):
    return tuple(draw(kind, h, n, dim, seed) for seed, (h, n) in
                 enumerate(((heads, queries), (key_heads, keys), (key_heads, keys))))


def assert_equal(got, reference):
    rounded = got.astype(np.float16)
    assert (rounded == reference).mean() > SAME
    assert relative_l1(rounded, reference.astype(np.float64)) < DIFFERENCE


def run_program(variant, q, k, v, causal=False, tensor_core=False):
    """The CPU reference with the variant's recipe written member by member."""
    program = c.named_program("sage2-8b", _run.CHIPS[variant.geometry])
    number = lambda names, name: names.index(name)
    c.check(c.library().sage_program_set_granularity(
        ctypes.byref(program), number(("tensor", "block", "warp", "thread", "token"), variant.granularity),
        _run.CHIPS[variant.geometry]))
    recipe = program.recipe
    recipe.qk = number(("int8", "int4", "e4m3", "f16"), variant.qk)
    recipe.smooth_q, recipe.smooth_k, recipe.smooth_v = (letter in variant.smooth for letter in "qkv")
    recipe.pv = number(("e4m3", "e5m2", "f16"), variant.pv)
    recipe.accumulation = number(("single", "two_level"), variant.accumulation)
    recipe.inner = number(("f32", "f16"), variant.inner)
    recipe.row_sum = number(("float", "quantized"), variant.row_sum)
    recipe.interval = variant.interval
    mask = _problem.mask_of(causal)
    _problem.fill_problem(program.problem, q.shape[3], v.shape[3], "f16", mask)
    out = np.empty((*q.shape[:3], v.shape[3]), np.float16)
    fields = lambda x: _run.fields(x.ctypes.data, x.shape, [s // x.itemsize for s in x.strides], "f16")
    lse = np.empty(q.shape[:3], np.float32)
    program.problem.lse = 1
    call = _run.pack_call(*map(fields, (q, k, v, out)), lse.ctypes.data, scale=q.shape[3]**-0.5)
    options = c.ReferenceOptions(threads=1, tensor_core_accumulator=int(tensor_core))
    c.check(c.library().sage_reference_run(ctypes.byref(program), call, ctypes.byref(options), None))
    return out


@pytest.mark.parametrize("chip", ["sm_89", "sm_90a"])
@pytest.mark.parametrize("recipe", NAMES)
@pytest.mark.parametrize("kind, causal", [("normal", False), ("bias", True)])
def test_named_recipes(recipe, chip, kind, causal):
    q, k, v = tensors(kind)
    got = attention(q, k, v, RECIPES[recipe].but(geometry=chip), causal=causal)
    assert_equal(got, sage.attention(q, k, v, recipe=recipe, chip=chip, causal=causal, threads=1))


def test_every_named_recipe_is_there():
    assert sorted(NAMES) == sorted(c.RECIPES)


@pytest.mark.parametrize("changes", [
    *({"qk": qk, "granularity": granularity, "geometry": chip} for qk, granularity, chip in
      itertools.product(("int8", "int4", "e4m3"), ("tensor", "block", "warp", "thread", "token"), ("sm_89", "sm_90a"))),
    *({"smooth": smooth, "qk": "int4"} for smooth in ("", "q", "k", "v", "qkv")),
    {"pv": "e5m2"}, {"pv": "e5m2", "row_sum": "float"}, {"row_sum": "float"}, {"row_sum": "float", "interval": 32},
    {"accumulation": "single", "row_sum": "float"}], ids=str)
def test_programs(changes):
    q, k, v = tensors("bias", heads=2, key_heads=1)
    variant = Variant().but(**changes)
    assert_equal(attention(q, k, v, variant), run_program(variant, q, k, v))


@pytest.mark.parametrize("changes", [{"accumulation": "single", "row_sum": "float"}, {"row_sum": "float"}, {},
                                     {"interval": 32, "row_sum": "float"}], ids=str)
def test_accumulators_of_22_bits(changes):
    q, k, v = tensors(heads=1, key_heads=1, queries=16, keys=1000, dim=32)
    variant = Variant(accumulator_bits=22).but(**changes)
    got = attention(q, k, v, variant)
    assert_equal(got, run_program(variant, q, k, v, tensor_core=True))
    # The model is at work: without it the result is another.
    assert relative_l1(got, attention(q, k, v, variant.but(accumulator_bits=32))) > 5e-5


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "f16"])
def test_rounding(name):
    import ml_dtypes
    dtype = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2, "f16": np.float16}[name]
    held = np.arange(2**16, dtype=np.uint16).view(np.float16) if name == "f16" else np.arange(256, dtype=np.uint8).view(dtype)
    held = np.sort(held.astype(np.float32)[np.isfinite(held.astype(np.float32))])
    between = np.concatenate([held[:-1] + (held[1:] - held[:-1]) * part for part in (0, 0.25, 0.5, 0.75)]).astype(np.float32)
    assert (round_to(between, name) == between.astype(dtype).astype(np.float32)).all()
    assert (np.abs(round_to(np.float32([1e9, -1e9]), name)) == (np.inf if name == "f16" else held.max())).all()


@pytest.mark.parametrize("changes, bound", [
    ({"rotate": "hadamard"}, 0.045), ({"smoothquant": True}, 0.045), ({"scales": "mse"}, 0.045),
    ({"smooth_key_block": 128}, 0.045), ({"smooth_key_block": 48, "smooth": "qk"}, 0.045), ({"query_fraction": 0.9, "key_fraction": 0.9}, 0.06),
    ({"pv": "int8", "probability_scale": "tile"}, 0.04), ({"pv": "uint8", "probability_scale": "tile"}, 0.03),
    ({"probability_scale": "tile"}, 0.045), ({"interval": 256}, 0.045), ({"interval": 512, "accumulator_bits": 22}, 0.045)],
    ids=str)
def test_studied_variants_are_attention(changes, bound):
    q, k, v = tensors()
    got = attention(q, k, v, Variant(row_sum="float").but(**changes), causal=True)
    assert relative_l1(got, exact(q, k, v, causal="bottom-right")[0]) < bound


def test_query_blocks_and_layouts():
    q, k, v = tensors(queries=500)
    whole = attention(q, k, v, RECIPES["sage2-4b"], causal=True)
    assert (attention(q, k, v, RECIPES["sage2-4b"], causal=True, query_blocks=[2, 0])
            == np.concatenate((whole[:, :, 384:], whole[:, :, :192]), axis=2)).all()
    assert (attention(q[0], k[0], v[0], RECIPES["sage2-4b"], causal=True) == whole[0]).all()


@pytest.mark.parametrize("changes", [
    {"qk": "int3"}, {"smooth": "x"}, {"interval": 48}, {"interval": -1}, {"pv": "int8", "accumulation": "single"},
    {"probability_scale": "tile", "interval": 256}, {"inner": "f16", "pv": "f16"}, {"smooth_key_block": 64, "smooth": ""},
    {"geometry": "sm_70"}], ids=str)
def test_refused(changes):
    with pytest.raises(ValueError, match="must"):
        Variant(**changes)


@pytest.mark.parametrize("dim", [64, 96, 128])
def test_rotation_keeps_products(dim):
    """And is one only for the whole of a power of two; otherwise for its blocks."""
    random = np.random.default_rng(0)
    q, k = random.standard_normal((2, 5, dim)).astype(np.float32)
    rotated = hadamard(q, False) @ hadamard(k, True).T
    assert np.abs(rotated - q @ k.T).max() < 1e-5 * np.abs(q @ k.T).max()
    one = np.zeros((1, dim), np.float32)
    one[0, 0] = 1
    assert np.count_nonzero(hadamard(one, False)) == (dim & -dim)
