"""Random arguments of scaled_dot_product_attention against PyTorch's own function in float64, and ones that must raise."""
import random
import sys

from report import Report, relative_l1

import torch
import torch.nn.functional as F

import sage
import sage.torch

ACCEPTED, REFUSED = 560, 90
#: Bound of the relative L1 error against float64 on N(0,1) inputs with a scale of about 1/√D, by recipe.
BOUNDS = {"f16": 0.012, "sage1": 0.04, "sage2-8b": 0.08, "sage2pp": 0.08, "sage2-4b": 0.45, "sage-8b": 0.08, "sage-4b": 0.45}
RECIPES = ["auto"] * 5 + ["sage2-8b", "f16", "f16", "sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b"]
#: Recipes whose row sums add codes of E4M3 (`row_sum = quantized`).
CODED_SUMS = ("sage2-8b", "sage-8b", "sage2-4b", "sage-4b")
#: Recipes whose artifacts have masks beyond causality and head dims beyond 128.
EVERYWHERE = ("auto", "sage2-8b", "f16")


def tensor(rnd, shape, dtype):
    """Dense, a transposed view, a slice of something larger, or broadcast along the batch."""
    kind = rnd.choice(["dense"] * 4 + ["token-major"] * 3 + ["slice", "offset", "channels", "broadcast"])
    make = lambda *extents: torch.randn(*extents, device="cuda", dtype=torch.float32).to(dtype)
    *lead, h, n, d = shape
    if kind == "token-major":
        return make(*lead, n, h, d).transpose(-2, -3)
    if kind == "slice":
        return make(*lead, h, n + 3, d)[..., 2:n + 2, :]
    if kind == "offset":  # an odd address, and rows that are not aligned
        return make(*lead, h, n, d + 3)[..., 1:d + 1]
    if kind == "channels":  # channels are not contiguous
        return make(*lead, h, d, n).transpose(-1, -2)
    if kind == "broadcast" and lead:
        return make(*[1] * len(lead), h, n, d).expand(shape)
    return make(*shape)


def length(rnd):
    return rnd.choice([rnd.randint(1, 40), rnd.randint(1, 300), rnd.randint(1, 300), rnd.randint(300, 1500), 128, 1024, 1])


def mask_for(rnd, lead, h, queries, keys, dtype):
    """(mask, whether some row sees nothing)"""
    shape = rnd.choice([(queries, keys), (1, keys), (h, queries, keys), (*lead, 1, queries, keys), (*lead, h, queries, keys),
                        (*lead, 1, 1, keys)])
    if rnd.random() < 0.6:
        mask = torch.rand(shape, device="cuda") < rnd.choice([0.5, 0.9])
        if rnd.random() < 0.3:
            mask[..., 0, :] = False
        return mask
    mask = torch.randn(shape, device="cuda").to(rnd.choice([dtype, torch.float32]))
    if rnd.random() < 0.4:
        mask = mask.masked_fill(torch.rand(shape, device="cuda") < 0.3, -torch.inf)
    return mask


def draw(rnd):
    """(positional arguments, named arguments of PyTorch, recipe, what it is)"""
    recipe, dtype = rnd.choice(RECIPES), rnd.choice([torch.float16, torch.bfloat16])
    rank = rnd.choice([4] * 8 + [3, 5])
    lead = {3: (), 4: (rnd.randint(1, 4),), 5: (2, rnd.randint(1, 2))}[rank]
    key_heads = rnd.choice([1, 2, 3, 4])
    heads = key_heads * rnd.choice([1, 1, 2, 4, 7])
    queries, keys = length(rnd), length(rnd)
    dims = [64, 64, 128, 128, 96, 40, 80, 17, 8, 120] + ([256, 160, 200, 136] if recipe in EVERYWHERE else [])
    d = rnd.choice(dims)
    dv = rnd.choice([d, d, d, d, rnd.choice(dims)])
    query, key, value = (tensor(rnd, (*lead, h, n, c), dtype)
                         for h, n, c in ((heads, queries, d), (key_heads, keys, d), (key_heads, keys, dv)))
    named = {"enable_gqa": heads != key_heads or rnd.random() < 0.2}
    if rnd.random() < 0.3:
        named["is_causal"] = True
    elif recipe in EVERYWHERE and rnd.random() < 0.45:
        named["attn_mask"] = mask_for(rnd, lead, heads, queries, keys, dtype)
    if rnd.random() < 0.25:
        named["scale"] = d**-0.5 * rnd.uniform(0.4, 1.3)
    mask = named.get("attn_mask")
    what = (f"{recipe} {str(dtype)[6:]} q {tuple(query.shape)}/{query.stride()} k {tuple(key.shape)}/{key.stride()} v "
            f"{tuple(value.shape)}/{value.stride()} " + ", ".join(f"{k}={v}" for k, v in named.items() if k != "attn_mask")
            + (f" mask {mask.dtype} {tuple(mask.shape)}" if mask is not None else ""))
    return (query, key, value), named, recipe, what


