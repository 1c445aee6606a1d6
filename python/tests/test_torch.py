"""`sage.torch` on CPU tensors against PyTorch's own function in float64."""
import random
import subprocess
import sys
import warnings

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

import sage  # noqa: E402
import sage.torch as st  # noqa: E402
from sage.torch import _plans  # noqa: E402

BOUND = 0.01  # of recipe f16; bfloat16 too


def relative_l1(got, wanted):
    wanted = torch.nan_to_num(wanted.double())
    return ((got.double() - wanted).abs().sum() / wanted.abs().sum().clamp_min(1e-12)).item()


def exact(q, k, v, mask=None, causal=False, scale=None, gqa=False):
    mask = mask if mask is None or mask.dtype == torch.bool else mask.double()
    return F.scaled_dot_product_attention(q.double(), k.double(), v.double(), mask, 0.0, causal, scale=scale, enable_gqa=gqa)


def tensors(lead=(2,), heads=4, key_heads=4, n=33, m=40, d=64, dv=None, dtype=torch.float16):
    torch.manual_seed(0)
    return (torch.randn(*lead, heads, n, d).to(dtype), torch.randn(*lead, key_heads, m, d).to(dtype),
            torch.randn(*lead, key_heads, m, dv or d).to(dtype))


def test_the_first_call_imports_nothing():
    """Some of PyTorch's functions import sympy when they are first called, for seconds on a cold disk."""
    call = "sage.torch.scaled_dot_product_attention(*[torch.zeros({}, dtype=torch.float16)] * 3)"
    program = ("import sys, torch, sage.torch; modules = set(sys.modules); "
               + "; ".join(call.format(shape) for shape in ("1, 2, 40, 64", "2, 40, 64", "3, 1, 2, 40, 64"))
               + "; print(sorted(set(sys.modules) - modules))")
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_random_arguments():
    draw = random.Random(1)
    torch.manual_seed(1)
    for _ in range(120):
        rank = draw.choice([4, 4, 4, 3, 2, 5])
        lead = {2: (), 3: (), 4: (draw.choice([1, 2, 3]),), 5: (2, draw.choice([1, 3]))}[rank]
        key_heads, group = draw.choice([1, 2, 3]), draw.choice([1, 1, 2, 4]) if rank > 2 else 1
        n, m, d = draw.randint(1, 130), draw.randint(1, 140), draw.choice([8, 17, 40, 64, 128])
        dtype = draw.choice([torch.float16, torch.bfloat16])
        heads = lambda h: () if rank == 2 else (h,)
        q = torch.randn(*lead, *heads(key_heads * group), n, d).to(dtype)
        k = torch.randn(*lead, *heads(key_heads), m, d).to(dtype)
        v = torch.randn(*lead, *heads(key_heads), m, draw.choice([d, 32])).to(dtype)
        if rank == 4 and draw.random() < 0.5:
            q = q.transpose(1, 2).contiguous().transpose(1, 2)
        if draw.random() < 0.2:
            k = k.transpose(-1, -2).contiguous().transpose(-1, -2)
        causal, mask = draw.random() < 0.3, None
        if not causal and draw.random() < 0.6:
            shape = draw.choice([(n, m), (1, m), (*heads(key_heads * group), n, m), (*lead, *heads(1), n, m)])
            mask = torch.rand(shape) < 0.7 if draw.random() < 0.5 else torch.randn(shape).to(draw.choice([dtype, torch.float32]))
        scale = draw.choice([None, None, 0.3])
        got = st.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale, group > 1, recipe="f16")
        wanted = exact(q, k, v, mask, causal, scale, group > 1)
        assert got.shape == wanted.shape and got.dtype == dtype
        assert relative_l1(got, wanted) < BOUND, (q.shape, k.shape, v.shape, causal, mask is not None, scale)


def test_causal_is_top_left():
    q, k, v = tensors()
    seen = torch.ones(33, 40, dtype=torch.bool).tril()
    got = st.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.equal(got, st.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1 / 8))
    assert relative_l1(got, exact(q, k, v, seen)) < 0.06


def test_broadcasting():
    q, k, v = tensors(key_heads=1)
    assert relative_l1(st.scaled_dot_product_attention(q, k, v, recipe="f16"), exact(q, k, v)) < BOUND
    assert relative_l1(st.scaled_dot_product_attention(q[:1], k, v, recipe="f16"), exact(q[:1], k, v)) < BOUND
    q, k, v = tensors(heads=1, key_heads=4)
    assert relative_l1(st.scaled_dot_product_attention(q, k, v, recipe="f16"), exact(q, k, v)) < BOUND


