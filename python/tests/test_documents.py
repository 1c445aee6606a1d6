"""The examples of docs/Python.md, one program for each kind of block, those of a kind in order; examples/python."""
import datetime
import json
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DOCUMENT = os.path.join(ROOT, "docs", "Python.md")
FENCE = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*kinds):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    return [(text.count("\n", 0, found.start()) + 1, found[2]) for found in FENCE.finditer(text) if found[1].strip() in kinds]


def run(found):
    assert found
    names = {}
    for line, block in found:
        exec(compile("\n" * line + block, DOCUMENT, "exec"), names)


def test_numpy():
    run(blocks(""))


def test_torch():
    pytest.importorskip("torch")
    run(blocks("torch"))


def test_transformers():
    pytest.importorskip("transformers")
    run(blocks("torch", "transformers"))


def test_cuda_examples_are_python():
    for line, block in blocks("cuda"):
        compile(block, f"{DOCUMENT}:{line}", "exec")


@pytest.mark.parametrize("name, needs", [("attention", "numpy"), ("transformer", "transformers")])
def test_examples(name, needs):
    pytest.importorskip(needs)
    result = subprocess.run([sys.executable, os.path.join(ROOT, "examples", "python", name + ".py")], capture_output=True,
                            text=True)
    assert result.returncode == 0 and result.stdout.endswith("checked\n"), result.stdout + result.stderr


def test_results_of_the_gpu_suite():
    """The committed report is of a whole run; its age is shown, what failed there too."""
    with open(os.path.join(ROOT, "python", "tests", "gpu", "results", "h100.json"), encoding="utf-8") as file:
        report = json.load(file)
    age = (datetime.date.today() - datetime.date.fromisoformat(report["date"])).days
    checks = sum(part["checks"] for part in report["parts"].values())
    failed = [check["name"] for part in report["parts"].values() for check in part["failed"]]
    print(f"{report['device']}, {age} days old: {checks - len(failed)} of {checks} checks passed; failed: {failed or 'none'}")
    assert {"first_call", "fuzz", "programs", "overhead", "models", "arrays"} <= set(report["parts"])
    assert report["parts"]["fuzz"]["checks"] > 650
