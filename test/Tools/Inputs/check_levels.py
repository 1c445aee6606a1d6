"""Checks the page of sage-compile --save-temps: it stands alone, has every level, and links them.

    check_levels.py FOLDER
"""

import json
import re
import sys
from pathlib import Path

folder = Path(sys.argv[1])
page = (folder / "levels.html").read_text(encoding="utf-8")
assert not re.search(r"https?:|src=|href=|@import", page), "the page must not load anything"
text = re.search(r"^const data = (.*);$", page, re.MULTILINE)[1]
assert "</" not in text, "data must not end the script"
levels = json.loads(text)["levels"]

files = [level["file"] for level in levels]
assert files == sorted(path.name for path in folder.iterdir() if path.name != "levels.html"), files
for level in levels:
    shown = (folder / level["file"]).read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert level["lines"] == shown, f"{level['file']} is shown otherwise"
    assert len(level["origins"]) == len(shown)


def origins(level, line):
    pairs = levels[level]["origins"][line]
    return set(zip(pairs[::2], pairs[1::2]))


def find(level, pattern):
    found = [line for line, text in enumerate(levels[level]["lines"]) if re.search(pattern, text)]
    assert found, f"{pattern} is not in {files[level]}"
    return found


attention = (0, find(0, "sage.attention")[0])
last = len(levels) - 1
for level in range(1, last + 1):
    for line, _ in enumerate(levels[level]["lines"]):
        for origin, number in origins(level, line):
            assert origin < level and number < len(levels[origin]["lines"]), "origins are earlier lines"
    assert any(attention in origins(level, line) for line in range(len(levels[level]["lines"]))), files[level]

# Instructions of the artifact, back to the ops that they were made of.
for instruction, op in ((r"^\s.*mma\S*\.sync", "mma"), (r"^\sex2\.approx", "exp2|ex2")):
    for line in find(last, instruction):
        made_of = {number for level, number in origins(last, line) if level == last - 1}
        assert made_of, f"{files[last]}:{line + 1} has no origin"
        assert all(re.search(op, levels[last - 1]["lines"][number]) for number in made_of), (line, made_of)
linked = sum(bool(line) for line in levels[last]["origins"])
print(f"{len(levels)} levels, {100 * linked // len(levels[last]['lines'])} percent of the artifact's lines linked")
