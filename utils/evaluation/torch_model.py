"""The model of model.py in PyTorch: float32 on a device. Attention gets and returns tensors there; exact attention is float64."""
import numpy as np
import torch
from torch.nn import functional

from . import model as models


def exact(layer, query, key, value, block=512):
    """Causal attention in float64; the last query sees every key."""
    group, earlier = query.shape[0] // key.shape[0], key.shape[1] - query.shape[1]
    key, value = (x.double().repeat_interleave(group, 0) for x in (key, value))
    parts = []
    for start in range(0, query.shape[1], block):
        rows = query[:, start:start + block].double() * query.shape[2] ** -0.5
        end = earlier + start + rows.shape[1]
        scores = rows @ key[:, :end].mT
        scores.masked_fill_(hidden(scores, earlier + start), -torch.inf)
        parts.append(scores.softmax(-1) @ value[:, :end])
    return torch.cat(parts, 1)


def hidden(scores, first):
    """What a causal mask hides of scores [..., rows, keys], the first row of which sees `first` keys and its own."""
    return torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(first + 1)


class TorchModel(models.Model):
    """`model` on a device, e.g. "cuda"."""
    exact = staticmethod(exact)
    silu = staticmethod(functional.silu)
    concatenate = staticmethod(torch.cat)

    def __init__(self, model, device):
        self.device = torch.device(device)
        torch.backends.cuda.matmul.allow_tf32 = False
        weights = {name: torch.tensor(array, device=self.device) for name, array in model.weights.items()}
        super().__init__(model.config, weights, model.tokenizer,
                         f"{model.identity} in PyTorch {torch.__version__} on {device_name(self.device)}")

    @torch.no_grad()
    def states(self, tokens, attention=None, capture=None):
        return super().states(tokens, attention, capture)

    @torch.no_grad()
    def head(self, states, logits="all"):
        positions = torch.as_tensor(logits, device=self.device) if isinstance(logits, np.ndarray) else logits
        return super().head(self.array(states), positions)

    def array(self, values):
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)

    def embed(self, tokens):
        return self.weights["token_embd"][torch.as_tensor(tokens, dtype=torch.int64, device=self.device)]

    def rms_norm(self, x, weight):
        return functional.rms_norm(x, weight.shape, weight, self.config.epsilon)

    @staticmethod
    def log_softmax(logits):
        return logits.log_softmax(-1)

    @staticmethod
    def divergence(exact, other):
        return (exact.exp() * (exact - other)).sum(-1)

    @staticmethod
    def through_float16(layer, name, x):
        rounded = x.half()
        if not rounded.isfinite().all():
            raise models.does_not_fit(layer, name, float(x.abs().max()))
        return rounded.float()


def device_name(device):
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
