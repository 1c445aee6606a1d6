"""sage-c/Compile.h and what the tests need of sage/runtime/sage.h, by way of ctypes.

The program that imports this has the folder of the libraries as its first argument.
"""

import ctypes
import sys
from ctypes import c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

libraries = Path(sys.argv[1])
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
                ("row_sum", c_int), ("interval", c_int64), ("rotate", c_int), ("range", c_int)]


class Geometry(ctypes.Structure):
    _fields_ = [("query_block", c_int64), ("key_tile", c_int64), ("query_groups", c_char_p), ("key_groups", c_char_p),
                ("value_order", c_char_p), ("key_parts", c_char_p)]


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
