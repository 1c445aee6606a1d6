"""The C API (runtime/include/sage/runtime/sage.h) through ctypes: structures, functions, statuses as exceptions."""
import ctypes
import os
import struct
import threading
from ctypes import POINTER, Structure, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p

from . import errors

F16, BF16, F32, BOOL = range(4)
HEAD_MAJOR, TOKEN_MAJOR = range(2)
MASKS = ("none", "causal_top_left", "causal_bottom_right", "window_top_left", "window_bottom_right")
ELEMENTS = ("f16", "bf16", "f32", "bool")
RECIPES = ("sage2-8b", "sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b", "f16")
MMA_SYNC, _, WGMMA = range(3)


class Problem(Structure):
    _fields_ = [("head_dim", c_int64), ("value_head_dim", c_int64), ("element_type", c_int32), ("layout", c_int32),
                ("mask", c_int32), ("scale", c_double), ("lse", c_int32), ("shape", c_int64 * 5),
                ("has_window_left", c_int32), ("has_window_right", c_int32), ("window_left", c_int64),
                ("window_right", c_int64), ("sink_tokens", c_int64), ("softcap", c_double), ("has_bias", c_int32),
                ("bias_type", c_int32), ("key_lengths", c_int32), ("sinks", c_int32), ("packed", c_int32)]


class Recipe(Structure):
    _fields_ = [("name", c_char_p), ("qk", c_int32), ("granularity", c_int32), ("smooth_q", c_int32),
                ("smooth_k", c_int32), ("smooth_v", c_int32), ("pv", c_int32), ("accumulation", c_int32),
                ("inner", c_int32), ("row_sum", c_int32), ("interval", c_int64), ("rotate", c_int32), ("range", c_int32)]


class Geometry(Structure):
    _fields_ = [("query_block", c_int64), ("key_tile", c_int64), ("query_groups", c_char_p), ("key_groups", c_char_p),
                ("value_order", c_char_p), ("key_parts", c_char_p)]


class Program(Structure):
    _fields_ = [("problem", Problem), ("recipe", Recipe), ("geometry", Geometry)]


class Device(Structure):
    _fields_ = [("ordinal", c_int32), ("name", ctypes.c_char * 256), ("compute_major", c_int32),
                ("compute_minor", c_int32), ("memory_bytes", c_uint64), ("multiprocessors", c_int32),
                ("shared_bytes_per_block", c_int32)]


class DriverOptions(Structure):
    _fields_ = [("library", c_char_p)]


class ModuleOptions(Structure):
    _fields_ = [("cache_dir", c_char_p), ("ignore_cubin", c_int32), ("cubin", c_char_p), ("cubin_bytes", c_size_t),
                ("cubin_json", c_char_p)]


class ReferenceOptions(Structure):
    _fields_ = [("threads", c_int32), ("tensor_core_accumulator", c_int32), ("progress", c_void_p),
                ("progress_context", c_void_p)]


#: A sage_tensor: address, extents and strides of B, H, N, D, element type.
_TENSOR = "Q4q4qi4x"
#: A sage_call as bytes: packing it at once is several times faster than setting the members of a ctypes structure.
CALL = struct.Struct("<" + 4 * _TENSOR + "Q" + _TENSOR + "4Qqd")
NO_TENSOR = (0,) * 10

#: Name → (result, argument types). A packed sage_call goes where `c_char_p` is (bytes), or `c_void_p` (any buffer).
_FUNCTIONS = {
    "sage_runtime_version": (c_char_p, []),
    "sage_status_get_code": (c_int32, [c_void_p]),
    "sage_status_get_message": (c_char_p, [c_void_p]),
    "sage_status_get_remedy": (c_char_p, [c_void_p]),
    "sage_status_destroy": (None, [c_void_p]),
    "sage_program_named": (c_void_p, [c_char_p, c_int32, POINTER(Program)]),
    "sage_artifact_parse": (c_void_p, [c_char_p, c_size_t, POINTER(c_void_p)]),
    "sage_artifact_load": (c_void_p, [c_char_p, POINTER(c_void_p)]),
    "sage_artifact_destroy": (None, [c_void_p]),
    "sage_artifact_producer": (c_char_p, [c_void_p]),
    "sage_artifact_chip": (c_char_p, [c_void_p]),
    "sage_artifact_checksum": (c_char_p, [c_void_p]),
    "sage_artifact_schedule": (c_char_p, [c_void_p]),
    "sage_artifact_program": (None, [c_void_p, POINTER(Program)]),
    "sage_artifact_workspace_bytes": (c_void_p, [c_void_p, c_char_p, POINTER(c_uint64)]),
    "sage_driver_open": (c_void_p, [POINTER(DriverOptions), POINTER(c_void_p)]),
    "sage_driver_version": (c_int32, [c_void_p]),
    "sage_driver_device_count": (c_int32, [c_void_p]),
    "sage_driver_device": (c_void_p, [c_void_p, c_int32, POINTER(Device)]),
    "sage_module_load": (c_void_p, [c_void_p, c_void_p, c_int32, POINTER(ModuleOptions), POINTER(c_void_p)]),
    "sage_module_destroy": (None, [c_void_p]),
    "sage_module_origin": (c_char_p, [c_void_p]),
    "sage_module_launch": (c_void_p, [c_void_p, c_void_p, c_void_p, c_void_p, c_uint64]),
    "sage_reference_run": (c_void_p, [POINTER(Program), c_char_p, POINTER(ReferenceOptions), c_void_p]),
    "sage_exact_run": (c_void_p, [POINTER(Problem), c_char_p, c_void_p, c_void_p, POINTER(ReferenceOptions)]),
}

_lock = threading.Lock()
_library = None
#: The wheel's copy.
LIBRARY_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "libsage_runtime.so")


def library():
    """The loaded runtime. Thread safe."""
    global _library
    if _library is None:
        with _lock:
            if _library is None:
                try:
                    loaded = ctypes.CDLL(LIBRARY_PATH)
                except OSError as error:
                    raise errors.FileError(f"the runtime cannot be loaded: {error}",
                                           "install the wheel that utils/build-wheel.sh makes") from error
                for name, (result, arguments) in _FUNCTIONS.items():
                    function = getattr(loaded, name)
                    function.restype, function.argtypes = result, arguments
                _library = loaded
    return _library


def check(status):
    """Raises what a sage_status says, and gives it back."""
    if not status:
        return
    lib = library()
    code, message = lib.sage_status_get_code(status), lib.sage_status_get_message(status).decode()
    remedy = lib.sage_status_get_remedy(status).decode()
    lib.sage_status_destroy(status)
    raise errors.BY_CODE.get(code, errors.SageError)(message, remedy)


def version():
    """Of the runtime, e.g. "0.1.0"."""
    return library().sage_runtime_version().decode()


def named_program(recipe, fragment):
    program = Program()
    check(library().sage_program_named(recipe.encode(), fragment, ctypes.byref(program)))
    return program
