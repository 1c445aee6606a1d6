"""Attention implementation for Hugging Face's transformers (4.53 and later, 5.x).

    import sage.transformers
    model.set_attn_implementation(sage.transformers.register())
"""
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

import torch

from . import _problem
from .errors import InvalidArgumentError, UnsupportedError, choice
from .recipes import RecipeTable, runs
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
        rest = (dropout, is_causal, scaling)
        if isinstance(recipe, RecipeTable):
            output = _attend_by_head(_recipes_of(recipe, module, key), query, key, value, attention_mask, rest, fallback)
        else:
            output = scaled_dot_product_attention(query, key, value, attention_mask, *rest, key.shape[1] != query.shape[1],
                                                  recipe=recipe, fallback=fallback)
        return output.transpose(1, 2).contiguous(), None

    return sage_attention_forward


def _recipes_of(table, module, key):
    """The recipes of a layer's key heads."""
    remedy = "calibrate with activations of this model"
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise UnsupportedError(f"the attention must know its layer where a recipe table is registered, but "
                               f"{type(module).__name__} has no layer_idx", "register a recipe's name for this model")
    if not 0 <= layer < len(table.layers):
        raise InvalidArgumentError(f"the recipe table must have the model's layer {layer}, but has {len(table.layers)} layers", remedy)
    if len(table.layers[layer]) != key.shape[1]:
        raise InvalidArgumentError(f"the recipe table must have a recipe for each of the {key.shape[1]} key heads of layer {layer}, "
                                   f"but has {len(table.layers[layer])}", remedy)
    return table.layers[layer]


def _attend_by_head(recipes, query, key, value, mask, rest, fallback):
    group = query.shape[1] // key.shape[1]
    outputs = []
    for first, end, recipe in runs(recipes):
        queries = slice(first * group, end * group)
        part = mask[:, queries] if mask is not None and mask.dim() == 4 and mask.shape[1] != 1 else mask
        outputs.append(scaled_dot_product_attention(query[:, queries], key[:, first:end], value[:, first:end], part, *rest,
                                                    group != 1, recipe=recipe, fallback=fallback))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def register(name="sage", *, recipe="auto", fallback=False):
    """Registers attention under a name for `attn_implementation=` and `set_attn_implementation`, and returns the name.

    recipe may also be a `sage.RecipeTable`, with a recipe for each key head of each layer of the model.

    Masks are made as for "sdpa": none where causality says all, otherwise boolean. recipe and fallback are those of
    `sage.torch.scaled_dot_product_attention`. A model whose class does not use transformers' attention interface keeps its
    own attention, as transformers warns. Models with soft caps, learned sinks or a position bias raise, as do training
    (dropout, gradients) and output_attentions.
    """
    if not isinstance(name, str) or not name.isidentifier() or name in ("eager", "sdpa"):
        raise ValueError(f"name must be an identifier other than eager and sdpa, but got {name!r}")
    if isinstance(recipe, RecipeTable):
        recipe.check("recipe")
    else:
        choice("recipe", recipe, _problem.RECIPES)
    _problem.flag("fallback", fallback)
    AttentionInterface.register(name, _attention(recipe, fallback))
    AttentionMaskInterface.register(name, sdpa_mask)
    return name
