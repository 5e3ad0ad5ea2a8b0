"""The notebooks keep the house style: prose before code, cells of fifteen lines, no functions, no outputs."""

import re
from collections import Counter

import nbformat
import pytest
from paper import EVERYTHING, NOTEBOOKS, make_analysis

from batik_utils.report import examples
from batik_utils.study import ROOT


def code_of(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tags(cell):
    return {*cell.metadata.get("tags", [])}


def test_the_summary_comes_first_and_the_annexe_last():
    names = [p.stem for p in NOTEBOOKS]
    assert (names[0], names[-1]) == ("00-summary", "09-annexe")
    assert names[1:5] == ["01-data-exploration", "02-scratch-vs-pretrained", "03-sample-predictions", "04-classifier"]


@pytest.mark.parametrize("path", [*NOTEBOOKS, ROOT / "notebooks" / "paper.ipynb"], ids=lambda path: path.stem)
def test_a_notebook_keeps_the_house_style(path):
    notebook, code = nbformat.read(path, as_version=4), code_of(path)
    nbformat.validate(notebook)
    assert all(not c.outputs and c.execution_count is None for c in code), "no outputs"
    assert notebook.cells[0].cell_type == "markdown", "it opens with what it is about"
    assert all(len(line) <= 120 for cell in notebook.cells for line in cell.source.splitlines())
    lines = [line.split("  #")[0] for c in code if "parameters" in tags(c) for line in c.source.splitlines()]
    assert lines in (['STUDY = "bali-betawi-celup"', 'DATA = ""', 'SET = ""'], ['REPORTS = "../reports"'])
    for cell in code:
        assert len(cell.source.splitlines()) <= 15, cell.source
        if not cell.source.startswith("%%say") and "only-notebook" not in tags(cell):
            assert not {"def", "class", "lambda"} & set(cell.source.replace(":", " ").split()), cell.source
        if any(word in cell.source for word in ("keras.", ".fit(*", "build_scratch")):
            assert {"only-notebook", "shown"} & tags(cell), "what teaches does not run in a report"
    assert "notebook" not in EVERYTHING


def test_in_jupyter_each_cell_of_the_confusion_opens_its_pictures():
    (cell,) = (cell for path in NOTEBOOKS for cell in code_of(path) if "examples.walk(" in cell.source)
    names = {"analysis": make_analysis(twins=True), "examples": examples}
    exec(cell.source, names)
    analysis, page, oof = names["analysis"], names["page"], names["analysis"].oofs["lite"]
    cells = dict(re.findall(r"<summary>(\w+, predicted \w+): (\d+) pictures?", page))
    pairs = [
        (analysis.motifs[true], analysis.motifs[y.argmax()]) for true, y in zip(oof.y_true, oof.y_prob, strict=True)
    ]
    assert cells == {f"{true}, predicted {guess}": str(n) for (true, guess), n in Counter(pairs).items()}
    opened = dict(re.findall(r'<details name="lite"><summary>(.*?)</summary><img (.*?)</details>', page))
    assert sorted(opened) == sorted(oof.paths)
    row, copy = analysis.dataset.paths[0], analysis.dataset.paths[5]
    near = re.findall(r'alt="\w+: (.*?)"', opened[row])[1:]
    assert len(near) == 3 and row not in near and copy not in near, "a copy of it says nothing"
    assert "nearest" in page and all(f"{motif} " in opened[row] for motif in analysis.motifs)
    assert examples.walk(analysis, "lite", most=1).count('<details name="lite"') == len(cells)
    analysis.clean_features = None
    assert "nearest" not in examples.walk(analysis, "lite")
