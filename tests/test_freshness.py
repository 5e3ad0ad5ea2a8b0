"""Whatever a report depends on, a change of it is seen, in well under a second and without anything heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from results_factory import make_study

from batik_utils.report import freshness
from batik_utils.report.freshness import FACES, FIGURES, INDEX, PAGES, Kept, Stamp, cells_digest, inputs, without

CODE = ("figures/grouped.py", "stats/metrics.py", "cli.py", "report/export.py", "report/templates/report.css")
NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["1"], "metadata": {%s}, "outputs": [%s]}]}'


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A project of a few files; house() gives the inputs of its study."""
    for name in CODE:
        path = tmp_path / "batik_utils" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("", ""))
    study = make_study(motifs=["one", "two"])
    for motif in study.motifs:
        (tmp_path / "data" / motif).mkdir(parents=True)
        (tmp_path / "data" / motif / "1.jpg").write_bytes(b"a picture")
    weights = tmp_path / "keras" / "models" / "efficientnet-lite2-9656183e.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(freshness, "ROOT", tmp_path)

    def look(study=study, place="data folder"):
        return inputs(study, tmp_path / "data", place)

    look.weights = weights
    return look


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("batik_utils/stats/metrics.py", lambda root: (root / "batik_utils/stats/metrics.py").write_text("x = 2\n")),
        ("batik_utils/new.py", lambda root: (root / "batik_utils/new.py").write_text("")),
        ("batik_utils/cli.py", lambda root: (root / "batik_utils/cli.py").unlink()),
        (
            "batik_utils/report/templates/report.css",
            lambda root: (root / "batik_utils/report/templates/report.css").write_text("p {}"),
        ),
        ("requirements.txt", lambda root: (root / "requirements.txt").write_text("numpy==3\n")),
        (
            "notebooks/01.ipynb",
            lambda root: (root / "notebooks/01.ipynb").write_text(NOTEBOOK % ('"tags": ["abstract"]', "")),
        ),
        ("pictures of one", lambda root: (root / "data/one/1.jpg").write_bytes(b"a Picture")),
        ("pictures of one", lambda root: (root / "data/one/2.jpg").write_bytes(b"another")),
        ("pictures of two", lambda root: (root / "data/two/1.jpg").rename(root / "data/two/0.jpg")),
        ("weights of efficientnet_lite2", lambda root: next((root / "keras/models").iterdir()).write_bytes(b"other")),
        ("weights of efficientnet_lite2", lambda root: next((root / "keras/models").iterdir()).unlink()),
    ],
)
def test_a_change_is_seen_and_named(house, tmp_path, name, change):
    before = house()
    assert house() == before
    change(tmp_path)
    after = house()
    assert [n for n in {*before, *after} if before.get(n) != after.get(n)] == [name]


def test_a_setting_another_place_and_another_python_are_seen(house, monkeypatch):
    before = house()
    assert house(make_study(motifs=["one", "two"], title="Other"))["study"] != before["study"]
    assert house(place="shared folder")["pictures of one"] != before["pictures of one"]
    (freshness.ROOT / "requirements.txt").unlink()  # a folder that is no checkout
    assert house()["requirements.txt"] == ""
    monkeypatch.setattr(freshness.platform, "python_version", lambda: "3.99.0")
    assert house()["Python"] != before["Python"]


def test_line_ends_and_outputs_change_nothing(house, tmp_path):
    before = house()
    (tmp_path / "batik_utils" / "cli.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("", '{"text": "said"}'))
    assert house() == before
    assert cells_digest(tmp_path / "notebooks/01.ipynb") == before["notebooks/01.ipynb"]


def test_a_stamp_tells_inputs_and_outputs(tmp_path):
    made = Stamp(tmp_path / "stamp.json")
    assert made.changed({"code": "1"}, tmp_path) == ["everything"]
    for name in ("page", "pdf"):
        (tmp_path / name).write_text(name)
    made.write({"code": "1"}, tmp_path, ["page", "pdf"])
    stamp = Stamp(tmp_path / "stamp.json")
    assert stamp.changed({"code": "1"}, tmp_path) == []
    (tmp_path / "page").write_text("edited")
    (tmp_path / "pdf").unlink()
    assert stamp.changed({"code": "2", "lock": "1"}, tmp_path) == ["code", "lock", "page (edited)", "pdf (deleted)"]
    made.write({}, tmp_path, ["page"])  # a build that was not complete
    assert Stamp(tmp_path / "stamp.json").changed({}, tmp_path) == ["everything"]
    (tmp_path / "stamp.json").write_text("{")
    assert Stamp(tmp_path / "stamp.json").changed({"code": "1"}, tmp_path) == ["everything"]


def test_what_is_kept_is_checked_and_the_oldest_goes(tmp_path):
    kept = Kept(tmp_path)
    for number in range(kept.most + 1):
        kept.write("run", str(number), b"text")
        os.utime(kept.path("run", str(number)), ns=(number, number))
    kept.write("run", "last", b"text")
    assert kept.read("run", "last") == b"text" and kept.read("run", "0") is None
    kept.path("run", "last").write_bytes(kept.path("run", "last").read_bytes() + b"!")
    assert kept.read("run", "last") is None
    assert kept.made("run", "last", lambda: b"again") == kept.read("run", "last") == b"again"


def test_parts_are_told_apart_by_name(house):
    rest = without(house(), *PAGES, *FACES, *FIGURES)
    assert {name for name in rest if name.startswith("batik_utils/")} == {"batik_utils/stats/metrics.py"}
    package = Path(freshness.__file__).parent.parent
    named = [p.removeprefix("batik_utils/") for p in (*PAGES, *FACES, *FIGURES, *INDEX)]
    assert all(list((package / name).parent.glob(f"{Path(name).name}*")) for name in named)


def test_whether_anything_changed_is_answered_without_anything_heavy():
    code = "import sys, batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "nbformat"} & set(done.stdout.split())