def wanted_of(arguments, named):
    """PyTorch's function in float64, with rows that see nothing as 0."""
    mask = named.get("attn_mask")
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.double()
    named = {**named, "attn_mask": mask}
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.nan_to_num(F.scaled_dot_product_attention(*(a.double() for a in arguments), **named), nan=0.0)


def accepted(report, seed):
    rnd = random.Random(seed)
    torch.manual_seed(seed)
    worst, by_recipe = {}, {}
    for index in range(ACCEPTED):
        arguments, named, recipe, what = draw(rnd)
        resolved = "sage2-8b" if recipe == "auto" else recipe
        try:
            got = sage.torch.scaled_dot_product_attention(*arguments, **named, recipe=recipe)
            wanted = wanted_of(arguments, named)
            error = relative_l1(got, wanted)
        except Exception as failure:  # noqa: BLE001
            report.check(f"accepted {index}", False, f"{what}: {type(failure).__name__}: {failure}")
            if "CUDA" in str(failure):
                raise
            continue
        by_recipe[resolved] = by_recipe.get(resolved, 0) + 1
        worst[resolved] = max(worst.get(resolved, 0.0), error)
        passed = (got.shape == wanted.shape and got.dtype == arguments[0].dtype and error <= BOUNDS[resolved]
                  and bool(torch.isfinite(got).all()))
        report.check(f"accepted {index}", passed, f"{what}: relative L1 {error:.4f}, at most {BOUNDS[resolved]}")
    for recipe, error in sorted(worst.items()):
        report.figure(f"{recipe}: sets", by_recipe[recipe])
        report.figure(f"{recipe}: largest relative L1 (bound {BOUNDS[recipe]})", error)


def refusals(rnd):
    """(what, positional, named): PyTorch may compute these; here they raise, and say what is accepted."""
    dtype = rnd.choice([torch.float16, torch.bfloat16])
    n, h, d = rnd.randint(1, 200), rnd.choice([2, 4]), rnd.choice([64, 128])
    make = lambda *shape, t=dtype: torch.randn(*shape, device="cuda").to(t)
    q, k, v = make(2, h, n, d), make(2, h, n + 3, d), make(2, h, n + 3, d)
    yield "dropout", (q, k, v), {"dropout_p": 0.1}
    yield "gradient", (q.clone().requires_grad_(), k, v), {}
    yield "gradient of V", (q, k, v.clone().requires_grad_()), {}
    yield "float32", (q.float(), k.float(), v.float()), {}
    yield "float64", (q.double(), k.double(), v.double()), {}
    yield "mixed types", (q, k.float(), v), {}
    yield "head dim", (make(1, 2, n, 320), make(1, 2, n, 320), make(1, 2, n, 320)), {}
    yield "mask and causal", (q, k, v), {"attn_mask": make(n, n + 3), "is_causal": True}
    yield "mask's shape", (q, k, v), {"attn_mask": make(n, n + 2)}
    yield "mask's type", (q, k, v), {"attn_mask": make(n, n + 3, t=torch.float64)}
    yield "mask's device", (q, k, v), {"attn_mask": torch.ones(n, n + 3, dtype=torch.bool)}
    yield "key's device", (q, k.cpu(), v), {}
    yield "scale 0", (q, k, v), {"scale": 0.0}
    yield "scale NaN", (q, k, v), {"scale": float("nan")}
    yield "negative scale", (q, k, v), {"scale": -0.1}
    yield "heads", (make(2, 6, n, d), make(2, 4, n, d), make(2, 4, n, d)), {"enable_gqa": True}
    yield "heads without GQA", (make(2, 6, n, d), make(2, 3, n, d), make(2, 3, n, d)), {}
    yield "key's head dim", (q, k[..., :32], v), {}
    yield "tokens", (q, k, v[:, :, :-1]), {}
    yield "batch", (q, make(3, h, n + 3, d), make(3, h, n + 3, d)), {}
    yield "one dimension", (q[0, 0, 0], k[0, 0, 0], v[0, 0, 0]), {}
    yield "nested", (torch.nested.nested_tensor([q[0], q[1]]), k, v), {}
    yield "no tensor", (q, None, v), {}


def refused(report, seed):
    rnd = random.Random(seed)
    seen = 0
    while seen < REFUSED:
        for what, arguments, named in refusals(rnd):
            seen += 1
            try:
                sage.torch.scaled_dot_product_attention(*arguments, **named)
                report.check(f"refused: {what}", False, "it was accepted")
            except sage.SageError as error:
                report.check(f"refused: {what}", "must" in str(error), str(error))
            except Exception as error:  # noqa: BLE001
                report.check(f"refused: {what}", False, f"{type(error).__name__}: {error}")
    report.figure("refused sets", seen)
    q = torch.randn(1, 2, 50, 64, device="cuda")
    got = sage.torch.scaled_dot_product_attention(q, q, q, fallback=True)
    report.check("fallback is PyTorch's", torch.equal(got, F.scaled_dot_product_attention(q, q, q)))


