"""Runs the examples of a document and compares what they print with what it shows.

    check_document.py DOCUMENT --source ROOT --scratch FOLDER

Blocks fenced as `console` hold commands (`$ ` and, after a backslash, the next line) and
what they print. Of the output, a line `…` stands for any lines and `…` inside a line for any
text; blanks are compared as one. A command without output shown only has to succeed. In a
block fenced as `console error` commands fail. Blocks fenced as `mlir` have to parse.
Commands run one after the other in FOLDER, which sees the examples and tests of ROOT.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

FENCE = re.compile(r"^```(\w[^\n]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text):
    """Yields (kind, first line number, content)."""
    for match in FENCE.finditer(text):
        yield (match[1] or "").strip(), text.count("\n", 0, match.start()) + 1, match[2]


def commands(content):
    """Yields (command, output shown)."""
    command, shown = None, []
    for line in content.splitlines():
        if command is not None and command.endswith("\\"):
            command = command[:-1].rstrip() + " " + line.strip()
        elif line.startswith("$ "):
            if command is not None:
                yield command, shown
            command, shown = line[2:].rstrip(), []
        elif command is not None:
            shown.append(line)
    if command is not None:
        yield command, shown


def squeeze(line):
    return " ".join(line.split())


def pattern_of(shown):
    """A regular expression for output whose lines are squeezed."""
    parts = []
    for line in shown:
        line = squeeze(line)
        if line == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(piece.strip()) + "" for piece in line.split("…")) + r"\n")
    return "".join(parts)


def run(command, folder):
    return subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True,
                          encoding="utf-8", timeout=600)


def check_commands(content, expects_failure, folder):
    """Yields what is wrong."""
    for command, shown in commands(content):
        result = run(command, folder)
        printed = result.stdout + result.stderr
        if (result.returncode != 0) != expects_failure:
            yield f"$ {command}\nended with status {result.returncode}:\n{printed}"
            continue
        lines = "".join(squeeze(line) + "\n" for line in printed.splitlines())
        if any(squeeze(line) for line in shown) and not re.fullmatch(pattern_of(shown), lines):
            yield f"$ {command}\nprinted:\n{printed}"


def check_mlir(content):
    result = subprocess.run(["sage-opt", "--split-input-file", "-"], input=content, capture_output=True, encoding="utf-8")
    if result.returncode:
        yield result.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("document", type=Path)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    options.scratch.mkdir(parents=True)
    for folder in ("examples", "test"):
        (options.scratch / folder).symlink_to(options.source.resolve() / folder)

    checked = failed = 0
    for kind, line, content in blocks(options.document.read_text(encoding="utf-8")):
        if kind in ("console", "console error"):
            wrong = check_commands(content, kind.endswith("error"), options.scratch)
        elif kind == "mlir":
            wrong = check_mlir(content)
        else:
            continue
        checked += 1
        for message in wrong:
            failed += 1
            print(f"{options.document}:{line}: {message}")
    print(f"{checked} blocks, {failed} wrong")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
