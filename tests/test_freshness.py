"""Whatever a report depends on, a change of it is seen, in well under a second and without anything heavy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from results_factory import make_study

from batik_utils.report import freshness
from batik_utils.report.freshness import (
    FACES,
    FIGURES,
    PAGES,
    Kept,
    Stamp,
    cells_digest,
    code,
    drawing,
    inputs,
    notebooks,
    words,
)

NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["%s"], "metadata": {}, "outputs": [%s]}]}'


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A project of two files; house() gives the inputs of its study. What else there is, test_build changes."""
    (tmp_path / "batik_utils").mkdir()
    (tmp_path / "batik_utils/cli.py").write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", ""))
    for motif in ("one", "two"):
        (tmp_path / "data" / motif).mkdir(parents=True)
        (tmp_path / "data" / motif / "1.jpg").write_bytes(b"a picture")
    monkeypatch.setattr(freshness, "ROOT", tmp_path)

    def look(place="data folder", **changes):
        return inputs(make_study(motifs=["one", "two"], **changes), tmp_path / "data", place)

    return look


def test_what_changes_is_named_and_a_setting_another_place_and_another_python_are_seen(house, tmp_path, monkeypatch):
    before = house()
    assert house() == before
    (tmp_path / "data/two/1.jpg").rename(tmp_path / "data/two/0.jpg")
    after = house()
    assert [n for n in {*before, *after} if before.get(n) != after.get(n)] == ["pictures of two"]
    assert house(title="Other")["study"] != before["study"]
    assert house(place="shared folder")["pictures of one"] != before["pictures of one"]
    (tmp_path / "requirements.txt").unlink()  # a folder that is no checkout
    assert house()["requirements.txt"] == ""
    monkeypatch.setattr(freshness.platform, "python_version", lambda: "3.99.0")
    assert house()["Python"] != before["Python"]


def test_line_ends_and_outputs_change_nothing(house, tmp_path):
    before = house()
    (tmp_path / "batik_utils" / "cli.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", '{"text": "said"}'))
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


def test_what_is_named_is_there_and_a_figure_needs_no_other_figures_module():
    package = Path(freshness.__file__).parent.parent
    named = [p.removeprefix("batik_utils/") for p in (*PAGES, *FACES, *FIGURES)]
    assert all(list((package / name).parent.glob(f"{Path(name).name}*")) for name in named)
    texts = [path.read_text() for path in package.glob("figures/[!_]*.py")]
    assert {name for text in texts for name in re.findall(r"batik_utils\.figures\.?(\w*)", text)} == {"style"}


def test_each_notebook_draws_with_the_modules_whose_figures_it_names():
    drawn = {path.name[:2]: drawing(code(), words(path)) for path in notebooks()}
    used = {name: {Path(p).stem for p in found if "/figures/" in p} for name, found in drawn.items()}
    assert {"data", "pictures", "style"} <= used["01"] and not {"grouped", "published"} & used["01"]
    assert {"flow", "grouped", "published", "style"} <= used["02"] and "data" not in used["02"]
    assert all("batik_utils/report/display.py" in found for found in drawn.values())


def test_whether_anything_changed_is_answered_without_anything_heavy():
    ask = "import sys, batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "nbformat"} & set(done.stdout.split())
