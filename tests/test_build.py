"""One command's worth of report: two editions from one execution, all of it or nothing, and never anything stale."""

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from results_factory import make_dataset, make_results, make_study

from batik_utils.data.obtain import NoPhotographs
from batik_utils.errors import BatikError
from batik_utils.report import build as pipeline
from batik_utils.report import deploy, freshness, provenance
from batik_utils.report.analysis import Analysis
from batik_utils.report.build import Build, about, build_report
from batik_utils.values import Results

PARAMETERS = 'STUDY = ""\nDATA = ""\nSET = ""'
FIRST = """
from matplotlib.figure import Figure
from batik_utils.report.display import pictures, use_report_style
use_report_style()
def make(photos):
    fig = Figure()
    ax = fig.subplots()
    _ = ax.imshow([[[255, 0, 0], [0, 255, 0]]]) if photos else ax.plot([1, 2])
    return fig
pictures(make, "fig-cloth", "Cloth.")
"""
SECOND = """
import pandas as pd
from batik_utils.report.analysis import open_analysis
from batik_utils.report.display import table, text
analysis = open_analysis(STUDY, DATA, SET)
table(pd.DataFrame({"study": [analysis.study.name], "images": [len(analysis.dataset)]}), "tbl-study", "The study.")
text("Back to @fig-cloth.")
"""
CODE = ("figures/grouped.py", "stats/metrics.py", "cli.py", "report/export.py", "report/templates/report.css")
PUBLIC = ["croissant.json", "metrics.json", "model-card.md", "report.html", "report.pdf", "verdict.svg"]


def write(path, *cells):
    parameters = new_code_cell(PARAMETERS)
    parameters.metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=[parameters, *cells]), path)


@cache
def whole():
    """An analysis with its metrics, which take a second."""
    accuracies, published = {"scratch": 0.6, "efficientnet_lite2": 0.9}, {"scratch": [15], "efficientnet_lite2": [25]}
    analysis = Analysis(make_study(), make_dataset(), make_results(accuracies, published=published))
    return analysis if analysis.metrics else None


def analysis_of(results=None, **source):
    analysis = copy.copy(whole())
    if results or source:
        dataset = replace(analysis.dataset, source=replace(analysis.dataset.source, **source))
        analysis = Analysis(analysis.study, dataset, results or analysis.results)
    return SimpleNamespace(tasks=(), dataset=analysis.dataset, study=analysis.study), analysis


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A small project whose results are at hand; house() builds its report and notes the steps that it took."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    drawn = new_markdown_cell("Only of the sample.")
    drawn.metadata["tags"] = ["only-drawn"]
    write(notebooks / "01-first.ipynb", new_markdown_cell("# First\n\nSee @tbl-study."), new_code_cell(FIRST))
    write(notebooks / "02-second.ipynb", new_markdown_cell("# Second"), drawn, new_code_cell(SECOND))
    for name in CODE:
        (tmp_path / "batik_utils" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "batik_utils" / name).write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    raw = make_study(motifs=["batik-bali", "batik-betawi", "batik-celup"]).model_dump(mode="json")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(raw))
    for motif in raw["motifs"]:
        (tmp_path / "data" / motif).mkdir(parents=True)
        (tmp_path / "data" / motif / "1.jpg").write_bytes(b"a picture")
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    steps = []

    def analyse(self, dask, jobs):
        steps.append("open")
        return build.opened

    def save(plan, metrics, path):
        steps.append("model")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"model of {metrics['study']}")

    monkeypatch.setattr(Build, "_analyse", analyse)
    monkeypatch.setattr(deploy, "save_best", save)

    def build(out="reports", **options):
        steps.clear()
        options = {"data": tmp_path / "data", "progress": False} | options
        return build_report(options.pop("study", tmp_path / "study.yaml"), out=tmp_path / out, **options)

    build.opened, build.steps, build.root = analysis_of(), steps, tmp_path
    build.public = tmp_path / "reports" / "bali-betawi-celup"
    build.private = tmp_path / "reports" / "photographs" / "bali-betawi-celup"
    return build


@pytest.fixture
def quick(house, monkeypatch):
    """The house with notebooks that say in no time what they depend on, and pages that are what notebooks say."""

    def run(path, parameters, keep, environment):
        house.steps.append(path.name[:2])
        parts = [freshness.cells_digest(path), sorted(keep), parameters["SET"], provenance.code_sha256()]
        files = [p for p in house.root.glob("batik_utils/*/*.py") if p.parent.name != "report"]
        files += [house.root / "requirements.txt", *house.root.glob("data/*/*"), *house.root.glob("keras/*/*")]
        parts += sorted(f"{p.name} {p.read_text()}" for p in [*files, house.root / "study.yaml"])
        return new_notebook(cells=[new_markdown_cell(json.dumps(parts), id="cell-1")])

    def export(notebooks, about, photos):
        house.steps.append("with" if photos else "without")
        css = (house.root / "batik_utils/report/templates/report.css").read_text()
        page = json.dumps([notebooks, about, photos, css])
        return page, page.encode()

    monkeypatch.setattr("batik_utils.report.execute.run_notebook", run)
    monkeypatch.setattr("batik_utils.report.export.export", export)
    return house


