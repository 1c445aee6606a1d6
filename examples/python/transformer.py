"""A small Llama with random weights, its attention switched by one line, on a GPU if there is one.

    pip install build/wheel/dist/sage_mlir-*.whl torch transformers
    python examples/python/transformer.py
"""
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import sage.transformers


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = LlamaForCausalLM(LlamaConfig(vocab_size=1000, hidden_size=512, intermediate_size=1024, num_hidden_layers=4,
                                         num_attention_heads=8, num_key_value_heads=2)).half().to(device).eval()
    tokens = torch.randint(0, 1000, (2, 200), device=device)
    with torch.no_grad():
        wanted = model(tokens).logits.float()
        model.set_attn_implementation(sage.transformers.register())
        logits = model(tokens).logits.float()
    cosine = torch.nn.functional.cosine_similarity(logits.flatten(), wanted.flatten(), 0).item()
    print(f"{device}: cosine similarity of the logits with PyTorch's attention {cosine:.5f}")
    assert cosine > 0.995
    print("checked")


if __name__ == "__main__":
    main()
