"""Whatever a report depends on, a change of it is seen, in well under a second and without anything heavy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from results_factory import make_study

from batik_utils.report import freshness
from batik_utils.report.freshness import FACES, FIGURES, PAGES, Kept, code, inputs, notebook_inputs, notebooks

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


def test_what_is_kept_is_checked_and_the_oldest_goes(tmp_path):
    kept = Kept(tmp_path)
    for number in range(kept.most + 1):
        kept.write("run", str(number), b"text")
        os.utime(kept.path("run", str(number)), ns=(number, number))
    kept.write("run", "last", b"text")
    assert kept.read("run", "last") == b"text" and kept.read("run", "0") is None
    kept.path("run", "last").write_bytes(kept.path("run", "last").read_bytes().replace(b"text", b"tExt"))
    assert kept.read("run", "last") is None


def test_what_is_named_is_there_and_a_figure_needs_no_other_figures_module():
    package = Path(freshness.__file__).parent.parent
    named = [p.removeprefix("batik_utils/") for p in (*PAGES, *FACES, *FIGURES)]
    assert all(list((package / name).parent.glob(f"{Path(name).name}*")) for name in named)
    texts = [path.read_text() for path in package.glob("figures/[!_]*.py")]
    assert {name for text in texts for name in re.findall(r"batik_utils\.figures\.?(\w*)", text)} == {"style"}


def test_each_notebook_depends_on_its_cells_and_on_the_figures_that_it_names():
    found = {path.name[:2]: notebook_inputs(code(), path) for path in notebooks()}
    used = {name: {Path(p).stem for p in of if "/figures/" in p} for name, of in found.items()}
    assert {"data", "pictures", "style"} <= used["01"] and not {"grouped", "published"} & used["01"]
    assert {"flow", "grouped", "published", "style"} <= used["02"] and "data" not in used["02"]
    assert [p for p in found["01"] if p.startswith("notebooks/")] == ["notebooks/01-data-exploration.ipynb"]


def test_whether_anything_changed_is_answered_without_anything_heavy():
    ask = "import sys, batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "nbformat"} & set(done.stdout.split())
