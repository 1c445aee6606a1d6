"""Recipes by layer and key head: the table, its calibration, attention with it."""
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

import sage
from sage import _library, calibrate
from sage.recipes import RecipeTable, runs


ROOT = Path(__file__).parents[2]


def test_every_list_has_the_named_recipes():
    """docs/Architecture.md, "How to add … A recipe"."""
    table = re.compile(r'^ *\{"([\w-]+)", (?:ScoreType::|SAGE_SCORE_)', re.MULTILINE)
    wanted = set(table.findall((ROOT / "lib/Dialect/Sage/IR/RecipeAttr.cpp").read_text()))
    assert len(wanted) >= 7 and set(_library.RECIPES) == wanted
    assert set(table.findall((ROOT / "runtime/lib/NamedPrograms.cpp").read_text())) == wanted
    options = re.search(r"recipes = \{(.*?)\}", (ROOT / "tools/sage-run/Options.cpp").read_text(), re.DOTALL)[1]
    assert set(re.findall(r'"([\w-]+)"', options)) == wanted
    described = (ROOT / "include/sage/Dialect/Sage/IR/SageAttributes.td").read_text()
    assert {name for name in wanted if f"    | `{name}` | " in described} == wanted
    spec = importlib.util.spec_from_file_location("problems", ROOT / "test/gpu/problems.py")
    problems = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(problems)
    assert set(problems.NAMED_RECIPES) == wanted
    from evaluation import variants
    assert wanted <= set(variants.RECIPES)


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


def test_no_heads(inputs):
    q, k, v = (x[:, :0] for x in inputs())
    assert sage.attention(q, k, v, recipe=[]).shape == q.shape


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
    (dict(recipe=["sage-8b", 3]), sage.ArgumentTypeError, ["key head 1", "3"]),
    (dict(recipe=[]), sage.InvalidArgumentError, ["each of the 2 key heads", "got 0"]),
    (dict(recipe=RecipeTable((("sage-8b", "sage-4b"),))), sage.InvalidArgumentError, ["pass table.layers[layer]"]),
    (dict(recipe=["sage-8b", "sage-4b"], return_lse=True), sage.UnsupportedError, ["return_lse"]),
    (dict(recipe=["sage-8b", "sage-4b"], artifact=3), sage.InvalidArgumentError, ["artifact must be None"]),
    # What a slice would hide.
    (dict(recipe=["sage-8b", "sage-4b"], sinks=np.zeros(6, np.float32)), sage.InvalidArgumentError, ["sinks", "4 elements"]),
    (dict(recipe=["sage-8b", "sage-4b"], bias=np.zeros((8, 70, 90), np.float32)), sage.InvalidArgumentError, ["broadcast"]),
    (dict(recipe=["sage-8b", "sage-4b"], bias=[1.0]), sage.ArgumentTypeError, ["bias must be a NumPy array"]),
    (dict(recipe=["sage-8b", "sage-4b"], out=np.zeros((2, 6, 70, 64), np.float16)), sage.InvalidArgumentError, ["out must have shape"]),
    (dict(recipe=["sage-8b", "sage-4b"], out=[]), sage.UnsupportedError, ["out must be of NumPy, torch or cupy"])])
def test_errors(inputs, arguments, error, words):
    with pytest.raises(error) as raised:
        sage.attention(*inputs(), **arguments)
    assert all(word in str(raised.value) for word in words)


