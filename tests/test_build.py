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
from batik_utils.report import deploy
from batik_utils.report.provenance import code_sha256, provenance, run_record
from batik_utils.values import Results, Source

OUTPUTS = (
    "croissant.json",
    "metrics.json",
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
    monkeypatch.setattr(
        pipeline.deploy, "save_best", lambda plan, results, metrics, folder: (folder / "model.keras").touch()
    )
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

    def save(plan, results, metrics, folder):
        saved.append(results)
        (folder / "model.keras").touch()

    monkeypatch.setattr(pipeline.deploy, "save_best", save)
    for results in (broken, broken, whole, whole, better):
        pipeline._save_model(SimpleNamespace(tasks=()), results, {}, tmp_path, tmp_path)
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
    assert {p.name for p in folder.iterdir()} == {*OUTPUTS} - {"model.keras.from"}
    assert (folder / "model.keras").read_text() == "old"


def test_the_best_model_is_one_whose_first_published_fit_succeeded():
    results = make_results(
        {"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18], "efficientnet_lite2": [25, 26]}
    )
    assert deploy.best_model(make_study(), results) == "efficientnet_lite2"

    def without(*models):
        return Results(
            tuple(
                replace(r, missing="it diverged")
                if r.fit.model in models and r.fit.protocol == "published" and r.fit.seed == 0
                else r
                for r in results
            )
        )

    assert deploy.best_model(make_study(), without("efficientnet_lite2")) == "scratch"
    with pytest.raises(BatikError, match="no published fit with seed 0 succeeded in bali-betawi-celup"):
        deploy.best_model(make_study(), without("efficientnet_lite2", "scratch"))


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


def test_provenance_is_repeatable_and_knows_no_machine(tmp_path):
    rows = provenance(make_study(), make_dataset())
    assert rows == provenance(make_study(), make_dataset())
    whats = [what for what, _ in rows]
    assert "Weights, EfficientNet-Lite2" in whats
    assert str(tmp_path.home()) not in str(rows)
    other = dict(provenance(make_study(title="Another"), make_dataset(per_class=49)))
    assert other["Study"] != dict(rows)["Study"]
    assert other["Data"] != dict(rows)["Data"]


def test_the_code_hash_minds_code_and_not_outputs_or_line_ends(tmp_path):
    (tmp_path / "batik_utils").mkdir()
    (tmp_path / "notebooks").mkdir()
    code = tmp_path / "batik_utils" / "a.py"
    notebook = tmp_path / "notebooks" / "01.ipynb"
    code.write_bytes(b"x = 1\n")
    write(notebook, new_code_cell("1"))
    first = code_sha256(tmp_path)
    code.write_bytes(b"x = 1\r\n")
    write(notebook, new_code_cell("1", execution_count=7))
    assert code_sha256(tmp_path) == first
    write(notebook, new_code_cell("2"))
    second = code_sha256(tmp_path)
    code.write_bytes(b"x = 2\n")
    assert len({first, second, code_sha256(tmp_path)}) == 3


def test_the_run_record_says_how_the_run_was():
    record = run_record(make_study(), make_dataset(), {"data": 30.0, "fits": 60.0}, photos=False)
    assert record["minutes"] == {"data": 0.5, "fits": 1.0}
    assert record["minutes_total"] == 1.5
    assert record["machine"]["cores"] >= 1
    assert record["photos"] is False
