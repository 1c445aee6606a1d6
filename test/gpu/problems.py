"""Attention problems as `sage.attention` modules, and the matrix of what Sage is asked to compile.

One source for the GPU suite (make_suite.py), the generated matrix (utils/matrix.py) and the tests. Standard library only.
"""
import re

CHIPS = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_120a"]
#: Chips whose PTX an H100 executes: its own, and older ones through the driver's JIT.
ON_H100 = ["sm_80", "sm_86", "sm_89", "sm_90a"]
MASK_NAMES = {"none": "none", "causal_top_left": "tl", "causal_bottom_right": "br", "window_top_left": "wtl",
              "window_bottom_right": "wbr"}
NAMED_RECIPES = ["sage2-8b", "sage2-4b", "sage2pp", "sage1", "sage-8b", "sage-4b", "f16"]


class Problem:
    """What one `sage.attention` says, and the chip that it is compiled for.

    `recipe` is a name, or a name and what differs from it ("sage2-8b, qk = int4"). `bias` is an element type (f16, bf16, f32,
    i1) or None. Every extent but the head dims is dynamic.
    """

    def __init__(self, chip, recipe="sage2-8b", head_dim=128, value_head_dim=None, mask="none", element="f16", lse=True,
                 layout="head_major", scale=None, fault=None, window=(None, None), sink_tokens=None, sinks=False,
                 softcap=None, bias=None, key_lengths=False, packed=False):
        self.chip, self.recipe, self.head_dim = chip, recipe, head_dim
        self.value_head_dim = value_head_dim or head_dim
        self.mask, self.element, self.lse, self.layout = mask, element, lse, layout
        self.scale, self.fault = scale, fault
        self.window, self.sink_tokens, self.sinks, self.softcap = window, sink_tokens, sinks, softcap
        self.bias, self.key_lengths, self.packed = bias, key_lengths, packed

    # -- names ---------------------------------------------------------------------------------------------------------

    def dims(self):
        same = self.head_dim == self.value_head_dim
        return str(self.head_dim) if same else f"{self.head_dim}/{self.value_head_dim}"

    def mask_text(self):
        """The mask and what modifies scores, for people; `none` if nothing does."""
        parts = [] if self.mask == "none" else [self.mask]
        for name, value in (("left", self.window[0]), ("right", self.window[1]), ("sink_tokens", self.sink_tokens),
                            ("softcap", self.softcap), ("bias", self.bias)):
            parts += [] if value is None else [f"{name} {value}"]
        for name in ("sinks", "key_lengths", "packed"):
            parts += [name] if getattr(self, name) else []
        return ", ".join(parts) or "none"

    def name(self):
        """A file name; begins with the chip's family, e.g. `sm90a-br-f16`."""
        parts = [self.chip.replace("_", ""), MASK_NAMES[self.mask], self.element]
        parts += [] if self.recipe == "sage2-8b" else [re.sub(r"[^a-z0-9]+", "", self.recipe)]
        parts += [] if self.dims() == "128" else ["d" + self.dims().replace("/", "v")]
        parts += [] if self.lse else ["nolse"]
        parts += ["tokenmajor"] if self.layout == "token_major" else []
        for name, value in (("left", self.window[0]), ("right", self.window[1]), ("sinktokens", self.sink_tokens),
                            ("softcap", self.softcap), ("bias", self.bias), ("scale", self.scale)):
            parts += [] if value is None else [f"{name}{value}".replace(".", "")]
        for name in ("sinks", "key_lengths", "packed"):
            parts += [name.replace("_", "")] if getattr(self, name) else []
        parts += [self.fault] if self.fault else []
        return "-".join(parts)

    # -- the module ----------------------------------------------------------------------------------------------------

    def recipe_attribute(self):
        name, _, changes = self.recipe.partition(",")
        return f'#sage.recipe<"{name}"{"," + changes if changes else ""}>'

    def attributes(self):
        yield f"recipe = {self.recipe_attribute()}"
        if self.mask != "none":
            yield f"mask = #sage.mask<{self.mask}>"
        if self.layout != "head_major":
            yield f"layout = #sage.layout<{self.layout}>"
        for name, value in (("window_left", self.window[0]), ("window_right", self.window[1]),
                            ("sink_tokens", self.sink_tokens)):
            if value is not None:
                yield f"{name} = {value} : i64"
        for name, value in (("softcap", self.softcap), ("scale", self.scale)):
            if value is not None:
                yield f"{name} = {value:e} : f32"

    def optional_operands(self):
        """Keyword, [(name, type)]."""
        if self.bias:
            yield "bias", [("%bias", f"tensor<?x?x?x?x{self.bias}>")]
        if self.key_lengths:
            yield "key_lengths", [("%lengths", "tensor<?xi32>")]
        if self.sinks:
            yield "sinks", [("%sinks", "tensor<?xf32>")]
        if self.packed:
            yield "query_offsets", [("%qo", "tensor<?xi32>")]
            yield "key_offsets", [("%ko", "tensor<?xi32>")]

    def mlir(self):
        tensor = lambda channels: f"tensor<?x?x?x{channels}x{self.element}>"
        inputs = [("%q", tensor(self.head_dim)), ("%k", tensor(self.head_dim)), ("%v", tensor(self.value_head_dim))]
        outs, results = [("%o0", tensor(self.value_head_dim))], ["%o"]
        if self.lse:
            outs.append(("%lse0", "tensor<?x?x?xf32>"))
            results.append("%lse")
        names = lambda pairs: ", ".join(pair[0] for pair in pairs)
        types = lambda pairs: ", ".join(pair[1] for pair in pairs)
        optional = list(self.optional_operands())
        arguments = inputs + [pair for _, pairs in optional for pair in pairs] + outs
        clauses = "".join(f"      {keyword}({names(pairs)} : {types(pairs)})\n" for keyword, pairs in optional)
        return (f"func.func @attend({', '.join(f'{name}: {type}' for name, type in arguments)}) -> ({types(outs)}) {{\n"
                f"  {', '.join(results)} = sage.attention ins({names(inputs)} : {types(inputs)})\n{clauses}"
                f"      outs({names(outs)} : {types(outs)})\n"
                f"      {{{', '.join(self.attributes())}}} -> {types(outs)}\n"
                f"  return {', '.join(results)} : {types(outs)}\n}}\n")


