"""The notebooks keep the house style: prose before code, cells of fifteen lines, no functions, no outputs."""

import re
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from paper import EVERYTHING, LITE, NOTEBOOKS, SCRATCH, make_analysis, same_networks

from batik_utils.models.heads import Head
from batik_utils.models.scratch import build_scratch
from batik_utils.report import examples
from batik_utils.report.execute import load_notebook
from batik_utils.study import ROOT


def test_the_summary_comes_first_and_the_annexe_last():
    names = [p.stem for p in NOTEBOOKS]
    assert (names[0], names[-1]) == ("00-summary", "09-annexe")
    assert names[1:5] == ["01-data-exploration", "02-scratch-vs-pretrained", "03-sample-predictions", "04-classifier"]


@pytest.fixture(params=[*NOTEBOOKS, ROOT / "notebooks" / "paper.ipynb"], ids=lambda p: p.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code"]


def test_it_is_valid_and_holds_no_output(notebook):
    nbformat.validate(notebook)
    assert all(not c.outputs and c.execution_count is None for c in code_cells(notebook))


def test_it_opens_with_what_it_is_about_and_lines_fit_the_page(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert all(len(line) <= 120 for cell in notebook.cells for line in cell.source.splitlines())


def test_code_cells_are_short_and_define_nothing(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 15, cell.source
        if cell.source.startswith("%%say") or "only-notebook" in cell.metadata.get("tags", []):
            continue
        assert not {"def", "class", "lambda"} & set(cell.source.replace(":", " ").split()), cell.source


def test_parameters_are_in_one_tagged_cell_and_in_upper_case(notebook):
    tagged = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    lines = [line.split("  #")[0] for c in tagged for line in c.source.splitlines()]
    assert lines in (['STUDY = "bali-betawi-celup"', 'DATA = ""', 'SET = ""'], ['REPORTS = "../reports"'])


def test_what_teaches_does_not_run_in_a_report(notebook):
    heavy = ("keras.", ".fit(*", "build_scratch")
    teaching = [c for c in code_cells(notebook) if any(word in c.source for word in heavy)]
    assert all({"only-notebook", "shown"} & set(c.metadata.get("tags", [])) for c in teaching)
    assert "notebook" not in EVERYTHING


def test_in_jupyter_each_cell_of_the_confusion_opens_its_pictures():
    (cell,) = (c for path in NOTEBOOKS for c in nbformat.read(path, 4).cells if "examples.walk(" in c.source)
    names = {"analysis": make_analysis(twins=True), "examples": examples}
    exec(cell.source, names)
    analysis, page, oof = names["analysis"], names["page"], names["analysis"].oofs["lite"]
    cells = dict(re.findall(r"<summary>(\w+, predicted \w+): (\d+) pictures?", page))
    guesses = (analysis.motifs[guess] for guess in oof.y_prob.argmax(axis=1))
    pairs = zip((analysis.motifs[true] for true in oof.y_true), guesses, strict=True)
    assert cells == {f"{true}, predicted {guess}": str(n) for (true, guess), n in Counter(pairs).items()}
    opened = re.findall(r'<details name="lite"><summary>(.*?)</summary><img (.*?)</details>', page)
    assert sorted(path for path, _ in opened) == sorted(oof.paths)
    row, copy = analysis.dataset.paths[0], analysis.dataset.paths[5]
    near = re.findall(r'alt="\w+: (.*?)"', dict(opened)[row])[1:]
    assert len(near) == 3 and row not in near and copy not in near, "a copy of it says nothing"
    assert "nearest" in page and all(f"{motif} " in dict(opened)[row] for motif in analysis.motifs)
    assert examples.walk(analysis, "lite", most=1).count('<details name="lite"') == len(cells)
    analysis.clean_features = None
    assert "nearest" not in examples.walk(analysis, "lite")


@pytest.mark.parametrize(("architecture", "hidden"), [("seed_cnn", 128), ("pooled_cnn", 0)])
def test_the_networks_that_a_report_shows_are_those_that_are_trained_and_in_jupyter_they_are(architecture, hidden):
    models = {"small": SCRATCH | {"architecture": architecture, "epochs": 1, "dropout": 0.3}}
    models["lite"] = LITE | {"hidden": hidden, "epochs": 1, "learning_rate": 0.003}
    analysis = make_analysis(models=models)
    analysis.dataset = replace(analysis.dataset, images=np.zeros((20, 32, 32, 3), np.uint8))
    cells = nbformat.read(NOTEBOOKS[2], 4).cells
    named = {"analysis": analysis, "study": analysis.study, "dataset": analysis.dataset, "np": np, "pd": pd}
    for cell in cells:
        if "shown" in cell.metadata.get("tags", []) or cell.id in ("02-networks-which", "02-networks-choice"):
            exec(cell.source, named)
    plt.close("all")
    same_networks(named["network"], build_scratch(architecture, 32, 2, 0.3))
    weights = Head(3, hidden, 2, 0.5, np.random.default_rng(0)).weights
    assert [w.shape for w in named["head"].get_weights()] == [w.shape for w in weights.values()]
    for network, rate in ((named["network"], 0.001), (named["head"], 0.003)):
        assert (
            float(network.optimizer.learning_rate) == pytest.approx(rate) and type(network.optimizer).__name__ == "Adam"
        )
    shown = [c.source for c in load_notebook(NOTEBOOKS[2], analysis.facts).cells if c.source.startswith("```python")]
    asked = {"seed_cnn", "pooled_cnn", "written"} & analysis.facts
    assert asked == {architecture, "written"} and len(shown) == 5 and f"network = {architecture}" in shown[1]