def contents(house, out="reports"):
    root = house.root / out
    return {
        p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != "run.json"
    }


def test_one_execution_gives_two_editions_and_only_the_private_one_shows_photographs(house):
    assert house() == house.public
    assert sorted(p.name for p in house.public.iterdir()) == PUBLIC
    assert sorted(p.name for p in house.private.iterdir()) == ["model.keras", "report.html", "report.pdf", "run.json"]
    public, private = ((f / "report.html").read_text() for f in (house.public, house.private))
    assert "image/jpeg" in private and "image/jpeg" not in public
    assert b"DCTDecode" in (house.private / "report.pdf").read_bytes()
    assert b"DCTDecode" not in (house.public / "report.pdf").read_bytes()
    assert 'href="#fig-cloth"' in public and 'href="#tbl-study"' in public and "Only of the sample." not in public
    assert "bali-betawi-celup" in (house.root / "reports" / "index.html").read_text()
    record = json.loads((house.private / "run.json").read_text())
    assert {"analysis", "notebooks", "pages", "model"} == set(record["minutes"])
    cold = contents(house)
    house()
    assert house.steps == [] and contents(house) == cold
    shutil.rmtree(house.root / "cache")
    house()
    assert "open" in house.steps and contents(house) == cold


def test_drawn_pictures_have_one_edition_that_says_what_they_are(house):
    house.opened = analysis_of(kind="drawn")
    house()
    assert sorted(p.name for p in house.private.iterdir()) == ["model.keras", "run.json"]
    page = (house.public / "report.html").read_text()
    assert "<title>Procedural sample, not batik photographs: Small</title>" in page
    assert "Only of the sample." in page and "image/jpeg" in page


def edit(name, text):
    return lambda house: (house.root / name).write_text(text)


@pytest.mark.parametrize(
    ("what", "change", "steps"),
    [
        ("nothing", lambda house: None, ""),
        ("code", edit("batik_utils/stats/metrics.py", "x = 2"), "open 01 02 with without"),
        ("a figure's code", edit("batik_utils/figures/grouped.py", "x = 2"), "01 02 with without"),
        ("a template", edit("batik_utils/report/templates/report.css", "p {}"), "with without"),
        ("the command line's code", edit("batik_utils/cli.py", "x = 2"), ""),
        ("lock", edit("requirements.txt", "numpy==3"), "open 01 02 with without"),
        ("a picture", edit("data/batik-bali/1.jpg", "A picture"), "open 01 02 with without"),
        ("weights", edit("keras/models/efficientnet-lite2-9656183e.pth", "w"), "open 01 02 with without"),
        ("a sentence", lambda h: write(h.root / "notebooks/01-first.ipynb", new_markdown_cell("#")), "01 with without"),
        ("a page edited", lambda house: (house.public / "report.html").write_text("hand-made"), ""),
        ("a page deleted", lambda house: (house.private / "report.pdf").unlink(), ""),
        ("numbers edited", lambda house: (house.public / "metrics.json").write_text("{}"), ""),
        ("the index deleted", lambda house: (house.root / "reports/index.html").unlink(), ""),
        ("a model deleted", lambda house: (house.private / "model.keras").unlink(), "model"),
        ("a kept run damaged", lambda h: next((h.root / "cache/builds").glob("*/run-01*")).write_text("?"), "01"),
    ],
)  # fmt: skip
def test_after_a_change_the_report_is_what_a_cold_build_makes(quick, monkeypatch, what, change, steps):
    (quick.root / "keras/models").mkdir(parents=True)
    monkeypatch.setattr("batik_utils.experiment.open_plan", lambda *args: quick.opened[0])
    quick()
    if what == "a kept run damaged":
        (quick.public / "report.html").unlink()
    change(quick)
    quick.opened = analysis_of()
    quick()
    assert sorted(quick.steps) == sorted(steps.split())
    monkeypatch.setenv("BATIK_CACHE", str(quick.root / "cold"))
    quick("other")
    assert contents(quick) == contents(quick, "other")


def test_a_study_or_a_setting_that_changes_is_opened_anew(quick):
    quick()
    quick(settings=("grouped.folds=4",))
    assert quick.steps[0] == "open" and b"grouped.folds=4" in (quick.public / "report.html").read_bytes()
    quick()
    assert quick.steps == []  # it comes out of the cache
    raw = yaml.safe_load((quick.root / "study.yaml").read_text())
    (quick.root / "study.yaml").write_text(yaml.safe_dump(raw | {"title": "Another"}))
    quick()
    assert quick.steps[0] == "open" and b"Another" in (quick.public / "report.html").read_bytes()


