"""`sage.attention` on arrays of other libraries, through DLPack."""
from report import Report, relative_l1

import torch
import torch.nn.functional as F

import sage


def exact(q, k, v, **named):
    return F.scaled_dot_product_attention(q.double(), k.double(), v.double(), **named)


def draw(dtype=torch.float16):
    return [torch.randn(2, 4, 333, 64, device="cuda", dtype=dtype) for _ in range(3)]


def torch_tensors(report):
    q, k, v = draw(torch.bfloat16)
    got, lse = sage.attention(q, k, v, causal=True, alignment="top-left", return_lse=True)
    report.check("torch", relative_l1(got, exact(q, k, v, is_causal=True)) < 0.08 and lse.shape == (2, 4, 333))
    token_major = [t.transpose(1, 2).contiguous() for t in (q, k, v)]
    got = sage.attention(*token_major, layout="NHD")
    report.check("torch, NHD", relative_l1(got.transpose(1, 2), exact(q, k, v)) < 0.08)
    out, workspace = torch.empty_like(q), torch.empty(1 << 24, dtype=torch.uint8, device="cuda")
    same = sage.attention(q, k, v, out=out, workspace=workspace)
    report.check("torch, out= and workspace=", same is out and relative_l1(out, exact(q, k, v)) < 0.08)
    for name, options in (("workspace", {"workspace": workspace[:100]}), ("window", {"window": (5, 5)}),
                          ("softcap", {"softcap": 30.0}), ("head dim", {})):
        try:
            tensors = (q, k, v) if name != "head dim" else [t[..., :40] for t in (q, k, v)]
            sage.attention(*tensors, **options)
            report.check(f"refused: {name}", False, "it was accepted")
        except sage.SageError as error:
            report.check(f"refused: {name}", True, error)


def recipes_by_head(report):
    """What sage-calibrate writes: one tensor, computed by a call for each run of heads."""
    q, (k, v) = draw()[0], [t[:, :2] for t in draw()[1:]]
    recipes = ["sage-8b", "sage-4b"]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    got = sage.attention(q, k, v, causal=True, alignment="top-left", recipe=recipes, stream=stream.cuda_stream)
    torch.cuda.current_stream().wait_stream(stream)
    each = [sage.attention(q[:, 2 * i:2 * i + 2], k[:, i:i + 1], v[:, i:i + 1], causal=True, alignment="top-left", recipe=recipe)
            for i, recipe in enumerate(recipes)]
    report.check("recipes by head are those of the heads", torch.equal(got, torch.cat(each, 1)))
    wanted = exact(q, k, v, is_causal=True, enable_gqa=True)
    report.check("recipes by head", relative_l1(got[:, :2], wanted[:, :2]) < 0.08 and relative_l1(got[:, 2:], wanted[:, 2:]) < 0.45)
    try:
        sage.attention(q, k, v, recipe=recipes, softcap=30.0)
        report.check("recipes by head that are missing", False, "it was accepted")
    except sage.UnsupportedError as error:
        report.check("recipes by head that are missing", "'sage-8b' of key heads 0 to 0" in str(error), error)


def cupy_arrays(report):
    import cupy
    q, k, v = draw()
    arrays = [cupy.from_dlpack(t) for t in (q, k, v)]
    torch.cuda.synchronize()
    got = sage.attention(*arrays)
    report.check("cupy", isinstance(got, cupy.ndarray) and relative_l1(torch.from_dlpack(got), exact(q, k, v)) < 0.08)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        doubled = [array * cupy.float16(0.5) for array in arrays]
        got = sage.attention(*doubled)
    stream.synchronize()
    report.check("cupy, a stream", relative_l1(torch.from_dlpack(got), exact(q * 0.5, k * 0.5, v * 0.5)) < 0.08)


def jax_arrays(report):
    import jax
    q, k, v = draw()
    arrays = [jax.dlpack.from_dlpack(t) for t in (q, k, v)]
    got = sage.attention(*arrays)
    report.check("jax", isinstance(got, jax.Array) and relative_l1(torch.from_dlpack(got), exact(q, k, v)) < 0.08)
    doubled = [array * jax.numpy.float16(0.5) for array in arrays]  # not ready yet
    got = sage.attention(*doubled)
    report.check("jax, a pending result", relative_l1(torch.from_dlpack(got), exact(q * 0.5, k * 0.5, v * 0.5)) < 0.08)


def main():
    torch.manual_seed(0)
    report = Report()
    report.section(torch_tensors)
    if sage.devices()[0].chip in ("sm_80", "sm_86"):
        report.check("sage-8b and sage-4b need 8-bit floats: nothing was run", True)
    else:
        report.section(recipes_by_head)
    for name, section in (("cupy", cupy_arrays), ("jax", jax_arrays)):
        try:
            __import__(name)
        except ImportError:
            report.check(f"{name} is not installed: nothing was run", True)
            continue
        report.section(section)
    report.finish()


if __name__ == "__main__":
    main()
