"""The compiler behind plain C, from a language that has neither MLIR nor a compiler: compile, load and run in one process.

    compile_api.py LIBRARIES ROOT
"""

import ctypes
import sys
from ctypes import c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint16, c_void_p
from pathlib import Path

libraries, root = Path(sys.argv[1]), Path(sys.argv[2])
compiler = ctypes.CDLL(str(libraries / "libSageCompilerC.so"))
runtime = ctypes.CDLL(str(libraries / "libsage_runtime.so"))


class Problem(ctypes.Structure):
    _fields_ = [("head_dim", c_int64), ("value_head_dim", c_int64), ("element_type", c_int), ("layout", c_int),
                ("mask", c_int), ("scale", c_double), ("lse", c_int32), ("shape", c_int64 * 5),
                ("has_window_left", c_int32), ("has_window_right", c_int32), ("window_left", c_int64),
                ("window_right", c_int64), ("sink_tokens", c_int64), ("softcap", c_double), ("has_bias", c_int32),
                ("bias_type", c_int), ("key_lengths", c_int32), ("sinks", c_int32), ("packed", c_int32)]


class Recipe(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("qk", c_int), ("granularity", c_int), ("smooth_q", c_int32),
                ("smooth_k", c_int32), ("smooth_v", c_int32), ("pv", c_int), ("accumulation", c_int), ("inner", c_int),
                ("row_sum", c_int), ("interval", c_int64)]


class Geometry(ctypes.Structure):
    _fields_ = [("query_block", c_int64), ("key_tile", c_int64), ("query_groups", c_char_p), ("key_groups", c_char_p),
                ("value_order", c_char_p)]


class Program(ctypes.Structure):
    _fields_ = [("problem", Problem), ("recipe", Recipe), ("geometry", Geometry)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("extents", c_int64 * 4), ("strides", c_int64 * 4), ("element_type", c_int)]


class Call(ctypes.Structure):
    _fields_ = [("query", Tensor), ("key", Tensor), ("value", Tensor), ("output", Tensor), ("lse", c_void_p),
                ("bias", Tensor), ("key_lengths", c_void_p), ("sinks", c_void_p), ("query_offsets", c_void_p),
                ("key_offsets", c_void_p), ("sequences", c_int64), ("scale", c_double)]


class Options(ctypes.Structure):
    _fields_ = [("recipe", c_char_p), ("substitute", c_int32), ("schedule_file", c_char_p), ("program", c_char_p)]


def declare(library, result, *names):
    for name in names:
        getattr(library, name).restype = result


declare(compiler, c_void_p, "sage_compile", "sage_compile_mlir")
declare(compiler, c_char_p, "sage_compilation_diagnostics", "sage_compiler_chips", "sage_compiler_recipes",
        "sage_compiler_version")
compiler.sage_compilation_artifact.restype = c_void_p
declare(runtime, c_void_p, "sage_artifact_parse", "sage_reference_run")
declare(runtime, c_char_p, "sage_artifact_chip", "sage_status_get_message", "sage_runtime_version")
runtime.sage_tensor_dense.restype = Tensor


def outcome(handle):
    """(artifact or None, diagnostics)."""
    handle, size = c_void_p(handle), c_size_t()
    data = compiler.sage_compilation_artifact(handle, ctypes.byref(size))
    artifact = ctypes.string_at(data, size.value)
    diagnostics = compiler.sage_compilation_diagnostics(handle).decode()
    assert bool(compiler.sage_compilation_succeeded(handle)) == bool(artifact)
    compiler.sage_compilation_destroy(handle)
    return artifact or None, diagnostics


def make_problem(**fields):
    problem = Problem(head_dim=64, value_head_dim=64, shape=(c_int64 * 5)(-1, -1, -1, -1, -1))
    for name, value in fields.items():
        setattr(problem, name, value)
    return problem


def compile_problem(chip=b"sm_89", options=None, **fields):
    problem = make_problem(**fields)
    return outcome(compiler.sage_compile(ctypes.byref(problem), chip, options and ctypes.byref(options)))


def compile_mlir(text, chip=b"sm_89", options=None):
    return outcome(compiler.sage_compile_mlir(text, c_size_t(len(text)), chip, options and ctypes.byref(options)))


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
