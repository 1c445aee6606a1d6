"""Seconds from the import to the first result, on a device whose context exists, and where they go."""
import sys
import time

from report import Report

import torch


def first_call(report):
    query = torch.randn(1, 8, 1024, 128, device="cuda", dtype=torch.float16)
    torch.nn.functional.scaled_dot_product_attention(query, query, query)
    torch.cuda.synchronize()
    marks = [("", time.perf_counter())]
    mark = lambda name: marks.append((name, time.perf_counter()))
    import sage.torch
    from sage import _device
    mark("import sage.torch")
    state = _device.state()
    state.open()
    mark("open the driver")
    device = state.device(0)
    mark("ask for the device")
    entry = state.store.find(device.chip, "sage2-8b", 128, "f16", sage._artifacts.Mask())
    mark("read the index")
    artifact = state.store.artifact(entry)
    mark("read and parse the artifact")
    module = state.module(artifact, 0)
    mark("load its code")
    sage.torch.scaled_dot_product_attention(query, query, query)
    mark("call")
    torch.cuda.synchronize()
    mark("wait for the result")
    total = marks[-1][1] - marks[0][1]
    for (_, begin), (name, end) in zip(marks, marks[1:]):
        report.figure(f"{name}, ms", round((end - begin) * 1e3, 2))
    report.figure("import to result, ms", round(total * 1e3, 1))
    begin = time.perf_counter()
    sage.torch.scaled_dot_product_attention(query, query, query, is_causal=True)
    torch.cuda.synchronize()
    report.figure("first call of another kind, ms", round((time.perf_counter() - begin) * 1e3, 2))
    report.figure("code came from", module.origin)
    report.check("import to result in under a second", total < 1.0 or "cold" in sys.argv, total)
    report.check("a cubin was taken", module.origin == "cubin from memory", module.origin)


def main():
    report = Report()
    report.section(first_call)
    report.finish()


if __name__ == "__main__":
    main()
