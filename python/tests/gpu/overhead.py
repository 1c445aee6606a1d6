"""What a call costs the host in microseconds, beside PyTorch's own, and what the GPU needs."""
import statistics
import time

from report import Report, relative_l1

import torch
import torch.nn.functional as F

import sage
import sage.torch
from sage import _device


def host_microseconds(function, calls=60, rounds=30):
    """Median over rounds; the queue is empty when a round begins, and is never full."""
    for _ in range(20):
        function()
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        times.append((time.perf_counter() - begin) / calls * 1e6)
    torch.cuda.synchronize()
    return statistics.median(times)


def device_microseconds(function, calls=20, rounds=9):
    """Median GPU time of a call: replays of a graph of several calls, so that the host does not count."""
    function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            function()
    graph.replay()
    times = []
    for _ in range(rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / calls * 1e3)
    return statistics.median(times)


def host(report):
    q, k, v = (torch.randn(1, 8, 128, 128, device="cuda", dtype=torch.float16) for _ in range(3))
    mask = torch.rand(128, 128, device="cuda") < 0.8
    ours, theirs = sage.torch.scaled_dot_product_attention, F.scaled_dot_product_attention
    calls = {
        "sage.torch.scaled_dot_product_attention": lambda: ours(q, k, v),
        "the same, recipe f16": lambda: ours(q, k, v, recipe="f16"),
        "the same, boolean mask": lambda: ours(q, k, v, mask),
        "the same, through torch.ops": lambda: torch.ops.sage.attention.default(
            q, k, v, None, None, None, None, "none", 0.088, "auto", False),
        "sage.torch.sageattn": lambda: sage.torch.sageattn(q, k, v),
        "sage.attention": lambda: sage.attention(q, k, v),
        "PyTorch's": lambda: theirs(q, k, v),
        "PyTorch's, boolean mask": lambda: theirs(q, k, v, mask),
    }
    for name, call in calls.items():
        report.figure(f"host us per call: {name}", round(host_microseconds(call), 1))
    for recipe in ("auto", "f16"):
        module = next(m for m in _device.state().modules.values() if m.artifact.head_dim == 128 and not m.artifact.mask.bias
                      and (m.artifact.recipe == "f16") == (recipe == "f16"))
        from sage import _run
        from sage.torch import _ops
        output, lse = _ops._new_results(q, v, False, False)
        call = _ops._pack(q, k, v, None, None, None, None, _ops._fields(output), lse.data_ptr(), 0.088)
        size = module.workspace_bytes(call)
        workspace = torch.empty(size + _run.WORKSPACE_ALIGNMENT, dtype=torch.uint8, device="cuda")
        address = -(-workspace.data_ptr() // 1024) * 1024
        report.figure(f"host us per sage_module_launch: {recipe}",
                      round(host_microseconds(lambda: module.launch(call, 0, address, size)), 1))
        report.figure(f"host us per sage_artifact_workspace_bytes: {recipe}",
                      round(host_microseconds(lambda: module.workspace_bytes(call)), 2))
    report.check("figures were taken", True)


def device(report):
    for n, b, h in ((128, 1, 8), (1024, 4, 32), (4096, 2, 32), (16384, 1, 16)):
        q, k, v = (torch.randn(b, h, n, 128, device="cuda", dtype=torch.float16) for _ in range(3))
        ours = device_microseconds(lambda: sage.torch.scaled_dot_product_attention(q, k, v))
        theirs = device_microseconds(lambda: F.scaled_dot_product_attention(q, k, v))
        operations = 4.0 * b * h * n * n * 128
        report.figure(f"GPU us per call, B{b} H{h} N{n} D128", {
            "sage2-8b": round(ours, 1), "PyTorch's": round(theirs, 1),
            "TFLOP/s": [round(operations / ours * 1e-6, 1), round(operations / theirs * 1e-6, 1)]})
        error = relative_l1(sage.torch.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, v))
        report.check(f"N {n}: the same result", error < 0.08, error)


def main():
    torch.manual_seed(0)
    report = Report()
    for section in (host, device):
        report.section(section)
    report.finish()


if __name__ == "__main__":
    main()
