"""What ends a process where LLVM is used as it comes: an instruction that the backend does not have, an error of the backend,
no memory. Here each is a failed compilation, and the next one succeeds.

    fatal_errors.py LIBRARIES
"""

import concurrent.futures
import resource
from pathlib import Path

from bindings import compile_mlir, compile_problem

KERNEL = (Path(__file__).parent / "kernel.mlir.in").read_text()
#: sm_80 has no wgmma. "Cannot select" is one of LLVM's fatal errors.
FATAL = KERNEL.replace("BODY", 'llvm.call_intrinsic "llvm.nvvm.wgmma.fence.sync.aligned"() : () -> ()').encode()
#: A diagnostic of the backend, which exits where nobody listens.
DIAGNOSED = KERNEL.replace("BODY", '%0 = llvm.inline_asm has_side_effects "", "={f9}" : () -> i32').encode()


def succeed():
    artifact, diagnostics = compile_problem()
    assert artifact and not diagnostics, diagnostics


def fail(made, text):
    artifact, diagnostics = made
    assert artifact is None and text in diagnostics, diagnostics


def fail_fatally():
    fail(compile_mlir(FATAL, b"sm_80"), "error: LLVM could not compile the kernels for 'sm_80': Cannot select")


def test_fatal_error():
    for _ in range(3):
        fail_fatally()
        succeed()


def test_error_of_the_backend():
    fail(compile_mlir(DIAGNOSED, b"sm_80"), "error: 'gpu.module' op could not be translated to PTX: couldn't allocate output")
    succeed()


def test_threads():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for work in ([fail_fatally] * 12, [succeed, fail_fatally] * 6):
            for done in [pool.submit(each) for each in work]:
                done.result()


def test_memory():
    """A limit that is lowered to what the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (8 << 20), limits[1]))
    made = compile_problem()
    resource.setrlimit(resource.RLIMIT_AS, limits)
    fail(made, "64 MiB of memory, which this process cannot get")
    succeed()


for test in (test_fatal_error, test_error_of_the_backend, test_threads, test_memory):
    test()
    print(f"{test.__name__}: ok")
