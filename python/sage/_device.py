"""Devices and what is loaded on them. Loading is lazy, once per artifact and device, and thread safe."""
import ctypes
import os
import threading
from typing import NamedTuple

from . import _library as c
from ._artifacts import Store
from .errors import ArgumentTypeError, DeviceError, describe

#: Chips whose artifacts run on exactly one compute capability, and those that later devices run too, newest first.
EXACT = {(8, 0): "sm_80", (8, 6): "sm_86", (8, 9): "sm_89", (9, 0): "sm_90a", (12, 0): "sm_120a"}
AND_LATER = (((8, 9), "sm_89"), ((8, 6), "sm_86"), ((8, 0), "sm_80"))
#: What "auto" means: the paper's 8-bit recipe where there are 8-bit float products, its predecessor elsewhere.
AUTO_RECIPE = {"sm_80": "sage1", "sm_86": "sage1"}


def recipe_on(chip, recipe):
    return AUTO_RECIPE.get(chip, "sage2-8b") if recipe == "auto" else recipe


class DeviceInfo(NamedTuple):
    """`chip` is that of the artifacts which the device runs; None if it runs none."""
    ordinal: int
    name: str
    compute_capability: tuple
    memory_bytes: int
    multiprocessors: int
    chip: str


class _State:
    """The driver, and what was loaded with it."""

    def __init__(self, driver=None, cache_dir=None, folder=None):
        self.path, self.cache_dir = driver, cache_dir
        self.store = Store(folder) if folder else Store()
        self.lock = threading.RLock()
        self.handle, self.devices, self.modules = None, {}, {}
        self.routes, self.plans = {}, {}  # of sage.torch: kind of call → Module, signature → Plan

    def open(self):
        with self.lock:
            if self.handle is None:
                handle = ctypes.c_void_p()
                options = c.DriverOptions(os.fsencode(self.path) if self.path else None)
                c.check(c.library().sage_driver_open(ctypes.byref(options), ctypes.byref(handle)))
                self.handle = handle
        return self.handle

    def device(self, ordinal):
        found = self.devices.get(ordinal)
        if found is None:
            device = c.Device()
            c.check(c.library().sage_driver_device(self.open(), ordinal, ctypes.byref(device)))
            capability = (device.compute_major, device.compute_minor)
            chip = EXACT.get(capability) or next((name for least, name in AND_LATER if capability >= least), None)
            found = DeviceInfo(ordinal, device.name.decode(), capability, device.memory_bytes, device.multiprocessors, chip)
            self.devices[ordinal] = found
        return found

    def module(self, artifact, ordinal):
        """(module, artifact) on a device; the handles live as long as the process."""
        key = (id(artifact), ordinal)
        found = self.modules.get(key)
        if found is None:
            with self.lock:
                found = self.modules.get(key)
                if found is None:
                    found = self.modules[key] = Module(self, artifact, ordinal)
        return found


class Module:
    """An artifact on one device."""

    def __init__(self, state, artifact, ordinal):
        options = c.ModuleOptions()
        options.cache_dir = os.fsencode(state.cache_dir) if state.cache_dir else None
        if artifact.cubin:
            options.cubin, options.cubin_bytes = artifact.cubin, len(artifact.cubin)
            options.cubin_json = artifact.cubin_json
        handle = ctypes.c_void_p()
        lib = c.library()
        c.check(lib.sage_module_load(state.open(), artifact._handle, ordinal, ctypes.byref(options), ctypes.byref(handle)))
        self.artifact, self.handle = artifact, handle
        #: Where the code came from, e.g. "cubin from memory".
        self.origin = lib.sage_module_origin(handle).decode()
        self._launch, self._workspace_bytes, self._artifact = (lib.sage_module_launch, lib.sage_artifact_workspace_bytes,
                                                               artifact._handle)

    def workspace_bytes(self, call):
        """For a packed sage_call."""
        size = ctypes.c_uint64()
        status = self._workspace_bytes(self._artifact, call, ctypes.byref(size))
        if status:
            c.check(status)
        return size.value

    def launch(self, call, stream, workspace, workspace_bytes):
        """Enqueues; waits for nothing."""
        status = self._launch(self.handle, call, stream, workspace, workspace_bytes)
        if status:
            c.check(status)


_state = _State()


def state():
    return _state


def configure(*, driver=None, cache_dir=None, artifacts=None):
    """Sets what GPU calls use, from now on; what was loaded before is loaded again when next needed.

    driver: path of the CUDA driver library; None: libcuda.so.1.
    cache_dir: folder for what the driver assembles where an artifact has no cubin for the device (created when
      needed); None: only the driver's own cache.
    artifacts: folder of precompiled artifacts with an index.json; None: the package's own.
    """
    global _state
    for name, value in (("driver", driver), ("cache_dir", cache_dir), ("artifacts", artifacts)):
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise ArgumentTypeError(f"{name} must be a path or None, but got {describe(value)}")
    _state = _State(driver, cache_dir, artifacts)


def devices():
    """A list of `DeviceInfo`; without a driver or a device it is empty."""
    try:
        handle = _state.open()
    except DeviceError:
        return []
    return [_state.device(i) for i in range(c.library().sage_driver_device_count(handle))]


def artifacts():
    """The precompiled artifacts that the package carries: a sorted list of `Entry` tuples."""
    return sorted(_state.store.entries(), key=str)


def select(ordinal, recipe, head_dim, element_type, mask, artifact=None):
    """The `Module` for a call on a device."""
    current = _state
    if artifact is None:
        device = current.device(ordinal)
        if device.chip is None:
            raise DeviceError(f"the device must have compute capability 8.0 or later, but {device.name} has "
                              f"{'.'.join(map(str, device.compute_capability))}")
        entry = current.store.find(device.chip, recipe_on(device.chip, recipe), head_dim, element_type, mask)
        artifact = current.store.artifact(entry)
    return current.module(artifact, ordinal)
