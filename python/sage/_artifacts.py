"""Artifacts: the wheel's precompiled ones by what they compute, and those of the caller."""
import ctypes
import json
import lzma
import os
import threading
import weakref
from typing import NamedTuple, Optional

from . import _library as c
from ._problem import Mask
from .errors import ArgumentTypeError, ArtifactError, FileError, InvalidArgumentError, UnsupportedError, describe

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "artifacts")


class Artifact:
    """What `sage-compile` wrote (docs/Artifact.md), parsed. Immutable; any number of threads may use one.

    `Artifact.load(path)` reads a file (and prefers a cubin beside it), `Artifact.parse(text)` takes its bytes,
    `Artifact.precompiled(entry)` gives one of `sage.artifacts()`. The attributes `chip`, `recipe`, `head_dim`, `value_head_dim`, `element_type` ("f16", "bf16"), `mask`, `lse` and `checksum`
    say what it computes and for which chip.
    """

    def __init__(self, handle, cubin=b"", cubin_json=b""):
        self._handle, self.cubin, self.cubin_json = handle, cubin, cubin_json
        lib = c.library()
        program = c.Program()
        lib.sage_artifact_program(handle, ctypes.byref(program))
        self._program = program
        # At exit the process gives everything back anyway, in an order of its own.
        weakref.finalize(self, lib.sage_artifact_destroy, handle).atexit = False
        problem = program.problem
        self.chip = lib.sage_artifact_chip(handle).decode()
        self.producer = lib.sage_artifact_producer(handle).decode()
        self.checksum = lib.sage_artifact_checksum(handle).decode()
        self.recipe = (program.recipe.name or b"custom").decode()
        self.head_dim, self.value_head_dim = problem.head_dim, problem.value_head_dim
        self.element_type = c.ELEMENTS[problem.element_type]
        self.scale = problem.scale or problem.head_dim**-0.5
        self.lse = bool(problem.lse)
        self.mask = Mask(
            c.MASKS[problem.mask], problem.window_left if problem.has_window_left else None,
            problem.window_right if problem.has_window_right else None, problem.sink_tokens, problem.softcap,
            c.ELEMENTS[problem.bias_type] if problem.has_bias else None, bool(problem.key_lengths), bool(problem.sinks),
            bool(problem.packed))

    @classmethod
    def parse(cls, text, cubin=b"", cubin_json=b""):
        """From the artifact's bytes; `cubin` and the text of its .json are optional. A damaged one is an ArtifactError."""
        if not isinstance(text, bytes):
            raise ArgumentTypeError(f"text must be bytes, but got {describe(text)}")
        handle = ctypes.c_void_p()
        c.check(c.library().sage_artifact_parse(text, len(text), ctypes.byref(handle)))
        return cls(handle, cubin, cubin_json)

    @classmethod
    def load(cls, path):
        """From a file."""
        handle = ctypes.c_void_p()
        c.check(c.library().sage_artifact_load(os.fsencode(path), ctypes.byref(handle)))
        return cls(handle)

    @classmethod
    def precompiled(cls, entry):
        """One that the package carries: an element of `sage.artifacts()`."""
        from . import _device
        store = _device.state().store
        if entry not in store.entries():
            raise InvalidArgumentError(f"entry must be an element of sage.artifacts(), but got {describe(entry)}")
        return store.artifact(entry)

    def __repr__(self):
        return (f"<sage.Artifact {self.recipe} for {self.chip}, {self.element_type}, head dim {self.head_dim}, "
                f"{self.mask.describe()}>")


class Entry(NamedTuple):
    """One precompiled artifact. Window bounds and the soft cap are compiled in."""
    chip: str
    recipe: str
    head_dim: int
    element_type: str
    mask: str = "none"
    bias: Optional[str] = None
    key_lengths: bool = False
    packed: bool = False
    left: Optional[int] = None
    right: Optional[int] = None
    softcap: float = 0.0
    sinks: bool = False

    def features(self):
        """As the `Mask` of a call."""
        return Mask(self.mask, self.left, self.right, 0, self.softcap, self.bias, self.key_lengths, self.sinks, self.packed)

    def name(self):
        """Its file in the wheel, which it shares with the other element type, without the suffix; the chip is the folder."""
        parts = [self.recipe, f"d{self.head_dim}"]
        parts += [] if self.mask == "none" else [self.mask]
        parts += [f"{name}{value:g}" for name, value in (("left", self.left), ("right", self.right)) if value is not None]
        parts += [f"softcap{self.softcap:g}"] if self.softcap else []
        parts += [f"bias-{self.bias}"] if self.bias else []
        return "-".join(parts + [name for name in ("key_lengths", "sinks", "packed") if getattr(self, name)])


