"""`sage.transformers` on small models with random weights: the outputs of "sdpa", attention switched by one line."""
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import sage  # noqa: E402
import sage.transformers  # noqa: E402

IDS = torch.arange(96).reshape(2, 48) * 37 % 500


def logits(model, implementation, **arguments):
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        result = model(**arguments)
    return (result.logits if hasattr(result, "logits") else result.last_hidden_state).float()


def compare(model, **arguments):
    model = model.half().eval()
    keep = arguments.get("attention_mask", torch.ones_like(IDS)).bool()
    wanted = logits(model, "sdpa", **arguments)[keep]
    exact = logits(model, sage.transformers.register("sage_f16", recipe="f16"), **arguments)[keep]
    quantized = logits(model, sage.transformers.register(), **arguments)[keep]
    assert (exact - wanted).abs().max() < 0.02
    assert torch.nn.functional.cosine_similarity(quantized.flatten(), wanted.flatten(), 0) > 0.998
    assert not torch.equal(quantized, wanted)
    return model


def llama():
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=500, hidden_size=256, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2))


def test_llama():
    model = compare(llama(), input_ids=IDS)
    model.set_attn_implementation(sage.transformers.register("sage_f16", recipe="f16"))
    settings = dict(max_new_tokens=6, do_sample=False, pad_token_id=0)
    got = model.generate(IDS[:1, :10], **settings)
    model.set_attn_implementation("sdpa")
    assert torch.equal(got, model.generate(IDS[:1, :10], **settings))


def test_recipes_by_head():
    model = llama().half().eval()
    table = sage.RecipeTable((("sage-8b", "f16"), ("sage-4b", "sage-4b"), ("f16", "sage-8b")))
    wanted = logits(model, "sdpa", input_ids=IDS)
    got = logits(model, sage.transformers.register("sage_table", recipe=table), input_ids=IDS)
    assert torch.nn.functional.cosine_similarity(got.flatten(), wanted.flatten(), 0) > 0.99
    assert not torch.equal(got, logits(model, "sage_f16", input_ids=IDS))
    # One recipe for all heads is that recipe.
    alike = sage.RecipeTable((("sage-8b", "sage-8b"),) * 3)
    model.set_attn_implementation(sage.transformers.register("sage_alike", recipe=alike))
    assert torch.equal(logits(model, "sage_alike", input_ids=IDS),
                       logits(model, sage.transformers.register("sage_8b", recipe="sage-8b"), input_ids=IDS))
    for layers, words in (((("f16", "f16"),), "must have the model's layer 1, but has 1 layers"),
                          ((("f16",),) * 3, "each of the 2 key heads of layer 0, but has 1")):
        with pytest.raises(sage.InvalidArgumentError, match=words):
            logits(model, sage.transformers.register("sage_short", recipe=sage.RecipeTable(layers)), input_ids=IDS)
    q = torch.zeros(1, 2, 8, 64).half()
    with pytest.raises(sage.UnsupportedError, match="Module has no layer_idx"):
        sage.transformers._attention(table, False)(torch.nn.Module(), q, q, q, None)
    with pytest.raises(sage.InvalidArgumentError, match="recipe of layer 0, key head 1, must be one of"):
        sage.transformers.register(recipe=sage.RecipeTable((("f16", "x"),)))


def test_padding():
    mask = torch.ones_like(IDS)
    mask[1, :9] = 0
    compare(llama(), input_ids=IDS, attention_mask=mask)


def test_sliding_window():
    torch.manual_seed(0)
    compare(transformers.MistralForCausalLM(transformers.MistralConfig(
        vocab_size=500, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=16)), input_ids=IDS)


def test_gpt2():
    torch.manual_seed(0)
    compare(transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=500, n_embd=256, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)), input_ids=IDS)


@pytest.mark.skipif(transformers.__version__ < "5", reason="BERT uses the attention interface from 5.0 on")
def test_bert():
    torch.manual_seed(0)
    mask = torch.ones_like(IDS)
    mask[0, 30:] = 0
    compare(transformers.BertModel(transformers.BertConfig(
        vocab_size=500, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4)),
        input_ids=IDS, attention_mask=mask)


def test_what_is_refused():
    model = llama().half()
    model.set_attn_implementation(sage.transformers.register())
    with pytest.raises(sage.UnsupportedError, match="must not require a gradient"):
        model.eval()(IDS)
    forward = sage.transformers._attention("auto", False)
    q = torch.zeros(1, 2, 8, 64).half()
    for name in sage.transformers._CHANGES_RESULT:
        with pytest.raises(sage.UnsupportedError, match=f"{name} must be None"):
            forward(torch.nn.Module(), q, q, q, None, **{name: torch.ones(2)})
    with pytest.raises(sage.UnsupportedError, match="dropout_p must be 0, but is 0.5"):
        forward(torch.nn.Module(), q, q, q, None, dropout=0.5)
    for name in ("eager", "sdpa", "paged|sage", 3):
        with pytest.raises(ValueError, match="name must be an identifier other than eager and sdpa"):
            sage.transformers.register(name)
    with pytest.raises(sage.InvalidArgumentError, match="recipe must be one of"):
        sage.transformers.register(recipe="x")
    with pytest.raises(sage.ArgumentTypeError, match="fallback must be True or False"):
        sage.transformers.register(fallback="yes")


def test_fallback_trains():
    model = llama().float()
    model.set_attn_implementation(sage.transformers.register("sage_or_sdpa", fallback=True))
    model(IDS, labels=IDS).loss.backward()
    assert model.model.layers[0].self_attn.q_proj.weight.grad is not None
