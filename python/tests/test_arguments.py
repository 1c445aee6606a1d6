"""Bad input: every exception names the argument, the value, and what is accepted."""
import numpy as np
import pytest

import sage

F = np.float16
Q = np.zeros((2, 4, 7, 64), F)
K = np.zeros((2, 2, 9, 64), F)
READ_ONLY = np.zeros_like(Q)
READ_ONLY.flags.writeable = False

CASES = [
    # changed arguments, type of the exception, texts that the message has
    (dict(query=[1]), sage.ArgumentTypeError, ["query must be a NumPy array", "but got [1]"]),
    (dict(query=Q.astype(np.float32)), sage.ArgumentTypeError, ["query must have elements of f16 or bf16", "but got f32", "cast"]),
    (dict(query=Q.astype(">f2")), sage.ArgumentTypeError, ["query must be in the machine's byte order", ">f2"]),
    (dict(query=Q[0]), sage.InvalidArgumentError, ["query must have 4 dimensions", "(4, 7, 64)"]),
    (dict(query=np.zeros((2, 3, 7, 64), F)), sage.InvalidArgumentError, ["multiple of key heads", "3 and 2"]),
    (dict(query=Q[..., ::2]), sage.InvalidArgumentError, ["key must have the query's head dim, 32, but has 64"]),
    (dict(query=Q.swapaxes(2, 3).copy().swapaxes(2, 3)), sage.InvalidArgumentError, ["query", "contiguous", "stride"]),
    (dict(key=K[:1]), sage.InvalidArgumentError, ["key must have the query's batch, 2, but has 1"]),
    (dict(key=K[:, :, :5]), sage.InvalidArgumentError, ["same heads and tokens", "(2, 5)"]),
    (dict(value=K[..., :0]), sage.InvalidArgumentError, ["value must have a head dim of at least 1, but has 0"]),
    (dict(value=None), sage.ArgumentTypeError, ["value must be a NumPy array", "None"]),
    (dict(layout="BHND"), sage.InvalidArgumentError, ["layout must be one of HND, NHD, but got 'BHND'"]),
    (dict(causal=1), sage.ArgumentTypeError, ["causal must be True or False, but got 1"]),
    (dict(alignment="left"), sage.InvalidArgumentError, ["alignment must be one of top-left, bottom-right, but got 'left'"]),
    (dict(window=5), sage.ArgumentTypeError, ["window must be a pair", "but got 5"]),
    (dict(window=(-1, 0)), sage.InvalidArgumentError, ["window[0] must be 0 to", "but got -1"]),
    (dict(window=(1.5, 0)), sage.ArgumentTypeError, ["window[0] must be an integer, but got 1.5"]),
    (dict(window=(1, 3), causal=True), sage.InvalidArgumentError, ["window[1] must be None or 0 with causal=True, but got 3"]),
    (dict(sink_tokens=4), sage.InvalidArgumentError, ["sink_tokens must be 0 without a left window bound, but got 4"]),
    (dict(softcap=-1.0), sage.InvalidArgumentError, ["softcap must be finite and positive", "-1.0"]),
    (dict(bias=np.zeros((7, 9))), sage.ArgumentTypeError, ["bias must have elements of", "f64"]),
    (dict(bias=np.zeros((7, 8), F)), sage.InvalidArgumentError, ["bias must broadcast to", "[2, 4, 7, 9]", "(7, 8)"]),
    (dict(key_lengths=np.zeros(2)), sage.ArgumentTypeError, ["key_lengths must have elements of i32, but got f64"]),
    (dict(key_lengths=np.zeros(3, np.int32)), sage.InvalidArgumentError, ["key_lengths must have 2 elements, but has 3"]),
    (dict(sinks=np.zeros(2, np.float32)), sage.InvalidArgumentError, ["sinks must have 4 elements, but has 2"]),
    (dict(query_offsets=np.zeros(2, np.int32)), sage.InvalidArgumentError, ["given together", "key_offsets is None"]),
    (dict(query_offsets=np.zeros(2, np.int32), key_offsets=np.zeros(2, np.int32)), sage.InvalidArgumentError, ["batch must be 1", "2"]),
    (dict(scale=0), sage.InvalidArgumentError, ["scale must be finite and positive", "0"]),
    (dict(scale=float("nan")), sage.InvalidArgumentError, ["scale must be finite and positive", "nan"]),
    (dict(scale="1"), sage.ArgumentTypeError, ["scale must be a number, but got '1'"]),
    (dict(recipe="sage3"), sage.InvalidArgumentError, ["recipe must be one of auto, sage2-8b", "'sage3'"]),
    (dict(recipe=None), sage.ArgumentTypeError, ["recipe must be a text", "None"]),
    (dict(return_lse="yes"), sage.ArgumentTypeError, ["return_lse must be True or False, but got 'yes'"]),
    (dict(out=np.zeros((2, 4, 7, 32), F)), sage.InvalidArgumentError, ["out must have shape (2, 4, 7, 64)", "(2, 4, 7, 32)"]),
    (dict(out=np.zeros((2, 4, 7, 64))), sage.ArgumentTypeError, ["out must have elements of f16, but got f64"]),
    (dict(out=READ_ONLY), sage.InvalidArgumentError, ["out must be writable"]),
    (dict(out=np.broadcast_to(Q[:1], Q.shape)), sage.InvalidArgumentError, ["out must be writable"]),
    (dict(workspace=np.zeros(9, np.uint8)), sage.InvalidArgumentError, ["workspace must be None for tensors on the CPU"]),
    (dict(stream=1), sage.InvalidArgumentError, ["stream must be None for tensors on the CPU, but got 1"]),
    (dict(artifact="a.ptx"), sage.ArgumentTypeError, ["artifact must be a sage.Artifact or None, but got 'a.ptx'"]),
    (dict(chip="sm_70"), sage.InvalidArgumentError, ["chip must be one of sm_80", "'sm_70'"]),
    (dict(threads=-1), sage.InvalidArgumentError, ["threads must be 0 to 4096, but got -1"]),
]


@pytest.mark.parametrize("changed, kind, texts", CASES, ids=[f"{i}-{'-'.join(c[0])}" for i, c in enumerate(CASES)])
def test_refused(changed, kind, texts):
    arguments = {"query": Q, "key": K, "value": K, **changed}
    with pytest.raises(kind) as caught:
        sage.attention(arguments.pop("query"), arguments.pop("key"), arguments.pop("value"), **arguments)
    assert isinstance(caught.value, sage.SageError)
    for text in texts:
        assert text in str(caught.value)


def test_unknown_options_are_named():
    with pytest.raises(TypeError, match="dropout"):
        sage.attention(Q, K, K, dropout=0.1)


@pytest.mark.parametrize("given", [dict(driver=3), dict(cache_dir=3), dict(artifacts=3)])
def test_configure(given):
    with pytest.raises(sage.ArgumentTypeError, match=f"{next(iter(given))} must be a path or None, but got 3"):
        sage.configure(**given)


def test_artifacts(tmp_path):
    with pytest.raises(sage.ArgumentTypeError, match="text must be bytes, but got 'x'"):
        sage.Artifact.parse("x")
    with pytest.raises(sage.ArtifactError, match="sage-artifact"):
        sage.Artifact.parse(b"nothing")
    with pytest.raises(sage.FileError, match="missing.ptx"):
        sage.Artifact.load(tmp_path / "missing.ptx")