def test_table_round_trip(tmp_path):
    table = RecipeTable((("sage-4b", "sage-8b"), ("sage-8b", "sage-8b")))
    table.save(tmp_path / "recipes.json", share=0.25)
    assert sage.RecipeTable.load(tmp_path / "recipes.json") == table
    for content, word in (({"version": 2, "layers": []}, "version"), ({"version": 1, "layers": [[]]}, "layers"),
                          ({"version": 1, "layers": []}, "layers"), ({"version": 1, "layers": [["sage9"]]}, "sage9"),
                          ({"version": 1, "layers": [["f16", "auto"]]}, "layer 0, key head 1, must be one of"), ([], "version")):
        (tmp_path / "bad.json").write_text(json.dumps(content))
        with pytest.raises(sage.InvalidArgumentError, match=word):
            sage.RecipeTable.load(tmp_path / "bad.json")
    with pytest.raises(sage.ArgumentTypeError, match="path must be a path, but got 3"):
        sage.RecipeTable.load(3)
    (tmp_path / "text.json").write_text('{"version": 1, "layers": [["f16"')
    (tmp_path / "deep.json").write_text("[" * 200000)
    for name in ("missing.json", "text.json", "deep.json", "."):
        with pytest.raises(sage.FileError, match="cannot read recipes"):
            sage.RecipeTable.load(tmp_path / name)


def test_rules():
    four, eight = [[0.1, 0.3], [0.2, 0.05]], [[0.01, 0.02], [0.01, 0.01]]
    half = calibrate.choose(four, eight, "4", "8", share=0.5)
    assert half.layers == (("4", "8"), ("8", "4"))
    assert calibrate.choose(four, eight, "4", "8", limit=0.2).layers == (("4", "8"), ("4", "4"))
    with pytest.raises(sage.InvalidArgumentError, match="share"):
        calibrate.choose(four, eight, "4", "8", share=2)


def write_passage(folder, change):
    """Two layers of two key heads; change(layer, query, key, value) is of layer `layer`."""
    random = np.random.default_rng(3)
    for layer in range(2):
        arrays = [random.standard_normal((1, heads, 64, 32)).astype(np.float16) for heads in (4, 2, 2)]
        change(layer, *arrays)
        for name, array in zip("qkv", arrays):
            np.save(folder / f"layer-{layer:02}-{name}.npy", array)


def test_command(tmp_path, capsys):
    """The key head whose scores are largest, and with them what rounding does to the softmax, keeps eight bits."""
    def peaked(layer, query, key, value):
        key[:, layer] *= 5
    write_passage(tmp_path, peaked)
    out = tmp_path / "recipes.json"
    assert calibrate.main([str(tmp_path), f"--out={out}", "--share=0.5"]) == 0
    assert "2 of 4 key heads sage-4b" in capsys.readouterr().out
    table, content = sage.RecipeTable.load(out), json.loads(out.read_text())
    assert table.layers == (("sage-8b", "sage-4b"), ("sage-4b", "sage-8b"))
    assert content["errors"]["sage-4b"][0][0] > 2 * content["errors"]["sage-8b"][0][0]
    assert content["passages"] == [tmp_path.name] and content["chip"] == "sm_90a" and content["share"] == 0.5


def test_whose_output_an_error_is_relative_to(tmp_path):
    """A head that adds little to its layer's sum keeps eight bits only where its error is relative to its own O."""
    def small(layer, query, key, value):
        key[:, layer] *= 5
        value[:, layer] *= 0.01
    write_passage(tmp_path, small)
    peaked, others = (("sage-8b", "sage-4b"), ("sage-4b", "sage-8b")), (("sage-4b", "sage-8b"), ("sage-8b", "sage-4b"))
    found = {}
    for rule, options, wanted in (("layer", [], others), ("head", ["--relative-to=head"], peaked)):
        out = tmp_path / f"{rule}.json"
        assert calibrate.main([str(tmp_path), f"--out={out}", *options]) == 0
        content = found[rule] = json.loads(out.read_text())
        assert sage.RecipeTable.load(out).layers == wanted and content["error"] == f"relative to the {rule}'s O"
    layer, head = (found[rule]["errors"]["sage-4b"][0] for rule in ("layer", "head"))
    assert layer[0] < 0.05 * head[0] and 0.9 * head[1] < layer[1] <= head[1]
    with pytest.raises(sage.InvalidArgumentError, match="relative_to must be one of layer, head"):
        calibrate.head_errors(*(np.zeros((1, 1, 8, 16), np.float16),) * 3, "sage-4b", relative_to="model")


