"""Whatever a report depends on, a change of it is seen, in well under a second and without anything heavy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from results_factory import make_dataset, make_study

from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.report import freshness
from batik_utils.report.freshness import FACES, FIGURES, PAGES, inputs
from batik_utils.report.pages import provenance

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


def test_what_is_named_is_there():
    package = Path(freshness.__file__).parent.parent
    named = [p.removeprefix("batik_utils/") for p in (*PAGES, *FACES, *FIGURES)]
    assert all(list((package / name).parent.glob(f"{Path(name).name}*")) for name in named)


def test_whether_anything_changed_is_answered_without_anything_heavy():
    ask = "import sys, batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "nbformat"} & set(done.stdout.split())


def test_provenance_is_repeatable_and_knows_no_machine():
    rows = provenance(make_study(), make_dataset())
    assert rows == provenance(make_study(), make_dataset())
    assert str(Path.home()) not in str(rows)
    other = dict(provenance(make_study(title="Another"), make_dataset(per_class=49)))
    assert other["Study"] != dict(rows)["Study"] and other["Data"] != dict(rows)["Data"]
    assert "tensorflow 2" in dict(rows)["Packages"]


def test_weights_are_named_with_their_hash_or_as_not_to_be_had(monkeypatch):
    def weights_sha256(model):
        if model.backbone == "efficientnet_b2":
            raise BatikError("offline")
        return "5" * 64

    monkeypatch.setattr(KINDS["pretrained"], "weights_sha256", weights_sha256)
    rows = {what: value for what, value in provenance(make_study(), make_dataset()) if what.startswith("Weights")}
    assert rows == {"Weights, EfficientNet-Lite2": f"sha256 `{'5' * 64}`", "Weights, EfficientNet-B2": "not to be had"}


def test_nothing_that_a_notebook_or_page_is_made_with_is_left_out_of_the_code_hash():
    cells = "".join(path.read_text(encoding="utf-8") for path in freshness.notebooks())
    lines = re.findall(r'"((?:from [\w.]+ )?import [\w., ]+?)(?:\\n)?"', cells)
    code = "\n".join(["import sys, batik_utils.report.export", *lines, "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used = {f"{name.replace('.', '/')}.py" for name in done.stdout.split() if name.startswith("batik_utils.")}
    assert {"batik_utils/report/analysis.py", "batik_utils/stats/scores.py", "batik_utils/models/scratch.py"} <= used
    assert not {name for name in used if name.startswith(FACES)}
