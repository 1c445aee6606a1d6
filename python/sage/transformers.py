"""Attention implementation for Hugging Face's transformers (4.53 and later, 5.x).

    import sage.transformers
    model.set_attn_implementation(sage.transformers.register())
"""
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from . import _problem
from .errors import UnsupportedError, choice
from .torch import scaled_dot_product_attention

#: What models pass on that changes nothing about the result of attention, or is part of the mask already.
_CHANGES_RESULT = {
    "softcap": "scores would have to be capped",
    "s_aux": "the model has learned sinks",
    "position_bias": "the model has a learned position bias",
    "head_mask": "heads would have to be masked",
    "output_attentions": "attention weights are never formed",
}


def _attention(recipe, fallback):
    def sage_attention_forward(module, query, key, value, attention_mask, dropout=0.0, scaling=None, is_causal=None, **kwargs):
        for name, why in _CHANGES_RESULT.items():
            if kwargs.get(name) is not None and kwargs[name] is not False:
                raise UnsupportedError(f"{name} must be None for the attention implementation of sage, but is given: {why}",
                                       "use attn_implementation=\"eager\" for this model")
        queries, keys = query.shape[2], key.shape[2]
        if is_causal is None:
            is_causal = getattr(module, "is_causal", True)
        # A single query of a decoder sees every key; a mask says everything where there is one.
        is_causal = bool(is_causal) and queries > 1 and attention_mask is None
        if is_causal and keys > queries:
            # A prefilled static cache: the keys behind the queries are not written yet.
            key, value = key[:, :, :queries], value[:, :, :queries]
        if attention_mask is not None and attention_mask.shape[-1] > keys:
            attention_mask = attention_mask[..., :keys]
        output = scaled_dot_product_attention(query, key, value, attention_mask, dropout, is_causal, scaling,
                                              key.shape[1] != query.shape[1], recipe=recipe, fallback=fallback)
        return output.transpose(1, 2).contiguous(), None

    return sage_attention_forward


def register(name="sage", *, recipe="auto", fallback=False):
    """Registers attention under a name for `attn_implementation=` and `set_attn_implementation`, and returns the name.

    Masks are made as for "sdpa": none where causality says all, otherwise boolean. recipe and fallback are those of
    `sage.torch.scaled_dot_product_attention`. A model whose class does not use transformers' attention interface keeps its
    own attention, as transformers warns. Models with soft caps, learned sinks or a position bias raise, as do training
    (dropout, gradients) and output_attentions.
    """
    if not isinstance(name, str) or not name.isidentifier() or name in ("eager", "sdpa"):
        raise ValueError(f"name must be an identifier other than eager and sdpa, but got {name!r}")
    choice("recipe", recipe, _problem.RECIPES)
    _problem.flag("fallback", fallback)
    AttentionInterface.register(name, _attention(recipe, fallback))
    AttentionMaskInterface.register(name, sdpa_mask)
    return name