def test_divergence(tmp_path, capsys):
    """Heads that cost the model least get four bits; less what eight bits cost, where the file says that too."""
    file, out = tmp_path / "sensitivity.json", tmp_path / "recipes.json"
    content = {"divergence": {"sage-4b": [[4e-4, 1e-4], [9e-4, -1e-9]]}, "passages": ["novel-640-0"]}
    run = lambda *options: calibrate.main([f"--divergence={file}", f"--out={out}", *options])
    file.write_text(json.dumps(content))
    assert run() == 0 and "2 of 4 key heads sage-4b" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert sage.RecipeTable.load(out).layers == (("sage-8b", "sage-4b"), ("sage-8b", "sage-4b"))
    assert written["errors"] == {"sage-4b": [[0.02, 0.01], [0.03, 0.0]], "sage-8b": [[0.0, 0.0], [0.0, 0.0]]}
    assert written["passages"] == ["novel-640-0"] and written["error"] == "root of the divergence" and "chip" not in written
    assert run("--limit=0.02") == 0 and sage.RecipeTable.load(out).layers[0] == ("sage-4b", "sage-4b")
    content["divergence"]["sage2-8b"] = [[3.9e-4, 0], [0, 0]]
    file.write_text(json.dumps(content))
    assert run("--eight=sage2-8b") == 0
    assert sage.RecipeTable.load(out).layers == (("sage-4b", "sage2-8b"), ("sage2-8b", "sage-4b"))


def test_tables_of_the_documents(tmp_path):
    """docs/accuracy.json has what each head costs SmolLM2: the tables by divergence, whose figures it states, come of it."""
    from evaluation.attentions import table_text
    content = json.loads((ROOT / "docs/accuracy.json").read_text())
    file, out = tmp_path / "sensitivity.json", tmp_path / "recipes.json"
    file.write_text(json.dumps(content["sensitivity"]))
    named = re.compile(r"sage-calibrate, (\d+) % of the key heads sage-4b, by divergence")
    shares = {name: named.fullmatch(name)[1] for name in content["perplexity"]["calibration"] if named.fullmatch(name)}
    assert set(shares.values()) == {"45", "50", "55"}
    for name, share in shares.items():
        assert calibrate.main([f"--divergence={file}", f"--out={out}", f"--share=0.{share}"]) == 0
        assert table_text(sage.RecipeTable.load(out)) in content["perplexity"]["attentions"][name]
        assert json.loads(out.read_text())["passages"] == content["perplexity"]["calibration"][name]


@pytest.mark.parametrize("content, arguments, words", [
    (None, [], ["either folders or --divergence must be given"]),
    (None, ["."], ["layer-00-q.npy"]),
    ('{"divergence": {"sage-4b": [[1]]}}', [".", "--divergence=it.json"], ["either folders or --divergence must be given"]),
    ('{"divergence": {"sage-4b": [[1]]}}', ["--divergence=it.json", "--relative-to=head"], ["--relative-to must come with folders"]),
    ('{"divergence": {"sage-4b": [[1]]}}', ["--divergence=it.json", "--chip=sm_89"], ["--chip must come with folders"]),
    ('{"divergence": {"sage-4b": [[1]]}}', ["--divergence=it.json", "--not-causal"], ["--not-causal must come with folders"]),
    (None, ["--divergence=it.json"], ["it.json cannot be read"]),
    ("{", ["--divergence=it.json"], ["it.json cannot be read"]),
    ("[" * 200000, ["--divergence=it.json"], ["it.json cannot be read"]),
    ("[]", ["--divergence=it.json"], ["must have the divergence of sage-4b, but has that of nothing"]),
    ('{"divergence": {"sage1": [[1]]}}', ["--divergence=it.json"], ["of sage-4b, but has that of sage1"]),
    *((f'{{"divergence": {{"sage-4b": {rows}}}}}', ["--divergence=it.json"], ["must be a list of layers with a number for each key head"])
      for rows in ("[]", "[[]]", "[1]", "3", '[["1"]]', "[[true]]", "[[NaN]]")),
    ('{"divergence": {"sage-4b": [[1, 2]], "sage-8b": [[1]]}}', ["--divergence=it.json"], ["must have the same layers and key heads"])])
