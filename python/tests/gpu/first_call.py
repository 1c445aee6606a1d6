"""Seconds from the import to the first result, on a device whose context exists, and where they go."""
import sys
import time

from report import Report

import torch


class Clock:
    """Milliseconds since the last lap, and the modules that were imported in it."""

    def __init__(self, report):
        self.report, self.begin, self.last, self.modules = report, time.perf_counter(), time.perf_counter(), set(sys.modules)

    def lap(self, name):
        now = time.perf_counter()
        self.report.figure(f"{name}, ms", round((now - self.last) * 1e3, 2))
        new, self.modules = set(sys.modules) - self.modules, set(sys.modules)
        foreign = sorted({module.split(".")[0] for module in new} - {"sage"})
        if foreign:
            self.report.figure(f"{name}, imports of others", f"{len(new)} modules: {', '.join(foreign[:8])}")
        self.last = time.perf_counter()
        return foreign


def first_call(report):
    query = torch.randn(1, 8, 1024, 128, device="cuda", dtype=torch.float16)
    torch.nn.functional.scaled_dot_product_attention(query, query, query)
    torch.cuda.synchronize()
    clock = Clock(report)
    import sage.torch
    from sage import _artifacts, _device, _library
    clock.lap("import sage.torch")
    _library.library()
    clock.lap("load the library")
    state = _device.state()
    state.open()
    clock.lap("open the driver")
    device = state.device(0)
    clock.lap("ask for the device")
    entry = state.store.find(device.chip, "sage2-8b", 128, "f16", _artifacts.Mask())
    clock.lap("read the index")
    artifact = state.store.artifact(entry)
    clock.lap("read and parse the artifact")
    module = state.module(artifact, 0)
    clock.lap("load its code")
    sage.torch.scaled_dot_product_attention(query, query, query)
    imported = clock.lap("enqueue")
    torch.cuda.synchronize()
    clock.lap("wait for the result")
    total = clock.last - clock.begin
    report.figure("import to result, ms", round(total * 1e3, 1))
    sage.torch.scaled_dot_product_attention(query, query, query, is_causal=True)
    torch.cuda.synchronize()
    clock.lap("first call of another kind")
    report.figure("code came from", module.origin)
    report.check("import to result in under a second", total < 1.0, total)
    report.check("a call imports nothing", not imported, imported)
    report.check("a cubin was taken", module.origin == "cubin from memory", module.origin)


def main():
    report = Report()
    report.section(first_call)
    report.finish()


if __name__ == "__main__":
    main()
