"""Seconds from the import to the first result, on a device whose context exists."""
import time

from report import Report

import torch


def first_call(report):
    query = torch.randn(1, 8, 1024, 128, device="cuda", dtype=torch.float16)
    torch.nn.functional.scaled_dot_product_attention(query, query, query)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    import sage.torch
    imported = time.perf_counter()
    sage.torch.scaled_dot_product_attention(query, query, query)
    torch.cuda.synchronize()
    first = time.perf_counter()
    sage.torch.scaled_dot_product_attention(query, query, query, is_causal=True)
    torch.cuda.synchronize()
    second = time.perf_counter()
    from sage import _device
    origins = sorted({module.origin for module in _device.state().modules.values()})
    report.figure("import sage.torch, s", imported - begin)
    report.figure("first call to result, s", first - imported)
    report.figure("first call of another kind, s", second - first)
    report.figure("code came from", ", ".join(origins))
    report.check("first call to result in under a second", first - begin < 1.0, first - begin)
    report.check("a cubin was taken", origins == ["cubin from memory"], origins)


def main():
    report = Report()
    report.section(first_call)
    report.finish()


if __name__ == "__main__":
    main()
