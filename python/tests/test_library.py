"""The structures of ctypes against the header, and the runtime's version."""
import ctypes
import os
import shutil
import subprocess
from importlib import metadata

import pytest

import sage
from sage import _library

HEADERS = os.environ.get("SAGE_HEADERS", "")
STRUCTURES = {"sage_problem": _library.Problem, "sage_recipe": _library.Recipe, "sage_geometry": _library.Geometry,
              "sage_program": _library.Program, "sage_device": _library.Device, "sage_driver_options": _library.DriverOptions,
              "sage_module_options": _library.ModuleOptions, "sage_reference_options": _library.ReferenceOptions}


def test_version():
    try:
        installed = metadata.version("sage-mlir")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is used in place")
    assert sage.version() == installed


@pytest.mark.skipif(not HEADERS or not shutil.which("cc"), reason="SAGE_HEADERS names no folder, or there is no cc")
def test_structures_are_those_of_the_header(tmp_path):
    lines = []
    for name, structure in STRUCTURES.items():
        lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(structure)}, "size of {name}");')
        for field, _ in structure._fields_:
            offset = getattr(structure, field).offset
            lines.append(f'_Static_assert(offsetof({name}, {field}) == {offset}, "{name}.{field}");')
    lines.append(f'_Static_assert(sizeof(sage_call) == {_library.CALL.size}, "size of sage_call");')
    lines += [f'_Static_assert({prefix}{text.upper().replace("-", "_")} == {number}, "{text}");'
              for prefix, texts in (("SAGE_MASK_", _library.MASKS), ("SAGE_", _library.ELEMENTS))
              for number, text in enumerate(texts)]
    source = tmp_path / "sizes.c"
    source.write_text('#include "sage/runtime/sage.h"\n' + "\n".join(lines) + "\n")
    result = subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-I", HEADERS, str(source)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_missing_runtime_says_so(monkeypatch):
    monkeypatch.setattr(_library, "_library", None)
    monkeypatch.setattr(_library, "LIBRARY_PATH", "/nonexistent/libsage_runtime.so")
    with pytest.raises(sage.FileError, match="the runtime cannot be loaded.*install the wheel"):
        sage.version()