def edges(report):
    """No queries, no keys, no batch; rows that see nothing are exactly 0."""
    for b, queries, keys in ((1, 0, 5), (1, 5, 0), (0, 5, 5), (2, 1, 1)):
        q = torch.randn(b, 2, queries, 64, device="cuda", dtype=torch.float16)
        k = torch.randn(b, 2, keys, 64, device="cuda", dtype=torch.float16)
        got = sage.torch.scaled_dot_product_attention(q, k, k)
        wanted = torch.nan_to_num(F.scaled_dot_product_attention(q.double(), k.double(), k.double()))
        report.check(f"batch {b}, {queries} queries, {keys} keys", got.shape == wanted.shape and relative_l1(got, wanted) < 0.08)
    q = torch.randn(1, 2, 300, 64, device="cuda", dtype=torch.float16)
    mask = torch.rand(300, 300, device="cuda") < 0.5
    mask[7:20] = False
    got = sage.torch.scaled_dot_product_attention(q, q, q, mask)
    report.check("rows that see nothing are 0", bool((got[:, :, 7:20] == 0).all() and (got[:, :, 20:] != 0).any()))


def code_weights(q, k, causal):
    """For each row, by how much codes of E4M3 that come out as their neighbours move the LSE: see `lse_against`."""
    group, (queries, keys) = q.shape[1] // k.shape[1], (q.shape[2], k.shape[2])
    scores = q.double() @ k.double().repeat_interleave(group, 1).transpose(-1, -2) * q.shape[3]**-0.5
    if causal:
        scores = scores.masked_fill(torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1), -torch.inf)
    return torch.nan_to_num(scores.softmax(-1)).topk(min(3, keys)).values[..., 1:].sum(-1) / 8


def lse_against(recipe, q, k, causal, wanted, got):
    """What part of its limit the LSE's distance from the reference is, as test/gpu/runner/ErrorBound.h derives it.

    Sums of floats: roundings alone, relative to |LSE|. Sums of P8 pass an accumulator that cuts off addends; and where p lies
    at a boundary of E4M3 the other code may come out, up to an eighth of p away: the LSE moves by an eighth of that key's
    weight. A row that sees hundreds of keys hardly feels it, one of two keys by up to 2^-4. The heaviest key never does: it is
    the row's maximum, whose p is a code itself. Two such keys in a row are allowed for; since one row in hundreds has any, the
    mean of the rows has the limit of rows that have none, and of one that has.
    """
    finite = torch.isfinite(wanted)
    if not torch.equal(torch.isfinite(got), finite):
        return float("inf")
    if not finite.any():
        return 0.0
    errors = (got - wanted)[finite].abs().double()
    rounded = (1e-3 if recipe in CODED_SUMS else 1e-4) * wanted[finite].abs().double().clamp_min(1)
    codes = code_weights(q, k, causal)[finite] if recipe in CODED_SUMS else torch.zeros_like(errors)
    mean_limit = rounded.mean() + codes.max() / len(codes)
    return max((errors / (rounded + codes)).max().item(), (errors.mean() / mean_limit).item())


def against_reference(report, seed):
    """The kernels against the CPU reference of their artifact: the same integers and scales, other order of sums."""
    chip = sage.devices()[0].chip
    rnd = random.Random(seed)
    worst = 0.0
    for index in range(30):
        recipe = rnd.choice(["sage2-8b", "sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b", "f16"])
        heads, queries, keys, d = rnd.choice([2, 4]), rnd.randint(1, 400), rnd.randint(1, 400), rnd.choice([64, 128])
        q = torch.randn(1, heads, queries, d).half()
        k, v = torch.randn(1, 2, keys, d).half(), torch.randn(1, 2, keys, d).half()
        causal = index % 3 == 0
        mask = "causal_bottom_right" if causal else "none"
        artifact = sage.Artifact.precompiled(next(
            entry for entry in sage.artifacts() if entry[:5] == (chip, recipe, d, "f16", mask) and not any(entry[5:])))
        wanted, lse = sage.attention(q, k, v, artifact=artifact, causal=causal, return_lse=True)
        got, got_lse = sage.attention(q.cuda(), k.cuda(), v.cuda(), recipe=recipe, causal=causal, return_lse=True)
        error = relative_l1(got.cpu(), wanted)
        lse_part = lse_against(recipe, q, k, causal, lse, got_lse.cpu())
        worst = max(worst, error)
        report.check(f"reference {index} {recipe}", error < 0.006 and lse_part <= 1,
                     f"relative L1 {error:.5f}, LSE {lse_part:.3f} of its limit")
    report.figure("largest relative L1 against the CPU reference", worst)


def main():
    report = Report()
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for section in (lambda r: accepted(r, seed), lambda r: refused(r, seed), edges, lambda r: against_reference(r, seed)):
        report.section(section)
    report.finish()


if __name__ == "__main__":
    main()
