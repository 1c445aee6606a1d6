"""The compiler behind plain C, from a language that has neither MLIR nor a compiler: compile, load and run in one process.

    compile_api.py LIBRARIES ROOT
"""

import ctypes
import sys
from ctypes import c_int64, c_size_t, c_uint16, c_void_p
from pathlib import Path

from bindings import (Call, Options, Program, compile_mlir, compile_problem, compiler, outcome, runtime)

root = Path(sys.argv[2])


def succeed(made):
    artifact, diagnostics = made
    assert artifact and not diagnostics, diagnostics
    return artifact


def fail(made, *texts):
    artifact, diagnostics = made
    assert artifact is None and diagnostics, "should be refused: " + ", ".join(texts)
    for text in texts:
        assert text in diagnostics, f"{text!r} is not in {diagnostics!r}"


def check(status):
    assert status is None, runtime.sage_status_get_message(c_void_p(status)).decode()


def run(artifact):
    """A row of equal scores: every output is the mean of V."""
    handle, program = c_void_p(), Program()
    check(runtime.sage_artifact_parse(artifact, c_size_t(len(artifact)), ctypes.byref(handle)))
    assert runtime.sage_artifact_chip(handle) == b"sm_89"
    runtime.sage_artifact_program(handle, ctypes.byref(program))
    assert program.problem.head_dim == 64 and program.recipe.name == b"sage2-8b"
    tokens, one = 16, 0x3C00
    query, output = (c_uint16 * (tokens * 64))(), (c_uint16 * (tokens * 64))()
    value = (c_uint16 * (tokens * 64))(*([one] * (tokens * 64)))

    def dense(data):
        return runtime.sage_tensor_dense(ctypes.cast(data, c_void_p), 0, 0, *map(c_int64, (1, 1, tokens, 64)))

    call = Call(query=dense(query), key=dense(query), value=dense(value), output=dense(output))
    check(runtime.sage_reference_run(ctypes.byref(program), ctypes.byref(call), None, None))
    assert all(abs(bits - one) <= 1 for bits in output), list(output[:8])
    runtime.sage_artifact_destroy(handle)


def test_artifacts():
    assert compiler.sage_compiler_version() == runtime.sage_runtime_version()
    assert b"sm_90a" in compiler.sage_compiler_chips() and b"sage2-8b" in compiler.sage_compiler_recipes()
    artifact = succeed(compile_problem())
    run(artifact)
    text = (root / "examples/attention.mlir").read_bytes()
    named = succeed(compile_mlir(text, options=Options(recipe=b"sage1")))
    assert b'"name":"sage1"' in named.replace(b" ", b"")
    changed = succeed(compile_problem(options=Options(recipe=b'#sage.recipe<"sage2-8b", smooth = none>'), mask=3,
                                      has_window_left=1, window_left=100, sink_tokens=4, softcap=30.0, has_bias=1,
                                      bias_type=2, sinks=1, key_lengths=1, layout=1, element_type=1, lse=1,
                                      value_head_dim=128, scale=0.25))
    assert b'"softcap":30' in changed.replace(b" ", b"")
    succeed(compile_problem(packed=1, shape=(c_int64 * 5)(1, 4, 2, -1, -1)))


def test_bad_arguments():
    fail(outcome(compiler.sage_compile(None, b"sm_89", None)), "'problem'", "NULL")
    fail(compile_problem(chip=None), "'chip' must be one of", "sm_90a")
    fail(compile_problem(chip=b"sm_70"), "'chip' must be one of", "but got 'sm_70'")
    fail(compile_problem(chip=b"sm_\xff"), "'chip' must be one of")
    fail(compile_problem(options=Options(recipe=b"sage3")), "'options.recipe' must be one of sage2-8b", "'sage3'")
    fail(compile_problem(options=Options(recipe=b'#sage.recipe<"sage3">')), "recipe must be one of", "'sage3'")
    fail(compile_problem(options=Options(recipe=b"#sage.recipe<")), "options.recipe")
    fail(compile_problem(options=Options(schedule_file=b"/nowhere.mlir")), "schedule file", "'/nowhere.mlir'")
    fail(compile_problem(head_dim=0), "'problem.head_dim' must be 1 to", "got 0")
    fail(compile_problem(head_dim=-(1 << 63)), "'problem.head_dim'")
    fail(compile_problem(value_head_dim=1 << 62), "'problem.value_head_dim'")
    fail(compile_problem(head_dim=512), "head dims of query and value", "got 512")
    fail(compile_problem(element_type=2), "'problem.element_type' must be SAGE_F16 (0)", "got 2")
    fail(compile_problem(layout=7), "'problem.layout'", "got 7")
    fail(compile_problem(mask=-1), "'problem.mask'", "got -1")
    fail(compile_problem(has_bias=1, bias_type=9), "'problem.bias_type'", "got 9")
    fail(compile_problem(scale=float("nan")), "'problem.scale'", "nan")
    fail(compile_problem(scale=-1.0), "'problem.scale' must be finite and positive", "got -1")
    fail(compile_problem(softcap=float("inf")), "'problem.softcap'", "inf")
    fail(compile_problem(shape=(c_int64 * 5)(-1, -2, -1, -1, -1)), "'problem.shape[1]'", "query heads", "got -2")
    fail(compile_problem(shape=(c_int64 * 5)(-1, 5, 2, -1, -1)), "multiple of key heads", "5 and 2")
    fail(compile_problem(mask=3), "window_left or window_right")
    fail(compile_problem(mask=1, has_window_right=1, window_right=2), "window_right must be left out")
    fail(compile_problem(mask=1, has_window_left=1, window_left=-5), "window_left must be 0 to", "got -5")
    fail(compile_problem(packed=1, shape=(c_int64 * 5)(2, -1, -1, -1, -1)), "batch must be 1", "got 2")
    fail(compile_problem(chip=b"sm_80"), "e4m3")
    artifact, remark = compile_problem(chip=b"sm_80", options=Options(substitute=1))
    assert artifact and remark.startswith("remark: recipe #sage.recipe<\"sage2-8b\"> is replaced by"), remark
    assert "current operation" not in remark


def test_bad_text():
    fail(outcome(compiler.sage_compile_mlir(None, c_size_t(0), b"sm_89", None)), "'text'", "NULL")
    fail(outcome(None), "no memory")
    fail(compile_mlir(b""), "sage_tile.program")
    fail(compile_mlir(b"func.func @f("), "mlir:1:", "error")
    fail(compile_mlir(b"\x00\xff\x00"), "error")
    fail(compile_mlir(b"module {}", options=Options(program=b"nobody")), "sage_tile.program")
    fail(compile_mlir(b"ML\xefR\x01\x02\x03"), "error")


for test in (test_artifacts, test_bad_arguments, test_bad_text):
    test()
    print(f"{test.__name__}: ok")