def test_rows_that_see_nothing_are_zero():
    q, k, v = tensors()
    mask = torch.ones(33, 40, dtype=torch.bool)
    mask[3] = False
    assert (st.scaled_dot_product_attention(q, k, v, mask)[:, :, 3] == 0).all()


def test_autocast():
    q, k, v = (tensor.float() for tensor in tensors())
    with torch.autocast("cpu", torch.bfloat16):
        got = st.scaled_dot_product_attention(q, k, v, recipe="f16")
    assert got.dtype == torch.bfloat16 and relative_l1(got, exact(q, k, v)) < 0.02


Q, K, V = tensors(n=20, m=20)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch calls nested tensors a prototype
    NESTED = {layout: torch.nested.nested_tensor([Q[0], Q[1]], layout=layout) for layout in (torch.strided, torch.jagged)}
REFUSED = [
    ((Q, K, V), dict(dropout_p=0.1), sage.UnsupportedError, "dropout_p must be 0, but is 0.1"),
    ((Q.float(), K, V), {}, sage.UnsupportedError, "query.dtype must be torch.float16 or torch.bfloat16, but is torch.float32"),
    ((Q, K.bfloat16(), V), {}, sage.UnsupportedError, "key.dtype must be the query's, torch.float16, but is torch.bfloat16"),
    ((Q.clone().requires_grad_(), K, V), {}, sage.UnsupportedError, "query must not require a gradient"),
    ((Q, K, V.clone().requires_grad_()), {}, sage.UnsupportedError, "value must not require a gradient"),
    ((Q, K[:, :3], V[:, :3]), {}, sage.InvalidArgumentError, "same heads, but have 4 and 3 .*enable_gqa"),
    ((Q, K[:, :3], V[:, :3]), dict(enable_gqa=True), sage.InvalidArgumentError, "multiple of key heads .* 4 and 3"),
    ((Q, K, V), dict(attn_mask=torch.ones(20, 20), is_causal=True), sage.InvalidArgumentError, "attn_mask must be None with is_causal=True"),
    ((Q, K, V), dict(attn_mask=torch.ones(20, 19)), sage.InvalidArgumentError, r"attn_mask must broadcast to \[2, 4, 20, 20\], but has shape \[20, 19\]"),
    ((Q, K, V), dict(attn_mask=torch.ones(20, 20).double()), sage.InvalidArgumentError, "attn_mask.dtype must be bool, float32 or the query's"),
    ((Q, K, V), dict(attn_mask=[1]), sage.ArgumentTypeError, r"attn_mask must be a torch.Tensor or None, but got \[1\]"),
    ((Q, K, V), dict(scale=-1.0), sage.UnsupportedError, "scale must be finite and positive, but is -1.0"),
    ((Q, K, V), dict(scale="x"), sage.ArgumentTypeError, "scale must be a number or None, but got 'x'"),
    ((Q, K, V), dict(is_causal=1), sage.ArgumentTypeError, "is_causal must be True or False, but got 1"),
    ((Q, K[..., :32], V), {}, sage.InvalidArgumentError, "key must have the query's head dim, 64, but has 32"),
    ((Q, K, V[:, :, :3]), {}, sage.InvalidArgumentError, "same tokens, but have 20 and 3"),
    ((Q, K[:1].expand(3, -1, -1, -1), V[:1].expand(3, -1, -1, -1)), {}, sage.InvalidArgumentError, "dimension 0 .* 2, 3 and 3"),
    ((Q, K, V), dict(recipe="x"), sage.InvalidArgumentError, "recipe must be one of auto"),
    ((torch.zeros(1, 1, 4, 300).half(),) * 3, {}, sage.UnsupportedError, "query's head dim must be 1 to 256, but is 300"),
    ((Q, 3, V), {}, sage.ArgumentTypeError, "key must be a torch.Tensor, but got 3"),
    ((Q.to_sparse(), K, V), {}, sage.UnsupportedError, "query must be a dense tensor"),
    *(((*arguments,), {}, sage.UnsupportedError, f"{name} must be a dense tensor, but is nested") for nested in NESTED.values()
      for name, arguments in (("query", (nested, K, V)), ("key", (Q, nested, V)), ("value", (Q, K, nested)))),
    *(((Q, K, V), dict(attn_mask=mask), sage.UnsupportedError, "attn_mask must be a dense tensor")
      for mask in (*NESTED.values(), torch.ones(20, 20).to_sparse())),
    ((Q.to("meta"), K, V), {}, sage.UnsupportedError, "query.device must be a CPU or CUDA device, but is meta"),
    ((Q[0], K, V), {}, sage.InvalidArgumentError, "same number of dimensions"),
]


