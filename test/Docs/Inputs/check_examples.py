"""Parses the examples of the generated reference (ODS descriptions).

    check_examples.py PAGE.md...

An example is an excerpt: it uses values and attribute names that it does not define. Both
are added here. The type of a value is not guessed but asked for: it is defined with the type
`none`, and the parser's complaint names the type that its use wants. Examples that elide
something (`...` or `…`) are no programs and are left out.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FENCE = re.compile(r"^ *```mlir\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"^ *Example: `(#[^`]*)`$", re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
UNDECLARED = re.compile(r"error: use of undeclared SSA value name\n(.*)\n( *)\^")
WRONG_TYPE = re.compile(r"error: use of value '(%\w+)' expects different type than prior uses: '(.*)' vs 'none'")
NAME = re.compile(r"%\w+")

# Attribute names that examples use without defining them: fragments of a warpgroup.
ALIASES = {
    "#acc": "#sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>",
    "#row": "#sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>",
    "#rows": "#sage_tile.layout<lane = [16:(0, 8), 2:(1, 0)], reg = [8:(0, 1), 8:(2, 0)]>",
    "#packed": "#sage_tile.layout<lane = [16:(0, 4), 2:(1, 0)], reg = [4:(0, 1), 8:(2, 0)]>",
    "#a": "#sage_tile.layout<warp = [4:(16, 0)], lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(0, 8), 2:(8, 0), 8:(0, 16)]>",
    "#geometry": "#sage.geometry<query_block = 128, key_tile = 64, "
                 "query_groups = affine_map<(n) -> ((n floordiv 16) * 8 + n mod 8)>, "
                 "key_groups = affine_map<(n) -> ((n floordiv 64) * 4 + (n mod 8) floordiv 2)>, "
                 "value_order = affine_map<(p) -> (p)>>",
}
# Where an example may stand: in an op's attributes, in a module, in a kernel, with a producer or its consumers,
# in a module of kernels.
ATTRIBUTE = ('"doc.value"() {example =\n', "} : () -> ()\n")
KERNEL = "gpu.module @wrapper {{\nsage_tile.kernel @wrapper() attributes {{unit = #sage_tile.unit<{unit}>, units = 3 : i32}} {{\n"
WRAPPERS = [
    ("", ""),
    (KERNEL.format(unit="warpgroup"), "sage_tile.return\n}\n}\n"),
    (KERNEL.format(unit="warp"), "sage_tile.return\n}\n}\n"),
    (KERNEL.format(unit="warp") + "sage_tile.specialize producer registers(0) {\n",
     "} consumer registers(0) {\n}\nsage_tile.return\n}\n}\n"),
    (KERNEL.format(unit="warp") + "sage_tile.specialize producer registers(0) {\n} consumer registers(0) {\n",
     "}\nsage_tile.return\n}\n}\n"),
    ("gpu.module @wrapper {\n", "}\n"),
]


def parse(text):
    """What the parser prints about a program that it refuses; nothing about one that it takes."""
    result = subprocess.run(["sage-opt", "--allow-unregistered-dialect", "-"], input=text, capture_output=True,
                            encoding="utf-8")
    return result.stderr if result.returncode else ""


def complete(code, wrapper):
    """Parses `code` with definitions of the values that it lacks."""
    aliases = "".join(f"{name} = {value}\n" for name, value in ALIASES.items()
                      if re.search(re.escape(name) + r"\b", code) and f"{name} =" not in code)
    types = {}
    while True:
        values = "".join(f'{name} = "doc.value"() : () -> ({type})\n' for name, type in types.items())
        error = parse(aliases + wrapper[0] + values + code + wrapper[1])
        undeclared = [NAME.match(line, len(blanks)) for line, blanks in UNDECLARED.findall(error)]
        new = {match[0]: "none" for match in undeclared if match and match[0] not in types}
        wrong = WRONG_TYPE.search(error)
        if new:
            types.update(new)
        elif wrong and types.get(wrong[1]) == "none":
            types[wrong[1]] = wrong[2]
        else:
            return error


def check(example):
    where, code = example
    errors = []
    is_attribute = re.match(r"\s*#\w+\.", code)
    for wrapper in [ATTRIBUTE] if is_attribute else WRAPPERS:
        error = complete(code, wrapper)
        if not error:
            return ""
        errors.append(error)
    return f"{where}:\n{code}" + "\n".join(dict.fromkeys(errors))


def read_examples(path):
    text = path.read_text(encoding="utf-8")
    headings = [(match.start(), match[1]) for match in HEADING.finditer(text)]
    for match in [*FENCE.finditer(text), *INLINE.finditer(text)]:
        if "..." in match[1] or "…" in match[1]:
            continue
        heading = [name for start, name in headings if start < match.start()][-1]
        yield f"{path.name}, {heading}", match[1]


def main(paths):
    examples = [example for path in paths for example in read_examples(Path(path))]
    with ThreadPoolExecutor() as pool:
        wrong = [message for message in pool.map(check, examples) if message]
    print("\n".join(wrong))
    print(f"{len(examples)} examples, {len(wrong)} wrong")
    return 1 if wrong or not examples else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