# -- the matrix --------------------------------------------------------------------------------------------------------

HEAD_DIMS = [(64, 64), (96, 96), (128, 128), (192, 192), (256, 256), (192, 128), (40, 40)]

#: What differs from a named recipe, one part at a time.
VARIATIONS = (
    [f"sage2-8b, granularity = {g}" for g in ("per_tensor", "per_block", "per_warp", "per_token")] +
    [f"sage2-4b, granularity = {g}" for g in ("per_tensor", "per_block", "per_warp", "per_token")] +
    [f"sage2-8b, smooth = {s}" for s in ("none", "q", "q|k", "k|v", "q|k|v")] +
    ["sage2-4b, smooth = k", "sage2-4b, smooth = none"] +
    ["sage2-8b, qk = e4m3", "sage2-8b, qk = e4m3, granularity = per_token, smooth = q|k"] +
    ["sage2-8b, pv = e5m2", "sage2-8b, pv = f16, accumulation = single, row_sum = float",
     "sage2-4b, pv = f16, accumulation = single, row_sum = float"] +
    ["sage2-8b, accumulation = single, row_sum = float", "sage2-8b, interval = 32", "sage2-8b, interval = 64",
     "sage2pp, interval = 32", "sage2-8b, row_sum = float", "sage2-4b, row_sum = float", "sage1, granularity = per_thread"] +
    ["sage-8b, smooth = q|k", "sage-8b, qk = e4m3", "sage-8b, granularity = per_token", "sage-8b, granularity = per_block",
     "sage-4b, smooth = k", "sage-4b, range = full"])

#: What a mask or a length may be, one at a time and some together.
FEATURES = [
    dict(mask="causal_top_left"), dict(mask="causal_bottom_right", window=(100, None)),
    dict(mask="window_top_left", window=(70, 30)), dict(mask="window_bottom_right", window=(128, 0)),
    dict(mask="window_bottom_right", window=(None, 65)), dict(mask="causal_bottom_right", window=(200, None), sink_tokens=4),
    dict(sinks=True), dict(softcap=30.0), dict(bias="f32"), dict(bias="f16", mask="causal_bottom_right"), dict(bias="i1"),
    dict(key_lengths=True), dict(key_lengths=True, mask="causal_bottom_right"), dict(packed=True),
    dict(packed=True, mask="causal_bottom_right"),
    dict(packed=True, mask="causal_bottom_right", window=(150, None), sinks=True, softcap=20.0),
]


def matrix():
    """Every cell, without repetitions: recipes x chips x head dims x {none, causal}; then one thing at a time."""
    cells = {}

    def add(*arguments, **more):
        problem = Problem(*arguments, **more)
        cells.setdefault(problem.name(), problem)

    for chip in CHIPS:
        for recipe in NAMED_RECIPES:
            for head_dim, value_head_dim in HEAD_DIMS:
                for mask in ("none", "causal_bottom_right"):
                    add(chip, recipe, head_dim, value_head_dim, mask=mask)
            add(chip, recipe, element="bf16")
        for recipe in VARIATIONS:
            add(chip, recipe)
        for feature in FEATURES:
            for recipe in ("sage2-8b", "sage2-4b", "f16"):
                add(chip, recipe, **feature)
    return list(cells.values())