@pytest.mark.parametrize("arguments, named, kind, text", REFUSED, ids=range(len(REFUSED)))
def test_refused(arguments, named, kind, text):
    with pytest.raises(kind, match=text):
        st.scaled_dot_product_attention(*arguments, **named)


def test_nested_tensors_have_no_plan():
    """A plan is looked up by shapes and strides before anything is checked: it must leave the refusal to the checks."""
    nested = NESTED[torch.strided]
    for arguments in ((nested, K, V, None), (Q, nested, V, None), (Q, K, nested, None), (Q, K, V, nested)):
        assert not _plans.listens(*arguments) and _plans.signature((), *arguments) is None


@pytest.mark.parametrize("other", [*NESTED.values(), Q.to_sparse()], ids=["nested", "jagged", "sparse"])
def test_what_is_not_dense_is_refused_by_attention(other):
    for arguments in ((other, K, V), (Q, other, V), (Q, K, other)):
        with pytest.raises(sage.UnsupportedError, match="must be a dense tensor on the CPU or a CUDA device, but is "):
            sage.attention(*arguments)


def test_gradients_matter_only_where_they_are_recorded():
    q = Q.clone().requires_grad_()
    with torch.no_grad():
        assert torch.equal(st.scaled_dot_product_attention(q, K, V), st.scaled_dot_product_attention(Q, K, V))
    with torch.inference_mode():
        st.scaled_dot_product_attention(q, K, V)


def test_the_operator_itself_has_no_backward():
    q = Q.clone().requires_grad_()
    output, _ = torch.ops.sage.attention(q, K, V, None, None, None, None, "none", 0.125, "auto", False)
    with pytest.raises(sage.UnsupportedError, match="no backward pass"):
        output.float().sum().backward()


def test_fallback():
    q = torch.randn(1, 2, 9, 300)
    assert torch.equal(st.scaled_dot_product_attention(q, q, q, fallback=True), F.scaled_dot_product_attention(q, q, q))
    q.requires_grad_()
    st.scaled_dot_product_attention(q, q, q, fallback=True).sum().backward()
    assert q.grad is not None
    assert torch.equal(st.scaled_dot_product_attention(Q, K, V, fallback=True), st.scaled_dot_product_attention(Q, K, V))


@pytest.mark.parametrize("layout", ["HND", "NHD"])
@pytest.mark.parametrize("causal", [False, True])
def test_sageattn(layout, causal):
    q, k, v = tensors(key_heads=2, n=40, d=40)
    seen = torch.ones(40, 40, dtype=torch.bool).tril() if causal else None
    wanted = exact(q, k, v, seen, gqa=True)
    scores = (q.double() @ k.double().repeat_interleave(2, 1).transpose(2, 3)) * 40**-0.5
    wanted_lse = (scores if seen is None else scores.masked_fill(~seen, -torch.inf)).logsumexp(-1)
    swap = (lambda t: t.transpose(1, 2)) if layout == "NHD" else (lambda t: t)
    got, lse = st.sageattn(swap(q), swap(k), swap(v), layout, causal, return_lse=True)
    assert got.is_contiguous() and relative_l1(swap(got), wanted) < 0.06
    assert lse.dtype == torch.float32 and (lse - wanted_lse).abs().max() < 0.06
    assert torch.equal(st.sageattn(swap(q), swap(k), swap(v), layout, causal), got)


def test_sageattn_with_unequal_lengths():
    q, k, v = tensors()
    for alignment, diagonal in (("bottom-right", 7), ("top-left", 0)):
        seen = torch.ones(33, 40, dtype=torch.bool).tril(diagonal)
        got = st.sageattn(q, k, v, is_causal=True, causal_alignment=alignment)
        assert relative_l1(got, exact(q, k, v, seen)) < 0.06


@pytest.mark.parametrize("named, kind, text", [
    (dict(attn_mask=None), sage.ArgumentTypeError, "option must be one of recipe, causal_alignment, smooth_k, but got attn_mask=None"),
    (dict(smooth_k=False), sage.UnsupportedError, "smooth_k must be True, but is False"),
    (dict(tensor_layout="BNHD"), sage.InvalidArgumentError, "tensor_layout must be one of HND, NHD, but got 'BNHD'"),
    (dict(causal_alignment="x"), sage.InvalidArgumentError, "causal_alignment must be one of top-left, bottom-right"),
    (dict(sm_scale=0.0), sage.UnsupportedError, "sm_scale must be finite and positive, but is 0.0"),
    (dict(return_lse=1), sage.ArgumentTypeError, "return_lse must be True or False, but got 1"),
    (dict(is_causal=None), sage.ArgumentTypeError, "is_causal must be True or False, but got None"),
])
def test_sageattn_refuses(named, kind, text):
    with pytest.raises(kind, match=text):
        st.sageattn(Q, K, V, **named)


