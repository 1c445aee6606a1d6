"""Compiles random problems, most of them impossible, for random chips and recipes: each ends in an artifact or in an error.

    fuzz_compile.py LIBRARIES [--seed=S] [--count=N]
"""

import argparse
import random
from ctypes import c_int64

from bindings import Options, Problem, compile_problem

EXTENTS = [0, 1, 2, 3, 7, 16, 64, 96, 100, 128, 192, 256, 320, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -1, -2**31, -2**63]
NUMBERS = [0.0, 1.0, -1.0, 0.125, 30.0, 5e-324, 1e-40, 3.5e38, 1e300, float("inf"), float("nan")]
ENUMERATORS = [0, 0, 1, 1, 2, 3, 4, 5, -1, 2**31 - 1]
CHIPS = [b"sm_80", b"sm_86", b"sm_89", b"sm_90a", b"sm_120a", b"sm_90", b"", b"\xff\xfe", None]
RECIPES = [None, b"sage2-8b", b"sage2-4b", b"sage1", b"sage2pp", b"sage-8b", b"sage-4b", b"f16", b"", b"#", b"\xff", b"#sage.mask<none>",
           b'#sage.recipe<"sage2-8b", interval = 32>', b'#sage.recipe<"sage2-8b", smooth = q|k|v>',
           b'#sage.recipe<"sage1", granularity = per_token>', b'#sage.recipe<"sage2-8b", pv = e5m2>']
FIELDS = {"scale": NUMBERS, "softcap": NUMBERS, "element_type": ENUMERATORS, "layout": ENUMERATORS,
          "mask": ENUMERATORS, "bias_type": ENUMERATORS, "head_dim": EXTENTS, "value_head_dim": EXTENTS,
          "window_left": EXTENTS, "window_right": EXTENTS, "sink_tokens": EXTENTS}

parser = argparse.ArgumentParser()
parser.add_argument("libraries")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--count", type=int, default=100)
arguments = parser.parse_args()
draw = random.Random(arguments.seed)

compiled = 0
for _ in range(arguments.count):
    fields = {name: draw.choice(FIELDS.get(name, [0, 1, -1, 2**31 - 1]))
              for name in draw.sample([name for name, _ in Problem._fields_], draw.randint(0, 6)) if name != "shape"}
    if draw.random() < 0.3:
        fields["shape"] = (c_int64 * 5)(*(draw.choice(EXTENTS + [-1, 1] * 8) for _ in range(5)))
    options = Options(recipe=draw.choice(RECIPES), substitute=draw.randint(0, 1))
    artifact, diagnostics = compile_problem(draw.choice(CHIPS), options, **fields)
    assert artifact or "error: " in diagnostics, f"{fields} fails without an error: {diagnostics!r}"
    compiled += artifact is not None
print(f"{arguments.count} problems: {compiled} compiled, {arguments.count - compiled} refused")
