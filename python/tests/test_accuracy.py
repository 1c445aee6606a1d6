"""docs/Accuracy.md is what utils/evaluate.py prints from docs/accuracy.json; and what the command says when it cannot."""
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation import cells, common_passages, model_tables, paper, report, runner, studies, summary
from evaluation.metrics import metrics_of, sums_of
from evaluation.variants import Variant

ROOT = Path(report.__file__).resolve().parents[2]
DOCUMENT, FIGURES = ROOT / "docs" / "Accuracy.md", ROOT / "docs" / "accuracy.json"


def evaluate(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "utils" / "evaluate.py"), *map(str, arguments)], capture_output=True,
                          text=True)


@pytest.mark.parametrize("document", ["Accuracy.md", "Perplexity.md"])
def test_the_document_is_what_the_json_says(document):
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    assert "<!-- table: " in text and report.render(report.read(FIGURES), text) == text


def test_every_plot_is_there_and_is_shown():
    text = DOCUMENT.read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "figures").iterdir():
        assert f"figures/{path.name}" in text


def test_every_variant_of_the_json_is_one_of_the_studies():
    content = report.read(FIGURES)
    for name, study in content["studies"].items():
        known = {json.dumps(row.labels): row.variant for row in studies.STUDIES[name].rows}
        for row in study["rows"]:
            assert Variant(**row["variant"]) == known[json.dumps(row["labels"])]
            assert row["results"]


def test_the_paper_has_counterparts():
    content = report.read(FIGURES)
    for claim in paper.CLAIMS:
        assert paper.verdict(claim, content["studies"], "activations")[0] in ("confirmed", "alike", "contradicted")


@pytest.mark.parametrize("arguments, text", [
    (("report", "--out", "nowhere.json"), "make it with `utils/evaluate.py run`"),
    (("run", "--data", "nowhere"), "capture activations with"),
    (("run", "--synthetic", "--studies", "colours"), "there is no study colours; there are recipes, ")])
def test_errors(arguments, text):
    result = evaluate(*arguments)
    assert result.returncode == 1 and text in result.stderr and "Traceback" not in result.stderr


def test_all_runs_the_other_modules_and_stops_at_a_failure(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("evaluate", ROOT / "utils" / "evaluate.py")
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    ran = []

    def run(arguments, cwd):
        ran.append(arguments[2])
        return subprocess.CompletedProcess(arguments, int(arguments[2] == "evaluation.perplexity"))

    monkeypatch.setattr(command.subprocess, "run", run)
    with pytest.raises(SystemExit, match="evaluation.perplexity failed"):
        command.main(["run", "--all", "--data", str(tmp_path)])
    assert ran == ["evaluation.text", "evaluation.activations", "evaluation.perplexity"]


def test_help():
    assert "goes on where" in evaluate("--help").stdout


@pytest.mark.parametrize("name", ["perplexity", "retrieval"])
def test_what_other_modules_measure_is_taken_over(tmp_path, name):
    entry = {"perplexity": {"passages": 5, "perplexity": 21.5, "loss_error": 0.1, "relative_perplexity": 0.001, "relative_perplexity_error": 0.0005},
             "retrieval": {"keys": 8, "found": 0.5, "found_error": 0.1, "log_probability": -1.5, "log_probability_error": None}}
    (tmp_path / "it.json").write_text(json.dumps({"lengths": {"2048": {"sage2-8b": entry[name]}}}))
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "studies": {}, "units": [1, 2, 3]}, indent=1))
    (tmp_path / "a.md").write_text(f"<!-- table: {name} -->\n<!-- end -->\n")
    result = evaluate("report", "--out", tmp_path / "a.json", "--document", tmp_path / "a.md", "--no-figures", f"--{name}",
                      tmp_path / "it.json")
    assert result.returncode == 0, result.stderr
    line = {"perplexity": "| sage2-8b | 21.50 ± 2.15 | 0.100 ± 0.050 | - | - |",
            "retrieval": "| sage2-8b | 50.0 ± 10.0 | - |"}
    assert line[name] in (tmp_path / "a.md").read_text()
    assert report.read(tmp_path / "a.json")[name]["lengths"]["2048"]["sage2-8b"] == entry[name]


