"""The paper: made of the committed numbers alone, the same bytes each time, and its code is the code that was run."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial

import keras
import nbformat
import pytest
from paper import same_networks

from batik_utils.errors import BatikError
from batik_utils.models.scratch import build_scratch
from batik_utils.report import build, execute, export, paper, say
from batik_utils.report.build import PAPER_STUDIES, TRIOS, build_paper
from batik_utils.stats.mistakes import fall_on_large
from batik_utils.study import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "paper.ipynb", as_version=4)


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A copy of what the paper reads, with a cache of its own."""
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    for name in PAPER_STUDIES:
        (tmp_path / "reports" / name).mkdir(parents=True)
        shutil.copy(ROOT / "reports" / name / "metrics.json", tmp_path / "reports" / name)
    shutil.copy(ROOT / "reports" / PAPER_STUDIES[-1] / TRIOS, tmp_path / "reports" / PAPER_STUDIES[-1])
    return tmp_path / "reports"


def test_it_is_what_is_committed_and_is_not_made_again(reports):
    assert build_paper(reports)
    for name in ("report.html", "report.pdf"):
        assert (reports / "paper" / name).read_bytes() == (ROOT / "reports" / "paper" / name).read_bytes()
    assert not build_paper(reports)


def test_a_number_that_changed_makes_it_anew(reports, monkeypatch):
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


def said(change) -> str:
    """All prose of the paper, where `change` was made to each study's committed numbers."""
    studies = {}
    for name in PAPER_STUDIES:
        numbers = json.loads((ROOT / "reports" / name / "metrics.json").read_text())
        change(numbers)
        studies[name] = paper.Reported(numbers)
    one, two, twenty = studies.values()
    names = {"one": one, "two": two, "twenty": twenty, "pair": (("one", one), ("two", two)), "paper": paper}
    names |= {"trios": twenty.metrics["trios"], "fall_on_large": fall_on_large}
    cells = [c.source.removeprefix("%%say") for c in NOTEBOOK.cells if c.source.startswith("%%say")]
    return "\n".join(say.filled(cell, names) for cell in cells)


def turned(numbers):
    for c in numbers["comparisons"]:
        c["difference"] = -c["difference"]
        if c["low"] is not None:
            c["low"], c["high"] = -c["high"], -c["low"]


def emptied(numbers):
    numbers["data"]["sources"], numbers["claims"], numbers["trios"] = [], [], None
    numbers["comparisons"] = [c for c in numbers["comparisons"] if c["protocol"] != "sources"]


def test_its_sentences_follow_its_numbers():
    plain, other, bare = said(lambda numbers: None), said(turned), said(emptied)
    assert "beats one trained from scratch, in both studies" in plain and "is beaten by" not in plain
    assert "is not shown to beat" in other and "is beaten by" in other and "Neither study shows" in other
    assert "most of the fall is recognising the source" in plain and "accuracy depends on whether" in plain
    for words in (
        "large source",
        "accuracy depends on whether",
        "trios of twenty",
        "in 95 % of shuffles",
        "The best of many",
    ):
        assert words not in bare.replace("\u00a0", " "), words


def test_it_needs_no_engine():
    asked = "import sys, batik_utils.report.paper; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT).returncode == 0


def test_the_networks_that_it_shows_are_those_that_were_trained(monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV2", partial(keras.applications.MobileNetV2, weights=None))
    names = {"keras": keras, "layers": keras.layers}
    text = "\n".join(c.source for c in NOTEBOOK.cells if c.cell_type == "markdown")
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(block, names)
    shown, trained = names["network"], build_scratch("seed_cnn", 224, 3, 0.5)
    same_networks(shown, trained)
    committed = json.loads((ROOT / "reports" / PAPER_STUDIES[0] / "metrics.json").read_text())["models"]
    assert shown.count_params() == committed["scratch"]["parameters"]
    assert names["head"].count_params() == committed["mobilenet_v2"]["parameters"]


def test_it_is_linked_first():
    assert build.PAPER_ABOUT["title"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.index("reports/paper/report.html") < readme.index("reports/index.html")
