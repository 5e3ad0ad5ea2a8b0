"""One command's worth of report: two editions from one execution, all of it or nothing, and never anything stale."""

import copy
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output
from paper import DEPLOYED
from results_factory import make_dataset, make_results, make_study

from batik_utils.cache import write_bytes
from batik_utils.data.obtain import NoPhotographs
from batik_utils.errors import BatikError
from batik_utils.report import build as pipeline
from batik_utils.report import freshness
from batik_utils.report.analysis import Analysis
from batik_utils.report.build import Build, build_report
from batik_utils.values import Results

MOTIFS = ["batik-bali", "batik-betawi", "batik-celup"]
WEIGHTS = "keras/models/efficientnet-lite2-9656183e.pth"
CODE = "figures/scores.py figures/pictures.py report/display.py deploy/make.py data/__init__.py app/build.py cli.py"
CODE += " stats/scores.py report/export.py report/templates/report.css"
FILES = [*(f"batik_utils/{name}" for name in CODE.split()), "requirements.txt", "studies/splits/old.csv", WEIGHTS]
FILES += [f"data/{motif}/1.jpg" for motif in MOTIFS]
SEEN = "batik_utils/stats/* batik_utils/figures/* data/*/* keras/*/* studies/*/* requirements.txt study.yaml"
"""What a notebook's outputs may depend on."""
PUBLIC = ["metrics.json", "model-card.md", "reforms.md", "report.html", "report.pdf", "verdict.svg"]
PRIVATE = ["classifier.tflite", "report.html", "report.pdf"]


def write(path, source, *tags):
    nbformat.write(new_notebook(cells=[new_code_cell(source, id="a", metadata={"tags": [*tags]})]), path)


@cache
def whole():
    """An analysis with its scores, which take a second."""
    accuracies, published = {"scratch": 0.6, "efficientnet_lite2": 0.9}, {"scratch": [15], "efficientnet_lite2": [25]}
    analysis = Analysis(make_study(), make_dataset(), make_results(accuracies, published=published))
    return analysis if len(analysis.scores) else None