def test_agreement_with_kernels(tmp_path):
    spread = {"mean": 0.02, "worst_layer": 0.03, "layer": 4, "worst_head": 0.04, "head": [4, 5], "spread": 0.001}
    figures = {"relative_l1": spread, "cosine": {"mean": 0.999, "worst_layer": 0.998}, "rmse": {"mean": 0.01}}
    agreement = {"relative_l1": [1e-4, 2e-4], "equal": [0.99, 0.98], "lse": [1e-6, 0], "kernel": [0.1, 0.3], "reference": [0.1, 0.1]}
    layers = {"lengths": {"2048": {"sage-8b": figures}}, "agreement": {"recipes": {"sage-8b": agreement}}}
    results = [{"name": f"sm90a-br-f16-sage8b-d64/layer-0{layer}", "passed": True,
                "figures": {"element/bound": 0.1 + layer, "l1": 1e-4, "l1_bound": 1e-3, "lse/bound": 0.2}} for layer in (1, 0)]
    for name, content in (("layers", layers), ("bounds", {"results": results})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "studies": {}}))
    (tmp_path / "a.md").write_text("<!-- table: layers -->\n<!-- end -->\n<!-- table: agreement -->\n<!-- end -->\n")
    where = ("--out", tmp_path / "a.json", "--document", tmp_path / "a.md", "--no-figures")
    result = evaluate("report", *where, "--layers", tmp_path / "layers.json", "--bounds", tmp_path / "bounds.json")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "a.md").read_text()
    assert "| sage-8b | 0.0200 ± 0.0010 | 0.0300 (4) | 0.0400 (4.5) |" in text
    assert ("| sage-8b | 98.00 % (1) | 0.0002 (1) | 1e-06 (0) | 1.10 (1) | 0.100 (0) | 0.200 (0) | 0.2000 | 0.1000 |") in text
    # What is kept where no file is named; and a layer that failed is no row.
    assert evaluate("report", *where, "--layers", tmp_path / "layers.json").returncode == 0
    assert (tmp_path / "a.md").read_text() == text
    assert "| sage-8b | 98.00 % (1) | 0.0002 (1) | 1e-06 (0) | 0.2000 | 0.1000 |" in model_tables.agreement(layers)
    with pytest.raises(ValueError, match="sage-8b must have passed on every layer .*, 2, but has on 1 of 1"):
        model_tables.agreement(layers, {"results": results[:1]})
    results[0]["passed"] = False
    with pytest.raises(ValueError, match="sage-8b must have passed on every layer"):
        model_tables.agreement(layers, {"results": results})


def measured(losses, exact):
    """Figures of perplexity.summarize, of passages of 100 tokens."""
    loss = sum(losses.values()) / len(losses)
    entry = {"passages": len(losses), "tokens": 100 * len(losses), "loss": loss, "loss_error": 0.1, "perplexity": math.exp(loss)}
    if exact is not None:
        entry["by_passage"] = {name: math.expm1(value - exact[name]) for name, value in losses.items()}
        entry["relative_perplexity"] = math.expm1(sum(losses[name] - exact[name] for name in losses) / len(losses))
    return entry


def test_perplexity_of_an_interrupted_run_is_of_common_passages():
    exact = {"a": 3.0, "b": 3.5, "c": 2.0}
    more, fewer = {"a": 3.1, "b": 3.5, "c": 2.9}, {"a": 3.2, "b": 3.6}
    by_name = {"exact": measured(exact, None), "more": {**measured(more, exact), "divergence": 0.5}, "fewer": measured(fewer, exact)}
    got = common_passages.restrict(by_name)
    assert got["fewer"] is by_name["fewer"] and got["exact"]["loss"] == pytest.approx(3.25)
    assert got["more"]["loss"] == pytest.approx(3.3) and got["more"]["tokens"] == 200 and "divergence" not in got["more"]
    assert got["more"]["relative_perplexity"] == pytest.approx(math.expm1(0.05))
    assert got["more"]["relative_perplexity_error"] == pytest.approx(0.05)
    rows = model_tables.perplexity({"lengths": {"100": got, "200": {"exact": by_name["exact"]}}}).splitlines()
    assert rows[2:4] == ["| exact | 25.79 | - | - | - | 17.00 ± 1.70 | - | - | - |",
                         "| more | 27.11 | 5.127 ± 5.000 | - | - | - | - | - | - |"]
    # Nothing to do; and attentions of which none has the common passages only.
    assert common_passages.restrict({name: by_name[name] for name in ("exact", "more")})["more"] is by_name["more"]
    apart = {**by_name, "fewer": measured({"a": 3.2, "b": 3.6}, exact), "other": measured({"b": 3.2, "c": 2.6}, exact)}
    assert common_passages.complete({"lengths": {"100": apart, "200": by_name}})["lengths"].keys() == {"200"}


