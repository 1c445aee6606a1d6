"""Recipes by layer and key head: the table, its calibration, attention with it."""
import json

import numpy as np
import pytest

import sage
from sage import calibrate
from sage.recipes import RecipeTable, runs


def test_runs():
    assert list(runs(("a", "a", "b", "a"))) == [(0, 2, "a"), (2, 3, "b"), (3, 4, "a")]


def test_attention_by_head(inputs):
    q, k, v = inputs(heads=6, key_heads=3)
    recipes = ["sage-8b", "sage-4b", "sage-4b"]
    each = {recipe: sage.attention(q, k, v, recipe=recipe) for recipe in recipes}
    got = sage.attention(q, k, v, recipe=recipes)
    assert (got[:, :2] == each["sage-8b"][:, :2]).all() and (got[:, 2:] == each["sage-4b"][:, 2:]).all()
    out = np.empty_like(q)
    assert sage.attention(q, k, v, recipe=tuple(recipes), out=out) is out and (out == got).all()
    swapped = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in (q, k, v)]
    assert (sage.attention(*swapped, layout="NHD", recipe=recipes).transpose(0, 2, 1, 3) == got).all()


def test_operands_by_head(inputs):
    q, k, v = inputs(heads=4, key_heads=2)
    random = np.random.default_rng(0)
    bias = random.standard_normal((4, q.shape[2], k.shape[2])).astype(np.float32)
    sinks = random.standard_normal(4).astype(np.float32)
    got = sage.attention(q, k, v, bias=bias, sinks=sinks, recipe=["sage2-8b", "f16"])
    for recipe, heads in (("sage2-8b", slice(0, 2)), ("f16", slice(2, 4))):
        assert (got[:, heads] == sage.attention(q, k, v, bias=bias, sinks=sinks, recipe=recipe)[:, heads]).all()


@pytest.mark.parametrize("arguments, error, words", [
    (dict(recipe=["sage-8b"]), sage.InvalidArgumentError, ["each of the 2 key heads", "got 1"]),
    (dict(recipe=["sage-8b", "sage3"]), sage.InvalidArgumentError, ["key head 1", "sage3"]),
    (dict(recipe=["sage-8b", "sage-4b"], return_lse=True), sage.UnsupportedError, ["return_lse"])])
def test_errors(inputs, arguments, error, words):
    with pytest.raises(error) as raised:
        sage.attention(*inputs(), **arguments)
    assert all(word in str(raised.value) for word in words)


def test_table_round_trip(tmp_path):
    table = RecipeTable((("sage-4b", "sage-8b"), ("sage-8b", "sage-8b")))
    table.save(tmp_path / "recipes.json", share=0.25)
    assert sage.RecipeTable.load(tmp_path / "recipes.json") == table
    for content, word in (({"version": 2, "layers": []}, "version"), ({"version": 1, "layers": [[]]}, "layers"),
                          ({"version": 1, "layers": [["sage9"]]}, "sage9")):
        (tmp_path / "bad.json").write_text(json.dumps(content))
        with pytest.raises(sage.InvalidArgumentError, match=word):
            sage.RecipeTable.load(tmp_path / "bad.json")
    with pytest.raises(sage.FileError):
        sage.RecipeTable.load(tmp_path / "missing.json")


def test_rules():
    four, eight = [[0.1, 0.3], [0.2, 0.05]], [[0.01, 0.02], [0.01, 0.01]]
    half = calibrate.choose(four, eight, "4", "8", share=0.5)
    assert half.layers == (("4", "8"), ("8", "4"))
    assert calibrate.choose(four, eight, "4", "8", limit=0.2).layers == (("4", "8"), ("4", "4"))
    with pytest.raises(sage.InvalidArgumentError, match="share"):
        calibrate.choose(four, eight, "4", "8", share=2)


def test_command(tmp_path, capsys):
    """The key head whose scores are largest, and with them what rounding does to the softmax, keeps eight bits."""
    random = np.random.default_rng(3)
    for layer in range(2):
        q, k, v = (random.standard_normal((1, heads, 64, 32)).astype(np.float16) for heads in (4, 2, 2))
        k[:, layer] *= 5
        for name, array in zip("qkv", (q, k, v)):
            np.save(tmp_path / f"layer-{layer:02}-{name}.npy", array)
    out = tmp_path / "recipes.json"
    assert calibrate.main([str(tmp_path), f"--out={out}", "--share=0.5"]) == 0
    assert "2 of 4 key heads sage-4b" in capsys.readouterr().out
    table, content = sage.RecipeTable.load(out), json.loads(out.read_text())
    assert table.layers == (("sage-8b", "sage-4b"), ("sage-4b", "sage-8b"))
    assert content["errors"]["sage-4b"][0][0] > 2 * content["errors"]["sage-8b"][0][0]
    assert calibrate.main([str(tmp_path / "none"), f"--out={out}"]) == 1
    assert "must be a folder" in capsys.readouterr().err