def analysis_of(results=None, **source):
    analysis = copy.copy(whole())
    if results or source:
        dataset = replace(analysis.dataset, source=replace(analysis.dataset.source, **source))
        analysis = Analysis(analysis.study, dataset, results or analysis.results)
    return SimpleNamespace(tasks=(), dataset=analysis.dataset, study=analysis.study), analysis


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A small project whose results are at hand; house() builds its report and notes the steps that it took.

    Its notebooks say in no time what they depend on, and its pages are what notebooks say.
    """
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks/01-first.ipynb", "draw.file_sizes(1)")
    write(tmp_path / "notebooks/02-second.ipynb", "draw.fold_dots(1)")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(make_study(motifs=MOTIFS).model_dump(mode="json")))
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    steps = []

    def analyse(self, dask, jobs):
        steps.append("open")
        return build.opened

    def make(plan, results, data):
        steps.append("model")
        bundle = SimpleNamespace(to_bytes=lambda: b"model")
        return SimpleNamespace(bundle=bundle, numbers=DEPLOYED | {"model": "efficientnet_lite2"})

    def run(path, parameters, keep, environment):
        steps.append(path.name[:2])
        parts = [freshness.cells(path), sorted(keep), parameters["SET"], freshness.code_sha256()]
        files = [p for pattern in SEEN.split() for p in tmp_path.glob(pattern) if p.is_file()]
        parts += sorted(f"{p.name} {p.read_text()}" for p in files)
        name = {"01": "sizes", "02": "folds"}[path.name[:2]]
        data = {"text/plain": f"Figure fig-{name}: A.", "image/svg+xml": json.dumps(parts)}
        return new_notebook(cells=[new_code_cell("", id="a", outputs=[new_output("display_data", data)])])

    def export(notebooks, about, photos):
        steps.append("with" if photos else "without")
        style = (tmp_path / "batik_utils/report/templates/report.css").read_text()
        page = json.dumps([notebooks, about, photos, style])
        return page, page.encode()

    monkeypatch.setattr(Build, "_analyse", analyse)
    monkeypatch.setattr("batik_utils.deploy.make.make_classifier", make)
    monkeypatch.setattr("batik_utils.report.execute.run_notebook", run)
    monkeypatch.setattr("batik_utils.report.export.export", export)

    def build(out="reports", **options):
        steps.clear()
        options = {"data": tmp_path / "data", "progress": False} | options
        return build_report(options.pop("study", tmp_path / "study.yaml"), out=tmp_path / out, **options)

    build.opened, build.steps, build.root = analysis_of(), steps, tmp_path
    build.public = tmp_path / "reports" / "bali-betawi-celup"
    build.private = tmp_path / "reports" / "photographs" / "bali-betawi-celup"
    return build


def failing(message, kind=BatikError):
    def fail(*args, **options):
        raise kind(message)

    return fail


def contents(house, out="reports"):
    root = house.root / out
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_drawn_pictures_have_one_edition_and_photographs_two(house):
    assert house() == house.public
    assert [sorted(p.name for p in f.iterdir()) for f in (house.public, house.private)] == [PUBLIC, PRIVATE]
    shutil.rmtree(house.root / "cache")
    shutil.rmtree(house.root / "reports")
    house.opened = analysis_of(kind="drawn")
    house()
    assert sorted(p.name for p in house.private.iterdir()) == ["classifier.tflite"]
    (first, _), about, *_ = json.loads((house.public / "report.html").read_text())
    assert about["header"] == "Procedural sample, not batik photographs" and '"drawn"' in str(first)


def edit(name, text):
    return lambda house: (house.root / name).write_text(text)


def rewrite(name, source, *tags):
    return lambda house: write(house.root / "notebooks" / name, source, *tags)


def restudied(field):
    other = make_study(motifs=MOTIFS, **{field: "Another?"}).model_dump(mode="json")
    return lambda house: (house.root / "study.yaml").write_text(yaml.safe_dump(other))


ALL = "open 01 02 with without"


@pytest.mark.parametrize(
    ("what", "change", "steps"),
    [
        ("nothing", lambda house: None, ""),
        ("code", edit("batik_utils/stats/scores.py", "x = 2"), "model " + ALL),
        ("new code", edit("batik_utils/new.py", ""), ALL),
        ("a figure", edit("batik_utils/figures/pictures.py", "x = 2"), "01 02 with without"),
        ("a study's question", restudied("question"), ALL),
        ("a study's title, which its classifier has", restudied("title"), "model " + ALL),
        ("splits of others", edit("studies/splits/new.csv", "x"), ALL),
        ("what shows figures and tables", edit("batik_utils/report/display.py", "x = 2"), ALL),
        ("a template", edit("batik_utils/report/templates/report.css", "p {}"), "with without"),
        ("the checklist", edit("batik_utils/report/templates/reforms.md", "x"), "with without"),
        ("a template that a notebook may show", edit("batik_utils/report/templates/new.md", "x"), ALL),
        ("the command line's code", edit("batik_utils/cli.py", "x = 2"), ""),
        ("lock", edit("requirements.txt", "numpy==3"), "model " + ALL),
        ("a picture", edit("data/batik-bali/1.jpg", "A picture"), ALL),
        ("a new picture", edit("data/batik-bali/2.jpg", "another"), ALL),
        ("weights", edit(WEIGHTS, "other"), ALL),
        ("lost weights", lambda house: (house.root / WEIGHTS).unlink(), ALL),
        ("a sentence", rewrite("01-first.ipynb", "draw.file_sizes(2)"), "01 with without"),
        ("a tag", rewrite("01-first.ipynb", "draw.file_sizes(1)", "x"), "01 with without"),
        ("a page edited", lambda house: (house.public / "report.html").write_text("hand-made"), "with without"),
        ("a page deleted", lambda house: (house.private / "report.pdf").unlink(), "with without"),
        ("numbers edited", lambda house: (house.public / "metrics.json").write_text("{}"), "with without"),
        ("the index deleted", lambda house: (house.root / "reports/index.html").unlink(), ""),
        ("the index edited", lambda house: (house.root / "reports/index.html").write_text("hand-made"), ""),
        ("a classifier deleted", lambda house: (house.private / "classifier.tflite").unlink(), "with without"),
        ("the palettes, which it holds", edit("batik_utils/data/__init__.py", "x = 2"), "model " + ALL),
        ("the classifier's page", edit("batik_utils/app/build.py", "x = 2"), ""),
        ("how a classifier is made", edit("batik_utils/deploy/make.py", "x = 2"), "model " + ALL),
        ("a damaged run", lambda h: next(h.root.glob("cache/builds/*/run-01*")).write_text("?"), "01 with without"),
    ],
)  # fmt: skip
def test_after_a_change_the_report_is_what_a_cold_build_makes(house, monkeypatch, what, change, steps):
    house()
    if what == "a damaged run":
        (house.public / "report.html").unlink()
    change(house)
    house.opened = analysis_of()
    house()
    assert sorted(house.steps) == sorted(steps.split())
    monkeypatch.setenv("BATIK_CACHE", str(house.root / "cold"))
    house("other")
    assert contents(house) == contents(house, "other")


def test_a_second_run_does_nothing_though_weights_came_meanwhile_and_sees_what_was_edited_meanwhile(house, monkeypatch):
    (house.root / WEIGHTS).unlink()  # as on a new machine
    analyse = Build._analyse

    def fetch(self, dask, jobs):
        write_bytes(house.root / WEIGHTS, b"weights")
        return analyse(self, dask, jobs)

    monkeypatch.setattr(Build, "_analyse", fetch)
    house()
    assert "open" in house.steps
    house()
    assert house.steps == []
    rewrite("01-first.ipynb", "draw.file_sizes(2)")(house)
    house()
    assert sorted(house.steps) == ["01", "with", "without"]

    def edit_meanwhile(self, dask, jobs):
        rewrite("02-second.ipynb", "draw.fold_dots(2)")(house)
        return analyse(self, dask, jobs)

    monkeypatch.setattr(Build, "_analyse", edit_meanwhile)
    house.opened = analysis_of()
    edit("batik_utils/stats/scores.py", "x = 2")(house)
    house()
    monkeypatch.setattr(Build, "_analyse", analyse)
    house()
    assert "02" in house.steps


def test_a_study_or_a_setting_that_changes_is_opened_anew(house):
    house()
    committed = (house.public / "report.html").read_bytes()
    house(settings=("grouped.folds=4",))
    apart = house.private.parent / "with-settings" / house.public.name / "report.html"
    assert house.steps[0] == "open" and b"Not the study as it is: grouped.folds=4" in apart.read_bytes()
    assert (house.public / "report.html").read_bytes() == committed, "a run with settings is not the study"
    house()
    assert house.steps == []
    raw = yaml.safe_load((house.root / "study.yaml").read_text())
    (house.root / "study.yaml").write_text(yaml.safe_dump(raw | {"title": "Another"}))
    house()
    assert house.steps[0] == "open" and b"Another" in (house.public / "report.html").read_bytes()


def test_failed_fits_are_tried_again_and_the_model_follows_the_results(house):
    _, analysis = good = analysis_of()
    first, *rest = analysis.results
    failed = Results((replace(first, missing="it diverged", y_prob=np.zeros((0, 3))), *rest))
    house.opened = analysis_of(failed)
    house()
    for opened, steps in ((house.opened, ["open"]), (good, ["open", "model", "01", "02"]), (good, [])):
        house.opened = opened
        house()
        assert [s for s in house.steps if not s.startswith("with")] == steps


def test_a_classifier_that_cannot_be_made_is_said_and_tried_again_and_the_report_goes_on(house, monkeypatch, capsys):
    older = (house.private / "classifier.tflite", house.public / "model-card.md", house.public / "classifier.html")
    for path in older:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of another run")
    with monkeypatch.context() as patch:
        patch.setattr("batik_utils.deploy.make.make_classifier", failing("it diverged"))
        house(progress=True)
    assert not any(path.exists() for path in older)
    assert "No classifier is made: it diverged" in capsys.readouterr().err.splitlines()
    assert json.loads((house.public / "metrics.json").read_text())["classifier"] is None
    assert {p.name for p in house.public.iterdir()} == {*PUBLIC} - {"model-card.md"}
    house()
    assert house.steps[:2] == ["open", "model"] and (house.private / "classifier.tflite").is_file()
    assert json.loads((house.public / "metrics.json").read_text())["classifier"]["model"] == "efficientnet_lite2"


def test_a_failure_leaves_the_old_report_as_it_was(house, monkeypatch):
    house.public.mkdir(parents=True)
    (house.public / "report.html").write_text("old")
    for step in ("export.export", "execute.run_notebook"):
        monkeypatch.setattr(f"batik_utils.report.{step}", failing("a reference to 'fig-gone', which is not there"))
        with pytest.raises(BatikError, match="fig-gone"):
            house()
        assert contents(house) == {"bali-betawi-celup/report.html": b"old"}


def test_a_report_without_a_pdf_is_written_said_in_one_line_and_tried_again(house, monkeypatch):
    house()
    monkeypatch.setattr("batik_utils.report.export.export", lambda *a, photos: ("<p>", BatikError("no letters.")))
    (house.root / "notebooks/01-first.ipynb").unlink()
    for _ in range(2):
        with pytest.raises(BatikError, match=r"^The report has pages \(HTML\), but no PDF: no letters\.$"):
            house()
        for folder in (house.public, house.private):
            assert (folder / "report.html").read_text() == "<p>" and not (folder / "report.pdf").exists()
    assert (house.public / "metrics.json").is_file() and (house.root / "reports" / "index.html").is_file()


def test_without_photographs_the_sample_is_made_and_said_so(house, monkeypatch, capsys):
    find = failing("The photographs were not found.", NoPhotographs)
    monkeypatch.setattr(pipeline, "find_photographs", find)
    monkeypatch.setattr(pipeline, "load_study", lambda name, settings: make_study(name=Path(name).stem))
    assert house(progress=True).name == "sample"
    said = " ".join(capsys.readouterr().err.split())
    assert "were not found. Making the procedural sample's report instead, in reports/sample/." in said


def test_without_notebooks_or_fits_there_is_no_report(monkeypatch, tmp_path):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setattr("batik_utils.dataset.load_dataset", lambda *args, **options: make_dataset())
    monkeypatch.setattr("batik_utils.experiment.make_plan", lambda *args: None)
    monkeypatch.setattr("batik_utils.experiment.run_plan", lambda *args, **options: Results(()))
    places = {"no notebooks in notebooks/": tmp_path, "No fit of MobileNetV2 in sample succeeded: none": freshness.ROOT}
    for problem, root in places.items():
        monkeypatch.setattr(freshness, "ROOT", root)
        with pytest.raises(BatikError, match=problem):
            build_report("sample", out=tmp_path / "reports", progress=False)


def test_the_index_is_written_anew_only_where_a_report_beside_it_has_changed(house, monkeypatch, capsys):
    house()
    tracked, own = (house.root / "reports" / name for name in ("index.html", "photographs/index.html"))
    assert "../bali-betawi-celup/report.html" in own.read_text() and "bali-betawi" not in tracked.read_text()
    written: list[Path] = []
    with monkeypatch.context() as patch:
        patch.setattr("batik_utils.report.pages.write_index", lambda out: written.append(out) or [])
        house()
    assert not written
    neighbour = house.root / "reports" / "older" / "metrics.json"
    neighbour.parent.mkdir()
    neighbour.write_text('{"version": 1}')
    house(progress=True)
    said = "Not in index.html: older/metrics.json is of another version; build that report again."
    assert said in capsys.readouterr().err.splitlines()
