"""The notebooks keep the house style: prose before code, cells of fifteen lines, no functions, no outputs."""

import nbformat
import pytest
from paper import EVERYTHING, NOTEBOOKS

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
    assert all("only-notebook" in c.metadata.get("tags", []) for c in teaching)
    assert "notebook" not in EVERYTHING
