"""Readers are shown the networks that were trained; the paper is made of the committed numbers alone."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from paper import LITE, NOTEBOOKS, SCRATCH, make_analysis

from batik_utils.errors import BatikError
from batik_utils.models.heads import Head
from batik_utils.models.scratch import build_scratch
from batik_utils.report import build, display, execute, export, paper
from batik_utils.report.build import PAPER_STUDIES, TRIOS, build_paper
from batik_utils.stats.mistakes import fall_on_large
from batik_utils.study import ROOT

CELLS = nbformat.read(ROOT / "notebooks" / "paper.ipynb", as_version=4).cells


def same_networks(shown, trained):
    kept = ("units", "filters", "kernel_size", "activation", "rate", "pool_size", "strides", "padding", "scale")
    for one, other in zip(shown.layers, trained.layers[1:], strict=True):
        assert type(one) is type(other)
        assert [one.get_config().get(k) for k in kept] == [other.get_config().get(k) for k in kept]
    assert shown.count_params() == trained.count_params()


@pytest.mark.parametrize(("architecture", "hidden"), [("seed_cnn", 128), ("pooled_cnn", 0)])
def test_the_networks_that_a_report_shows_are_those_that_are_trained_and_in_jupyter_they_are(architecture, hidden):
    models = {"small": SCRATCH | {"architecture": architecture, "epochs": 1, "dropout": 0.3}}
    models["lite"] = LITE | {"hidden": hidden, "epochs": 1, "learning_rate": 0.003}
    analysis = make_analysis(models=models)
    analysis.dataset = replace(analysis.dataset, images=np.zeros((20, 32, 32, 3), np.uint8))
    named = {"analysis": analysis, "study": analysis.study, "dataset": analysis.dataset, "np": np, "pd": pd}
    for cell in nbformat.read(NOTEBOOKS[2], 4).cells:
        if "shown" in cell.metadata.get("tags", []) or cell.id in ("02-networks-which", "02-networks-choice"):
            exec(cell.source, named)
    plt.close("all")
    same_networks(named["network"], build_scratch(architecture, 32, 2, 0.3))
    weights = Head(3, hidden, 2, 0.5, np.random.default_rng(0)).weights
    assert [w.shape for w in named["head"].get_weights()] == [w.shape for w in weights.values()]
    for network, rate in ((named["network"], 0.001), (named["head"], 0.003)):
        assert float(network.optimizer.learning_rate) == pytest.approx(rate)
        assert type(network.optimizer).__name__ == "Adam"
    report = execute.load_notebook(NOTEBOOKS[2], analysis.facts).cells
    shown = [c.source for c in report if c.source.startswith("```python")]
    asked = {"seed_cnn", "pooled_cnn", "written"} & analysis.facts
    assert asked == {architecture, "written"} and len(shown) == 5 and f"network = {architecture}" in shown[1]


def test_the_networks_that_the_paper_shows_are_those_that_were_trained(monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV2", partial(keras.applications.MobileNetV2, weights=None))
    names = {"keras": keras, "layers": keras.layers, "labels": np.array([0, 1, 2]), "train": [0, 1], "test": [2]}
    names["images"] = np.zeros((3, 224, 224, 3), np.float32)
    for block in re.findall(
        r"```python\n(.*?)```", "\n".join(c.source for c in CELLS if c.cell_type == "markdown"), re.S
    ):
        exec(block.replace("epochs=20", "epochs=1"), names)
    assert names["probabilities"].shape == (1, 3)
    same_networks(names["network"], build_scratch("seed_cnn", 224, 3, 0.5))
    committed = json.loads((ROOT / "reports" / PAPER_STUDIES[0] / "metrics.json").read_text())["models"]
    assert names["network"].count_params() == committed["scratch"]["parameters"]
    assert names["head"].count_params() == committed["mobilenet_v2"]["parameters"]


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A copy of what the paper reads, with a cache of its own."""
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    for name in PAPER_STUDIES:
        (tmp_path / "reports" / name).mkdir(parents=True)
        shutil.copy(ROOT / "reports" / name / "metrics.json", tmp_path / "reports" / name)
    shutil.copy(ROOT / "reports" / PAPER_STUDIES[-1] / TRIOS, tmp_path / "reports" / PAPER_STUDIES[-1])
    return tmp_path / "reports"


def test_the_paper_is_what_is_committed_needs_no_engine_is_not_made_again_and_is_linked_first(reports):
    assert build_paper(reports)
    for name in ("report.html", "report.pdf"):
        assert (reports / "paper" / name).read_bytes() == (ROOT / "reports" / "paper" / name).read_bytes()
    assert not build_paper(reports)
    asked = "import sys, batik_utils.report.paper; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT).returncode == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert build.PAPER_ABOUT["title"] and readme.index("paper/report.html") < readme.index("reports/index.html")


def test_a_number_that_changed_makes_the_paper_anew(reports, monkeypatch):
    monkeypatch.setattr(execute, "run_notebook", lambda *given: None)
    monkeypatch.setattr(export, "export", lambda *given, photos: ("<p>", b"%PDF"))
    assert build_paper(reports) and not build_paper(reports)
    path = reports / PAPER_STUDIES[0] / "metrics.json"
    numbers = json.loads(path.read_text())
    numbers["data"]["images"] += 1
    path.write_text(json.dumps(numbers))
    assert build_paper(reports)
    (reports / "paper" / "report.pdf").unlink()
    assert build_paper(reports)


def test_a_study_without_numbers_is_named_in_one_line(reports):
    (reports / PAPER_STUDIES[1] / "metrics.json").unlink()
    with pytest.raises(BatikError, match=f"make report STUDY={PAPER_STUDIES[1]}"):
        build_paper(reports)
    assert not (reports / "paper").exists()


def prose(change):
    """All prose of the paper, where `change` was made to each study's committed numbers."""
    studies = []
    for name in PAPER_STUDIES:
        numbers = json.loads((ROOT / "reports" / name / "metrics.json").read_text())
        change(numbers)
        studies.append(paper.Reported(numbers))
    one, two, twenty = studies
    names = {"one": one, "two": two, "twenty": twenty, "pair": (("one", one), ("two", two)), "paper": paper}
    names |= {"trios": twenty.metrics["trios"], "fall_on_large": fall_on_large}
    cells = [c.source.removeprefix("%%say") for c in CELLS if c.source.startswith("%%say")]
    return "\n".join(display.filled(cell, names) for cell in cells).replace("\u00a0", " ")


def turned(numbers):
    for c in numbers["comparisons"]:
        c["difference"] = -c["difference"]
        if c["low"] is not None:
            c["low"], c["high"] = -c["high"], -c["low"]


def emptied(numbers):
    numbers["data"]["sources"], numbers["claims"], numbers["trios"] = [], [], None
    numbers["comparisons"] = [c for c in numbers["comparisons"] if c["protocol"] != "sources"]


def test_the_papers_sentences_follow_its_numbers():
    plain, other, bare = prose(lambda numbers: None), prose(turned), prose(emptied)
    assert "beats one trained from scratch, in both studies" in plain and "is beaten by" not in plain
    assert "is not shown to beat" in other and "is beaten by" in other and "Neither study shows" in other
    assert "most of the fall is recognising the source" in plain and "accuracy depends on whether" in plain
    without = "large source; accuracy depends on whether; trios of twenty; in 95 % of shuffles; The best of many"
    assert not [words for words in without.split("; ") if words in bare]
