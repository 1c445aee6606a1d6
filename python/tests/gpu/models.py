"""Transformers of several layers from transformers' classes, random weights, their attention switched by one line."""
from report import Report

import torch

import sage.transformers


def outputs_of(model, implementation, **arguments):
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        result = model(**arguments)
    return (result.logits if hasattr(result, "logits") else result.last_hidden_state).float()


def compare(report, name, model, keep=None, **arguments):
    """Outputs beside those of "sdpa" and, in float32, "eager"; `keep` selects rows that mean something."""
    keep = slice(None) if keep is None else keep
    with torch.no_grad():
        model.float().set_attn_implementation("eager")
        exact = outputs_of(model, "eager", **arguments)[keep]
    model.to(torch.bfloat16)
    for implementation in ("sdpa", sage.transformers.register("sage_f16", recipe="f16"), sage.transformers.register()):
        got = outputs_of(model, implementation, **arguments)[keep]
        cosine = torch.nn.functional.cosine_similarity(got.flatten(), exact.flatten(), 0).item()
        agreement = (got.argmax(-1) == exact.argmax(-1)).float().mean().item()
        report.figure(f"{name}, {implementation}: cosine", round(cosine, 6))
        report.figure(f"{name}, {implementation}: same largest logit", round(agreement, 4))
        report.check(f"{name}, {implementation}", cosine > 0.995 and torch.isfinite(got).all(), cosine)


def llama(report):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(vocab_size=2000, hidden_size=1024, intermediate_size=2048, num_hidden_layers=6,
                         num_attention_heads=16, num_key_value_heads=4, max_position_embeddings=2048)
    model = LlamaForCausalLM(config).cuda().eval()
    ids = torch.randint(0, 2000, (2, 1000), device="cuda")
    compare(report, "Llama, 6 layers", model, input_ids=ids)
    mask = torch.ones_like(ids)
    mask[1, :137] = 0  # padding on the left
    compare(report, "Llama, padded", model, keep=mask.bool(), input_ids=ids, attention_mask=mask)
    model.set_attn_implementation("sdpa")
    settings = dict(max_new_tokens=24, do_sample=False, pad_token_id=0)
    with torch.no_grad():
        wanted = model.generate(ids[:1, :64], **settings)
        model.set_attn_implementation("sage")
        got = model.generate(ids[:1, :64], **settings)
        again = model.generate(ids[:1, :64], cache_implementation="static", disable_compile=True, **settings)
    report.figure("Llama, generate: tokens as with sdpa", f"{(got == wanted)[0, 64:].sum().item()} of 24")
    report.check("Llama, generate", got.shape == wanted.shape and again.shape == wanted.shape)
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        error = (compiled(input_ids=ids, use_cache=False).logits.float() - model(input_ids=ids, use_cache=False).logits.float())
    report.check("Llama, torch.compile(fullgraph=True)", error.abs().mean().item() < 0.05, error.abs().mean().item())


def mistral(report):
    from transformers import MistralConfig, MistralForCausalLM
    config = MistralConfig(vocab_size=2000, hidden_size=512, intermediate_size=1024, num_hidden_layers=4,
                           num_attention_heads=8, num_key_value_heads=2, sliding_window=128)
    compare(report, "Mistral, window 128", MistralForCausalLM(config).cuda().eval(),
            input_ids=torch.randint(0, 2000, (2, 500), device="cuda"))


def gpt2(report):
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config(vocab_size=2000, n_embd=768, n_layer=6, n_head=12, bos_token_id=0, eos_token_id=0)
    compare(report, "GPT-2, 6 layers", GPT2LMHeadModel(config).cuda().eval(),
            input_ids=torch.randint(0, 2000, (2, 700), device="cuda"))


def bert(report):
    from transformers import BertConfig, BertModel
    config = BertConfig(vocab_size=2000, hidden_size=768, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    ids = torch.randint(1, 2000, (3, 400), device="cuda")
    mask = torch.ones_like(ids)
    mask[0, 300:], mask[2, 17:] = 0, 0
    compare(report, "BERT, padded", BertModel(config).cuda().eval(), keep=mask.bool(), input_ids=ids, attention_mask=mask)


def main():
    torch.manual_seed(0)
    report = Report()
    try:
        import transformers
        report.figure("transformers", transformers.__version__)
        sections = (llama, mistral, gpt2, bert)
    except ImportError:
        report.check("transformers is not installed: nothing was run", True)
        sections = ()
    for section in sections:
        report.section(section)
    report.finish()


if __name__ == "__main__":
    main()
