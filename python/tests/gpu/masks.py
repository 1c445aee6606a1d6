"""Windows, soft caps and sinks that the wheel carries, by `sage.attention` against attention in float64."""
from report import Report, relative_l1

import torch

import sage
from sage import _device

BOUNDS = {"f16": 0.012, "sage1": 0.04, "sage2-8b": 0.08}


def exact(q, k, v, entry, sinks):
    queries, keys = q.shape[2], k.shape[2]
    k, v = (tensor.double().repeat_interleave(q.shape[1] // tensor.shape[1], 1) for tensor in (k, v))
    scores = q.double() @ k.transpose(2, 3) * q.shape[3] ** -0.5
    if entry.softcap:
        scores = entry.softcap * torch.tanh(scores / entry.softcap)
    diagonal = torch.arange(queries, device="cuda")[:, None] + keys - queries
    key = torch.arange(keys, device="cuda")
    hidden = torch.zeros(queries, keys, dtype=torch.bool, device="cuda")
    if entry.mask.startswith("causal") or entry.right is not None:
        hidden |= key > diagonal + (entry.right or 0)
    if entry.left is not None:
        hidden |= key < diagonal - entry.left
    scores = scores.masked_fill(hidden, -torch.inf)
    if sinks is not None:
        column = sinks.double()[None, :, None, None].expand(q.shape[0], -1, queries, 1)
        return torch.softmax(torch.cat([scores, column], -1), -1)[..., :-1] @ v
    return torch.softmax(scores, -1) @ v


def masks(report):
    chip = _device.state().device(0).chip
    entries = [e for e in sage.artifacts() if e.chip == chip and (e.left is not None or e.softcap or e.sinks)]
    report.check("the wheel has windows, soft caps and sinks", entries)
    dtypes = {"f16": torch.float16, "bf16": torch.bfloat16}
    for entry in entries:
        worst = 0.0
        for queries, keys in ((300, 300), (130, 5000), (1, 700)):
            q = torch.randn(2, 4, queries, entry.head_dim, device="cuda").to(dtypes[entry.element_type])
            k, v = (torch.randn(2, 2, keys, entry.head_dim, device="cuda").to(q.dtype) for _ in range(2))
            sinks = torch.randn(4, device="cuda") if entry.sinks else None
            window = None if entry.left is None else (entry.left, entry.right)
            got = sage.attention(q, k, v, causal=entry.mask.startswith("causal"), window=window, softcap=entry.softcap or None,
                                 sinks=sinks, recipe=entry.recipe)
            worst = max(worst, relative_l1(got, exact(q, k, v, entry, sinks)))
        report.check(entry.name(), worst < BOUNDS[entry.recipe], worst)
    try:
        sage.attention(q, k, v, causal=True, window=(77, None))
        report.check("another window is refused", False)
    except sage.UnsupportedError as error:
        report.check("another window is refused", "sage-compile" in str(error), error)


def main():
    report = Report()
    report.section(masks)
    report.finish()


if __name__ == "__main__":
    main()
