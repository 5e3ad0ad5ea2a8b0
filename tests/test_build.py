"""One command's worth of report: all of it or nothing, twice the same, and the sample where no photograph is."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from results_factory import make_dataset, make_results, make_study

from batik_utils.data.obtain import NoPhotographs
from batik_utils.errors import BatikError
from batik_utils.report import build as pipeline
from batik_utils.report.index import write_index
from batik_utils.report.metrics_json import build_metrics, write_metrics
from batik_utils.values import Results, Source

OUTPUTS = (
    "croissant.json",
    "metrics.json",
    "model-card.md",
    "model.keras",
    "model.keras.from",
    "report.html",
    "report.pdf",
    "run.json",
    "verdict.svg",
)
PARAMETERS = 'STUDY = "bali-betawi-celup"\nDATA = ""\nFULL = False\nPHOTOS = True\nPRECISION = "float32"'
FIRST = """
from matplotlib.figure import Figure
from batik_utils.report.display import figure, text, use_report_style
use_report_style()
fig = Figure()
_ = fig.subplots().plot([1, 2])
figure(fig, "fig-line", "A line; photographs: " + str(PHOTOS) + ".")
"""
SECOND = """
import pandas as pd
from batik_utils.report.display import table, text
table(pd.DataFrame({"study": [STUDY]}), "tbl-study", "The study.")
text("Back to @fig-line.")
"""


def write(path, *cells):
    parameters = new_code_cell(PARAMETERS)
    parameters.metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=[parameters, *cells]), path)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder with two notebooks and reports/, and a study whose data and results are at hand."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    only = new_markdown_cell("Only of the sample.")
    only.metadata["tags"] = ["only-sample"]
    write(notebooks / "01-first.ipynb", new_markdown_cell("# First\n\nSee @tbl-study."), new_code_cell(FIRST))
    write(notebooks / "02-second.ipynb", new_markdown_cell("# Second"), only, new_code_cell(SECOND))
    results = make_results({"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18]})
    plan = SimpleNamespace(tasks=(), left_out={})
    monkeypatch.setattr(pipeline, "_results", lambda *args: (plan, results))
    monkeypatch.setattr(pipeline.deploy, "save_best", lambda plan, metrics, path: path.touch())
    monkeypatch.setattr(pipeline, "load_study", lambda name: make_study(name=str(name)))
    monkeypatch.setattr(pipeline, "load_dataset", lambda study, data, progress: make_dataset())
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))

    def build(study="bali-betawi-celup", **options):
        return pipeline.build_report(
            study, out=tmp_path / "reports", notebooks=notebooks, progress=options.pop("progress", False), **options
        )

    build.notebooks = notebooks
    build.reports = tmp_path / "reports"
    return build


def contents(folder):
    return {name: (folder / name).read_bytes() for name in ("metrics.json", "report.html", "report.pdf")}


def test_a_report_is_complete_and_the_same_when_built_again(house):
    folder = house(photos=False)
    assert folder == house.reports / "bali-betawi-celup"
    assert sorted(p.name for p in folder.iterdir()) == sorted(OUTPUTS)
    assert sorted(p.name for p in house.reports.iterdir()) == ["bali-betawi-celup", "index.html"]
    first, index = contents(folder), (house.reports / "index.html").read_bytes()
    page = first["report.html"].decode()
    assert "photographs: False." in page
    assert "Only of the sample." not in page
    assert 'href="#fig-line"' in page and 'href="#tbl-study"' in page
    assert json.loads(first["metrics.json"])["study"] == "bali-betawi-celup"
    record = json.loads((folder / "run.json").read_text())
    assert {"data", "fits", "notebooks", "metrics", "model", "pages"} == set(record["minutes"])
    assert contents(house(photos=False)) == first
    assert (house.reports / "index.html").read_bytes() == index


def test_a_failure_leaves_the_old_report_as_it_was(house):
    old = house.reports / "bali-betawi-celup"
    old.mkdir(parents=True)
    for name in OUTPUTS:
        (old / name).write_text(f"old {name}")
    write(house.notebooks / "02-second.ipynb", new_code_cell(SECOND + 'text("See @fig-gone.")'))
    with pytest.raises(BatikError, match=r"02-second\.ipynb, cell 2: a reference to 'fig-gone'"):
        house()
    assert {p.name: p.read_text() for p in old.iterdir()} == {n: f"old {n}" for n in OUTPUTS}
    assert [p.name for p in house.reports.iterdir()] == ["bali-betawi-celup"]


def test_a_failure_in_the_first_build_leaves_nothing(house):
    write(house.notebooks / "02-second.ipynb", new_code_cell("1 / 0"))
    with pytest.raises(BatikError, match="ZeroDivisionError"):
        house()
    assert not house.reports.exists() or not list(house.reports.iterdir())


def test_without_photographs_the_sample_is_made_and_said_so(house, monkeypatch, capsys):
    def load(study, data, progress):
        if study.name != "sample":
            raise NoPhotographs("The photographs were not found.")
        return replace(make_dataset(), source=Source("drawn", "drawn"))

    monkeypatch.setattr(pipeline, "load_dataset", load)
    folder = house(progress=True)
    assert folder.name == "sample"
    said = " ".join(capsys.readouterr().err.split())
    assert "were not found. Making the procedural sample's report instead, in reports/sample/." in said
    page = (folder / "report.html").read_text()
    assert "<title>Procedural sample, not batik photographs: Small</title>" in page
    assert "Only of the sample." in page
    captions = re.findall(r"<(?:fig)?caption>(.*?)</(?:fig)?caption>", page, re.S)
    assert len(captions) == 2
    assert all("Procedural sample, not batik photographs" in c for c in captions)
    assert "Procedural sample" in (house.reports / "index.html").read_text()


def test_the_model_is_saved_anew_only_when_the_results_differ(tmp_path, monkeypatch):
    whole = make_results({"scratch": 0.6}, published={"scratch": [15, 18]})
    broken = Results((replace(whole.items[0], missing="it diverged"), *whole.items[1:]))
    better = make_results({"scratch": 0.6}, published={"scratch": [15, 19]})
    saved = []

    def save(plan, metrics, path):
        saved.append(metrics)
        path.touch()

    monkeypatch.setattr(pipeline.deploy, "save_best", save)
    for results in (broken, broken, whole, whole, better):
        pipeline._save_model(SimpleNamespace(tasks=()), results, results, tmp_path, tmp_path)
    assert saved == [broken, whole, better]


def test_a_model_that_cannot_be_saved_is_said_and_the_report_goes_on(house, monkeypatch, capsys):
    def fail(*args):
        raise BatikError("scratch/published/r0f0/s0 failed: it diverged")

    monkeypatch.setattr(pipeline.deploy, "save_best", fail)
    old = house.reports / "bali-betawi-celup"
    old.mkdir(parents=True)
    (old / "model.keras").write_text("old")
    folder = house(progress=True)
    said = "No model is saved; the one that is there is an older run's: scratch/published/r0f0/s0 failed: it diverged"
    assert said in capsys.readouterr().err.splitlines()
    assert {p.name for p in folder.iterdir()} == {*OUTPUTS} - {"model.keras.from", "model-card.md"}
    assert (folder / "model.keras").read_text() == "old"


def test_no_fit_no_report(monkeypatch):
    monkeypatch.setattr(pipeline, "make_plan", lambda *args, **options: None)
    monkeypatch.setattr(pipeline, "run_plan", lambda *args, **options: Results(()))
    with pytest.raises(BatikError, match=r"No fit of .* in bali-betawi-celup succeeded: none was planned"):
        pipeline._results(make_study(), make_dataset(), False, None, None, "float32")


def test_the_title_page_credits_the_seed_study():
    seed = {
        "title": "Studi",
        "authors": ["A", "B", "C"],
        "institution": "BINUS",
        "year": 2024,
        "language": "Indonesian",
        "framework": "TensorFlow",
        "summary": "It compared.",
    }
    about = pipeline.about(make_study(seed_study=seed), make_dataset())
    assert about["credit"] == ["Takes up “Studi”", "by A, B and C", "BINUS, 2024"]
    assert "header" not in about


def test_the_index_links_what_is_there_and_loads_nothing(tmp_path):
    results = make_results({"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18]})
    folder = tmp_path / "bali-betawi-celup"
    write_metrics(folder / "metrics.json", build_metrics(make_study(), make_dataset(), results))
    (folder / "report.html").write_text("page")
    page = write_index(tmp_path).read_text()
    assert 'href="bali-betawi-celup/report.html"' in page
    assert "report.pdf" not in page
    assert "Scratch CNN" in page
    assert "50.0 %" in page or "60.0 %" in page
    assert not re.findall(r"<(?:script|img|link)\b|url\(", page)
    (folder / "metrics.json").write_text("{")
    with pytest.raises(BatikError, match=r"bali-betawi-celup/metrics\.json is not JSON"):
        write_index(tmp_path)
    assert (tmp_path / "index.html").read_text() == page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bali-betawi-celup", "index.html"]
