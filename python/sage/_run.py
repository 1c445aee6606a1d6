"""Packs a call, runs it on the CPU reference, or enqueues it on a device."""
import ctypes

from . import _device, _problem
from . import _library as c

#: CUDA's programming guide: a pointer of this alignment serves every access; the runtime asks for it.
WORKSPACE_ALIGNMENT = 1024
CHIPS = {"sm_80": c.MMA_SYNC, "sm_86": c.MMA_SYNC, "sm_89": c.MMA_SYNC, "sm_90a": c.WGMMA, "sm_120a": c.MMA_SYNC}
_TYPES = {name: number for number, name in enumerate(c.ELEMENTS)}


def fields(address, extents, strides, dtype):
    """A sage_tensor's members."""
    return (address, *extents, *strides, _TYPES[dtype])


def pack_call(query, key, value, output, lse, bias=c.NO_TENSOR, key_lengths=0, sinks=0, query_offsets=0, key_offsets=0,
              sequences=0, scale=0.0):
    """The bytes of a sage_call; tensors are those of `fields`, everything else addresses and numbers."""
    return c.CALL.pack(*query, *key, *value, *output, lse, *bias, key_lengths, sinks, query_offsets, key_offsets,
                       sequences, scale)


def program_for(recipe, chip, head_dim, value_head_dim, dtype, mask, artifact=None):
    """What the CPU reference runs: the artifact's own program, or a named recipe with the scale groups of `chip`."""
    if artifact is not None:
        program = c.Program.from_buffer_copy(artifact._program)
    else:
        program = c.named_program(_device.recipe_on(chip, recipe), CHIPS[chip])
        _problem.fill_problem(program.problem, head_dim, value_head_dim, dtype, mask)
    return program


def run_reference(program, call, threads=0):
    options = c.ReferenceOptions(threads=threads)
    c.check(c.library().sage_reference_run(ctypes.byref(program), call, ctypes.byref(options), None))