def test_sageattn_varlen():
    starts, key_starts = torch.tensor([0, 30, 30, 70]), torch.tensor([0, 20, 50, 90], dtype=torch.int32)
    torch.manual_seed(0)
    q, k, v = (torch.randn(n, h, 64).half() for n, h in ((75, 4), (90, 2), (90, 2)))
    got = st.sageattn_varlen(q, k, v, starts, key_starts, 40, 40, is_causal=True)
    for s in (0, 2):
        part = lambda t, at: t[at[s]:at[s + 1]][None]
        wanted = st.sageattn(part(q, starts), part(k, key_starts), part(v, key_starts), "NHD", True)
        assert torch.equal(got[starts[s]:starts[s + 1]], wanted[0])
    assert (got[70:] == 0).all()
    with pytest.raises(sage.InvalidArgumentError, match="cu_seqlens_k must have as many elements as cu_seqlens_q, 4, but has 3"):
        st.sageattn_varlen(q, k, v, starts, key_starts[:3])
    with pytest.raises(sage.InvalidArgumentError, match="cu_seqlens_q must be a tensor"):
        st.sageattn_varlen(q, k, v, [0, 70], key_starts)


def test_operator():
    arguments = (Q, K, V, None, None, None, None, "causal_top_left", 0.125, "auto")
    for token_major in (False, True):
        found = torch.library.opcheck(torch.ops.sage.attention.default, (*arguments, token_major))
        assert set(found.values()) == {"SUCCESS"}


def test_compile_without_graph_breaks():
    def block(q, k, v, mask):
        a = st.scaled_dot_product_attention(q * 0.5, k, v, mask)
        b, lse = st.sageattn(a.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), "NHD", return_lse=True)
        return torch.relu(b) + 1, lse

    for options in ({}, {"dynamic": True}):
        torch._dynamo.reset()
        compiled = torch.compile(block, fullgraph=True, backend="aot_eager", **options)
        for n in (33, 21):
            q, k, v = tensors(n=n, m=n)
            mask = torch.rand(n, n) < 0.8
            for got, wanted in zip(compiled(q, k, v, mask), block(q, k, v, mask)):
                assert torch.equal(got, wanted) and got.stride() == wanted.stride()


def test_transforms_and_tracing_see_the_operator():
    q, k, v = tensors()
    traced = torch.jit.trace(lambda a, b, c: st.scaled_dot_product_attention(a, b, c) * 2, (q, k, v))
    assert "sage::attention" in str(traced.graph)
    with torch.no_grad():
        assert torch.equal(traced(k, k, v), st.scaled_dot_product_attention(k, k, v) * 2)


def test_tangents_raise():
    with torch.autograd.forward_ad.dual_level():
        q = torch.autograd.forward_ad.make_dual(Q, torch.ones_like(Q))
        with pytest.raises(sage.UnsupportedError, match="query must not have a tangent"):
            st.scaled_dot_product_attention(q, K, V)
        with pytest.raises(sage.UnsupportedError, match="value must not have a tangent"):
            st.sageattn(Q, K, q)
        st.scaled_dot_product_attention(Q, K, V)


def test_negated_views():
    """The imaginary part of a conjugated tensor is one: it is negated when it is read."""
    view = torch._neg_view(Q)
    for function in (st.scaled_dot_product_attention, st.sageattn, sage.attention):
        assert torch.equal(function(view, K, V), function(view.clone(), K, V))
        assert torch.equal(function(Q, K, torch._neg_view(V)), function(Q, K, -V))


def test_sage_attention_takes_torch_tensors():
    q, k, v = tensors(dtype=torch.bfloat16)
    got = sage.attention(q, k, v)
    assert isinstance(got, torch.Tensor) and torch.equal(got, st.sageattn(q, k, v))
    for name, changed in (("query", (q.clone().requires_grad_(), k, v)), ("value", (q, k, v.clone().requires_grad_()))):
        with pytest.raises(sage.UnsupportedError, match=f"{name} must not require a gradient"):
            sage.attention(*changed)
    with pytest.raises(sage.UnsupportedError, match="key must be a dense tensor on the CPU or a CUDA device"):
        sage.attention(q, k.to("meta"), v)