def test_failed_fits_are_tried_again_and_the_model_follows_the_results(quick):
    _, analysis = good = analysis_of()
    first, *rest = analysis.results
    quick.opened = analysis_of(Results((replace(first, missing="it diverged", y_prob=np.zeros((0, 3))), *rest)))
    for opened, steps in ((quick.opened, ["open", "model"]), (good, ["open", "01", "02", "model"]), (good, [])):
        quick() if opened is quick.opened else None
        quick.opened = opened
        quick()
        assert [s for s in quick.steps if not s.startswith("with")] == steps


def test_a_model_that_cannot_be_saved_is_said_and_the_report_goes_on(quick, monkeypatch, capsys):
    def fail(*args):
        raise BatikError("scratch/published/r0f0/s0 failed: it diverged")

    quick()
    monkeypatch.setattr(deploy, "save_best", fail)
    (quick.root / "requirements.txt").write_text("")
    monkeypatch.setattr(pipeline, "fingerprint", lambda *args: "other")
    quick(progress=True)
    said = "No model is saved; the one that is there is an older run's: scratch/published/r0f0/s0 failed: it diverged"
    assert said in capsys.readouterr().err.splitlines()
    assert sorted(p.name for p in quick.public.iterdir()) == PUBLIC and (quick.private / "model.keras").is_file()


def test_a_neighbour_of_another_version_is_left_out_of_the_index_and_said_so(quick, capsys):
    neighbour = quick.root / "reports" / "older" / "metrics.json"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_text('{"version": 1}')
    quick(progress=True)
    said = "Not in index.html: older/metrics.json is of another version; build that report again."
    assert said in capsys.readouterr().err.splitlines()
    page = (quick.root / "reports/index.html").read_text()
    assert "bali-betawi-celup/report.html" in page and "older/" not in page


def test_no_figure_is_kept_with_the_analysis_and_opening_it_needs_no_tensorflow():
    code = """import sys, test_build
from batik_utils.report import snapshot
assert b"batik_utils.figures" not in snapshot.dump(test_build.whole())[0]
print(*sys.modules)"""
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0 and not {"tensorflow", "keras"} & {*done.stdout.split()}, done.stderr


def test_a_failure_leaves_the_old_report_as_it_was(house):
    house.public.mkdir(parents=True)
    (house.public / "report.html").write_text("old")
    write(house.root / "notebooks/02-second.ipynb", new_code_cell(SECOND + 'text("See @fig-gone.")'))
    with pytest.raises(BatikError, match=r"02-second\.ipynb, cell 2.*fig-gone"):
        house()
    write(house.root / "notebooks/02-second.ipynb", new_code_cell("1 / 0"))
    with pytest.raises(BatikError, match="ZeroDivisionError"):
        house()
    assert contents(house) == {"bali-betawi-celup/report.html": b"old"}


def test_without_photographs_the_sample_is_made_and_said_so(quick, monkeypatch, capsys):
    def find(data, motifs):
        raise NoPhotographs("The photographs were not found.")

    monkeypatch.setattr(pipeline, "find_photographs", find)
    monkeypatch.setattr(pipeline, "load_study", lambda name, settings: make_study(name=Path(name).stem))
    assert quick(progress=True).name == "sample"
    said = " ".join(capsys.readouterr().err.split())
    assert "were not found. Making the procedural sample's report instead, in reports/sample/." in said


def test_a_folder_without_notebooks_is_named(quick):
    shutil.rmtree(quick.root / "notebooks")
    with pytest.raises(BatikError, match="no notebooks in notebooks/"):
        quick()


def test_no_fit_no_report(monkeypatch, tmp_path):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setattr("batik_utils.data.load.load_dataset", lambda *args, **options: make_dataset())
    monkeypatch.setattr("batik_utils.experiment.make_plan", lambda *args: None)
    monkeypatch.setattr("batik_utils.experiment.run_plan", lambda *args, **options: Results(()))
    with pytest.raises(BatikError, match=r"No fit of MobileNetV2 in sample succeeded: none was planned"):
        build_report("sample", out=tmp_path / "reports", progress=False)


def test_the_title_page_credits_the_seed_study():
    seed = {"title": "Studi", "authors": ["A", "B", "C"], "institution": "BINUS", "year": 2024}
    seed |= {"language": "Indonesian", "framework": "TensorFlow", "summary": "It compared."}
    page = about(make_study(seed_study=seed), make_dataset())
    assert page["credit"] == ["Takes up “Studi”", "by A, B and C", "BINUS, 2024"]
    assert page["header"] == "" and about(make_study(), make_dataset())["credit"] == []
    alone = make_study(seed_study=seed | {"authors": ["A"], "year": None})
    assert about(alone, make_dataset())["credit"][1:] == ["by A", "BINUS"]