def test_two_engines_are_compared_on_the_passages_of_both():
    exact = {"a": 3.0, "b": 3.5, "c": 2.0}
    one = measured({"a": 3.01, "b": 3.53, "c": 2.9}, exact)
    two = measured({"b": 3.51, "a": 3.02}, exact)
    by_engine = [{"lengths": {"100": {"exact": measured(exact, None), "it": entry}}} for entry in (one, two)]
    assert model_tables.engines(*by_engine).splitlines()[2] == "| 100 | it | 2 | 2.000 ± 1.000 | 1.500 ± 0.500 | 0.500 ± 1.500 |"


def test_what_is_rounded_to_nothing_has_no_sign():
    assert cells.fixed(-0.0004, 3) == "0.000" and cells.fixed(-0.0006, 3) == "-0.001"


def test_other_versions_and_unknown_tables_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"version": 0}')
    with pytest.raises(ValueError, match="must have version"):
        report.read(path)
    with pytest.raises(ValueError, match="marks a table 'colours'"):
        report.render({"studies": {}}, "<!-- table: colours -->\n<!-- end -->")
    with pytest.raises(ValueError, match="lacks the figures of table 'better'"):
        report.render({"studies": {}}, "<!-- table: better -->\n<!-- end -->")


def test_runs_go_on_where_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "SYNTHETIC", ("normal",))
    monkeypatch.setattr(studies, "SEEDS", 2)
    monkeypatch.setattr(studies, "STUDIES", {"row-sums": studies.STUDIES["row-sums"]._replace(sources=("normal",))})
    monkeypatch.setattr(runner, "measure", lambda unit, variants: [
        (runner.variant_key(Variant(**changes)), {"sums": sums_of(np.ones((2, 8)) * (unit.seed + 2), np.ones((2, 8))).tolist()})
        for changes in variants])
    monkeypatch.setattr(runner, "ProcessPoolExecutor", Serial)
    path = tmp_path / "parts.jsonl"
    parts = runner.Parts(path)
    tasks = runner.plan(["row-sums"], {}, None, parts)
    assert len(tasks) == 2
    runner.run(tasks[:1], parts, 1, report=lambda *_, **__: None)
    path.write_text(path.read_text() + '{"version": 1, "un')  # an interruption
    parts = runner.Parts(path)
    tasks = runner.plan(["row-sums"], {}, None, parts)
    assert [unit.seed for unit, _ in tasks] == [1]
    runner.run(tasks, parts, 1, report=lambda *_, **__: None)
    figures = summary.summarize(parts, {}, None)["row-sums"]["rows"][0]["results"]["normal"]["relative_l1"]
    assert figures == {"mean": 1.5, "worst_layer": 2.0, "worst_head": 2.0, "spread": 0.71, "units": [1.0, 2.0]}


class Serial:
    """A pool without processes."""

    def __init__(self, jobs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *arguments):
        result = function(*arguments)
        return type("Future", (), {"result": lambda self: result})()


def test_metrics():
    wanted = np.array([[3.0, 4.0]])
    figures = metrics_of(sums_of(np.array([[4.0, 3.0]]), wanted))
    assert figures["cosine"][0] == pytest.approx(24 / 25) and figures["relative_l1"][0] == pytest.approx(2 / 7)
    assert figures["rmse"][0] == pytest.approx(1)


@pytest.mark.parametrize("value, text", [(0.038412, "0.0384"), (1.5, "1.50"), (12.345, "12.3"), (0.0001234, "0.000123"),
                                         (9.999, "10.0"), (0, "0"), (3.2e-7, "3.2e-07")])
def test_numbers(value, text):
    assert cells.number(value) == text