def pack(members):
    """The content of a file of the wheel; `members` are (ptx, cubin, cubin_json) by element type, alike for the most part."""
    header = {name: [len(ptx), len(cubin), cubin_json.decode()] for name, (ptx, cubin, cubin_json) in members.items()}
    content = b"".join(ptx + cubin for ptx, cubin, _ in members.values())
    return lzma.compress(json.dumps(header).encode() + b"\n" + content, preset=9 | lzma.PRESET_EXTREME)


def unpack(data, element_type):
    """(ptx, cubin, cubin_json)"""
    try:
        header, _, content = lzma.decompress(data).partition(b"\n")
        begin = 0
        for name, (ptx, cubin, cubin_json) in json.loads(header).items():
            if name == element_type:
                return content[begin:begin + ptx], content[begin + ptx:begin + ptx + cubin], cubin_json.encode()
            begin += ptx + cubin
    except (lzma.LZMAError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"a precompiled artifact is damaged: {error}", "install the wheel again") from error
    raise ArtifactError(f"a precompiled artifact is damaged: nothing in it is for {element_type}", "install the wheel again")


def canonical(mask):
    """The precompiled way to say the same: a window that ends at the diagonal is causality with a left bound."""
    if mask.kind.startswith("window_") and mask.right == 0:
        return mask._replace(kind=mask.kind.replace("window_", "causal_"), right=None)
    return mask


class Store:
    """A folder of precompiled artifacts with an index, read when first needed. Thread safe."""

    def __init__(self, folder=FOLDER):
        self.folder = folder
        self._lock = threading.Lock()
        self._entries, self._artifacts = None, {}

    def entries(self):
        """A frozenset of `Entry`; empty if the package carries none."""
        if self._entries is None:
            with self._lock:
                path = os.path.join(self.folder, "index.json")
                if self._entries is None and os.path.exists(path):
                    with open(path, encoding="utf-8") as file:
                        self._entries = frozenset(Entry(*fields) for fields in json.load(file)["artifacts"])
                elif self._entries is None:
                    self._entries = frozenset()
        return self._entries

    def artifact(self, entry):
        """The parsed artifact of an entry, the same object each time."""
        found = self._artifacts.get(entry)
        if found is None:
            with self._lock:
                found = self._artifacts.get(entry)
                if found is None:
                    path = os.path.join(self.folder, entry.chip, entry.name() + ".xz")
                    try:
                        with open(path, "rb") as file:
                            data = file.read()
                    except OSError as error:
                        raise FileError(f"a precompiled artifact cannot be read: {error}",
                                        "install the wheel again") from error
                    found = self._artifacts[entry] = Artifact.parse(*unpack(data, entry.element_type))
        return found

    def find(self, chip, recipe, head_dim, element_type, mask):
        """The entry whose head dim is the smallest of at least `head_dim`; UnsupportedError says what there is."""
        here = [entry for entry in self.entries() if entry.chip == chip]
        asked = canonical(mask)
        fits = [entry for entry in here if entry.recipe == recipe and entry.element_type == element_type
                and entry.features() == asked]
        large = [entry for entry in fits if entry.head_dim >= head_dim]
        if large:
            return min(large, key=lambda entry: entry.head_dim)
        raise self._missing(chip, recipe, head_dim, element_type, mask, here, fits)

    @staticmethod
    def _missing(chip, recipe, head_dim, element_type, mask, here, fits):
        remedy = "compile one with sage-compile and pass it to sage.attention as artifact="
        if not here:
            return UnsupportedError(f"the package carries no artifact for {chip}", remedy)
        if fits:
            largest = max(entry.head_dim for entry in fits)
            return UnsupportedError(f"head dim must be at most {largest} with recipe {recipe} and {mask.describe()}, but "
                                    f"is {head_dim}", remedy)
        recipes = sorted({entry.recipe for entry in here})
        if recipe not in recipes:
            return UnsupportedError(f"recipe must be one of {', '.join(recipes)} on {chip}, but got {recipe!r}", remedy)
        masks = sorted({entry.features().describe() for entry in here if entry.recipe == recipe
                        and entry.element_type == element_type and entry.head_dim >= head_dim})
        return UnsupportedError(f"{mask.describe()} with {element_type} is not precompiled for {chip}, recipe {recipe} and head "
                                f"dim {head_dim}; there are: {'; '.join(masks)}", remedy)