def test_divergence_that_is_refused(tmp_path, monkeypatch, capsys, content, arguments, words):
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / "it.json").write_text(content)
    assert calibrate.main(["--out=recipes.json", *arguments]) == 1
    error = capsys.readouterr().err
    assert "sage-calibrate: " in error and all(word in error for word in words)
    assert not (tmp_path / "recipes.json").exists()


@pytest.fixture
def passage(tmp_path):
    """A folder with two layers of one key head each, whose files have numbers of one digit."""
    random = np.random.default_rng(5)
    for layer in range(2):
        for name in "qkv":
            np.save(tmp_path / f"layer-{layer}-{name}.npy", random.standard_normal((1, 1, 8, 16)).astype(np.float16))
    return tmp_path


def test_names_of_files(passage, capsys):
    assert calibrate.main([str(passage), f"--out={passage}/recipes.json", "--limit=0"]) == 0
    assert "0 of 2 key heads" in capsys.readouterr().out
    for layer in range(2, 11):
        for name in "qkv":
            (passage / f"layer-{layer}-{name}.npy").write_bytes((passage / f"layer-0-{name}.npy").read_bytes())
    assert calibrate._layers(passage) == [f"layer-{layer}" for layer in range(11)]


def change(name, array=None, content=None):
    def apply(folder):
        if array is not None:
            np.save(folder / name, array)
        elif content is not None:
            (folder / name).write_bytes(content)
        else:
            (folder / name).unlink()
    return apply


@pytest.mark.parametrize("damage, arguments, words", [
    (None, ["none"], ["none must be a folder"]),
    (None, [".", "--four=auto"], ["--four must be one of sage2-8b", "'auto'"]),
    (None, [".", "--chip=sm_70"], ["chip must be one of"]),
    (None, [".", "--share=2"], ["share must be 0 to 1"]),
    (None, [".", "--out=none/recipes.json"], ["--out must be in a folder that exists"]),
    (change("layer-0-q.npy"), ["."], ["must have layer-00-q.npy and so on without gaps", "[1]"]),
    (change("layer-00-q.npy", np.zeros((1, 1, 8, 16), np.float16)), ["."], ["without gaps", "[0, 0, 1]"]),
    (change("layer-1-v.npy"), ["."], ["layer-1-v.npy cannot be read"]),
    (change("layer-1-v.npy", content=b""), ["."], ["layer-1-v.npy cannot be read"]),
    (change("layer-1-v.npy", content=b"\x93NUMPY\x01\x00\xff"), ["."], ["layer-1-v.npy cannot be read"]),
    (change("layer-1-v.npy", np.array([None])), ["."], ["layer-1-v.npy cannot be read"]),
    (change("layer-1-k.npy", np.zeros((1, 1, 8, 16))), ["."], ["must have float16 [batch, heads", "float64"]),
    (change("layer-1-k.npy", np.zeros((1, 0, 8, 16), np.float16)), ["."], ["must have float16 [batch, heads", "[1, 0, 8, 16]"]),
    (change("layer-1-k.npy", np.full((1, 1, 8, 16), np.nan, np.float16)), ["."], ["finite elements, but 128 are not"]),
    (change("layer-1-k.npy", np.zeros((1, 1, 9, 16), np.float16)), ["."], ["same heads and tokens"])])
def test_what_the_command_refuses(passage, capsys, monkeypatch, damage, arguments, words):
    monkeypatch.chdir(passage)
    if damage:
        damage(passage)
    assert calibrate.main(["--out=recipes.json", *arguments]) == 1
    error = capsys.readouterr().err
    assert "sage-calibrate: " in error and all(word in error for word in words)
    assert not (passage / "recipes.json").exists()


def test_passages_of_different_models(passage, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in "qkv":
        (other / f"layer-0-{name}.npy").write_bytes((passage / f"layer-0-{name}.npy").read_bytes())
    assert calibrate.main([str(passage), str(other), f"--out={tmp_path}/recipes.json"]) == 1
    assert "as many layers as one another" in capsys.readouterr().err
